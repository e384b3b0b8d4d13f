"""A person who uses the app: types, clicks, fills forms and reads, as in Slack's own client.

It calls a running stand-in, so it works from any process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from bot.sandbox.checks import Json
from bot.sandbox.element_state import find, options_of, press_action, state_of, where
from bot.sandbox.forms import elements
from bot.sandbox.http_client import Control
from bot.sandbox.text_render import Reader, plain

Found = TypeVar("Found")


@dataclass
class Outcome:
    """The outcome of an act: its delivery, the messages shown to the person, and the open modal."""

    outcome: str
    error: str = ""
    delivery: int = 0
    seconds: float = 0
    ack: Json | None = None
    view: Json | None = None
    messages: list[Json] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    options: list[Json] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    blocked: bool = False
    reader: Reader = field(default_factory=Reader, repr=False)

    @property
    def ok(self) -> bool:
        """Acked in time, and without errors in the form."""
        return self.outcome in {"acked", "closed"} and not self.error and not self.errors

    @property
    def text(self) -> str:
        """The messages shown as an answer, as the person reads them."""
        return "\n".join(plain(message, self.reader) for message in self.messages)


class Person:
    """One person of the workspace."""

    def __init__(self, control: Control, user_id: str, name: str, tz: str) -> None:
        self.control, self.id, self.name, self.tz = control, user_id, name, tz

    @cached_property
    def reader(self) -> Reader:
        """The reader's view of dates and names."""
        directory = self.control.call("directory")
        names = {key: user["name"] for key, user in directory["users"].items()}
        names.update({key: group["handle"] for key, group in directory["groups"].items()})
        names.update({key: channel["name"] for key, channel in directory["channels"].items()})
        return Reader(self.tz, names, float(self.control.call("info")["now"]))

    def _act(self, verb: str, **asked: Any) -> Outcome:
        found = self.control.call(verb, user=self.id, **asked)
        known = {name: found[name] for name in Outcome.__dataclass_fields__ if name in found}
        return Outcome(**known, reader=self.reader)

    # acting

    def command(self, command: str, text: str = "", channel: str | None = None) -> Outcome:
        """Types a slash command; without a channel, in the app's direct conversation."""
        return self._act("command", command=command, text=text, channel=channel)

    def shortcut(self, callback_id: str) -> Outcome:
        """Uses a global shortcut."""
        return self._act("shortcut", callback_id=callback_id)

    def message_shortcut(self, callback_id: str, message: Json) -> Outcome:
        """Uses a shortcut from the menu of a message."""
        place = {"channel": message["channel"], "ts": message["ts"]}
        return self._act("message_shortcut", callback_id=callback_id, **place)

    def say(self, channel: str, text: str, thread_ts: str | None = None) -> Json:
        """Writes a message and returns it."""
        asked: Json = {"channel": channel, "text": text, "thread_ts": thread_ts}
        return dict(self.control.call("say", user=self.id, **asked))

    def open_home(self, tab: str = "home") -> bool:
        """Opens the app's home; False if the app doesn't subscribe to that."""
        return bool(self.control.call("home", user=self.id, tab=tab)["delivered"])

    def click(
        self,
        target: Json,
        label: str | None = None,
        *,
        action_id: str | None = None,
        value: str | None = None,
        trigger_id: str | None = None,
    ) -> Outcome:
        """Presses a button of a message or view, by its words or action id, and accepts its
        confirm.

        `value` forges the button's value; `trigger_id` an old trigger. Raises LookupError for no
        such button.
        """
        block, element = self.find(target, label, action_id)
        action = press_action(block, element, label or value)
        if value is not None and element["type"] != "overflow":
            action["value"] = value
        return self._press(target, action, trigger_id)

    def choose(
        self, target: Json, choice: Any, label: str | None = None, *, action_id: str | None = None
    ) -> Outcome:
        """Picks an option in a select, picker or checkbox group outside an input."""
        block, element = self.find(target, label, action_id)
        state = self.state_for(target, block, element, choice)
        return self._press(target, {**where(block, element), **state}, None)

    def find(
        self, target: Json, label: str | None = None, action_id: str | None = None
    ) -> tuple[Json, Json]:
        """The block and element by words or action id. Raises LookupError with the known ones."""
        found: tuple[Json, Json] = find(target, label, action_id)
        return found

    def _press(self, target: Json, action: Json, trigger_id: str | None) -> Outcome:
        return self._act("click", **self._spot(target), action=action, trigger_id=trigger_id)

    @staticmethod
    def _spot(target: Json) -> Json:
        """The place of a message or view."""
        if "ts" in target:
            return {"channel": target["channel"], "ts": target["ts"]}
        return {"view_id": target["id"]}

    # forms

    def view(self) -> Json | None:
        """The modal on top, if one is open."""
        found: Json | None = self.control.call("view", user=self.id)
        return found

    def home(self) -> Json | None:
        """The home that the app has published, if it has."""
        found: Json | None = self.control.call("home_view", user=self.id)
        return found

    def fill(self, values: dict[str, Any]) -> Json:
        """Types values into the open modal, each by label, block id or action id; gives the view.

        An option goes by its text or value, a person or channel by id or name, a date as ISO text
        or an object.
        """
        for name, value in values.items():
            view = self._open_view()
            block, element = self._field(view, name)
            state = self.state_for(view, block, element, value)
            place = where(block, element)
            self.control.call("draft", user=self.id, view_id=view["id"], **place, state=state)
            if block["type"] != "input" or block.get("dispatch_action"):
                self._press(view, {**place, **state}, None)
        return self._open_view()

    def submit(self) -> Outcome:
        """Submits the modal on top."""
        return self._act("submit")

    def fill_and_submit(self, values: dict[str, Any] | None = None) -> Outcome:
        """Fills the modal and submits it; `errors` holds the refusals of Slack's client or the app,
        by block id."""
        self.fill(values or {})
        return self.submit()

    def close_view(self) -> Outcome:
        """Closes the modal on top."""
        return self._act("close")

    def options(self, target: Json, name: str, query: str = "") -> list[Json]:
        """The options of an external select for `query`; `name` is its label, block id or action
        id."""
        block, element = self._field(target, name)
        return self._suggest(target, block, element, query)

    def _suggest(self, target: Json, block: Json, element: Json, query: str) -> list[Json]:
        return self._act(
            "suggest", **self._spot(target), **where(block, element), value=query
        ).options

    def _open_view(self) -> Json:
        view = self.view()
        if view is None:
            raise LookupError("no modal is open")
        return view

    @staticmethod
    def _field(view: Json, name: str) -> tuple[Json, Json]:
        seen = []
        for block, element in elements(view["blocks"]):
            label = (block.get("label") or block.get("text") or {}).get("text", "")
            if name.lower() == label.lower() or name in (block["block_id"], element["action_id"]):
                return block, element
            seen.append(label or element["action_id"])
        raise LookupError(f"no field {name!r} among {seen}")

    def state_for(self, target: Json, block: Json, element: Json, value: Any) -> Json:
        """The entry in `state.values` for a value in a person's words, as in Slack's client."""
        return state_of(
            element,
            value,
            lambda wanted: self._offered(target, block, element, wanted),
            self.tz,
            self._id,
        )

    def _offered(self, target: Json, block: Json, element: Json, wanted: str) -> list[Json]:
        if "external" not in element["type"]:
            return options_of(element)
        return self._suggest(target, block, element, wanted) or self._suggest(
            target, block, element, ""
        )

    def _id(self, ref: str) -> str:
        bare = ref.lstrip("@#")
        return next((key for key, name in self.reader.names.items() if name == bare), bare)

    # reading

    def dms(self) -> list[Json]:
        """The app's direct conversation with this person, oldest first."""
        return list(self.control.call("dms", user=self.id))

    def messages(self, channel: str, thread: str | None = None) -> list[Json]:
        """The messages of a channel this person is in, or of one thread, oldest first."""
        return list(self.control.call("messages", user=self.id, channel=channel, thread=thread))

    def ephemerals(self) -> list[Json]:
        """The ephemeral messages of this person, oldest first."""
        return list(self.control.call("ephemerals", user=self.id))

    def plain(self, thing: Json | None) -> str:
        """A message or view as this person reads it."""
        return plain(thing, self.reader)

    def wait_for(self, look: Callable[[], Found | None], timeout: float = 60) -> Found:
        """Calls `look` after every change until it returns something true. Raises TimeoutError."""
        return self.control.wait_for(look, timeout)

    def wait_view(self, contains: str = "", timeout: float = 60) -> Json:
        """The open modal, once there is one whose words contain `contains`."""
        return self._wait(lambda: [self.view()], contains, timeout)

    def wait_home(self, contains: str = "", timeout: float = 60) -> Json:
        """The home, once it contains these words."""
        return self._wait(lambda: [self.home()], contains, timeout)

    def wait_dm(self, contains: str = "", timeout: float = 60) -> Json:
        """The newest direct message that contains these words, once there is one."""
        return self._wait(self.dms, contains, timeout)

    def wait_ephemeral(self, contains: str = "", timeout: float = 60) -> Json:
        """The newest ephemeral that contains these words, once there is one."""
        return self._wait(self.ephemerals, contains, timeout)

    def wait_message(
        self, channel: str, contains: str = "", thread: str | None = None, timeout: float = 60
    ) -> Json:
        """The newest message of a channel or thread that contains these words, once there is
        one."""
        return self._wait(lambda: self.messages(channel, thread), contains, timeout)

    def _wait(self, look: Callable[[], list[Any]], contains: str, timeout: float) -> Json:
        def newest() -> Json | None:
            found = [item for item in look() if item and contains in self.plain(item)]
            return found[-1] if found else None

        return self.wait_for(newest, timeout)
