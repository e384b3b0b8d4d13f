"""The bot as Slack sees it, for tests: a Bolt app with the real listeners over a real database,
payloads as Slack sends them, and a Slack that remembers the calls of its views."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from slack_bolt import App, BoltRequest, BoltResponse
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError

from bot.app import build_systems
from bot.connectors.credentials import CredentialService
from bot.core.errors import SystemUnavailable
from bot.core.model import Person
from bot.operations.people.record_people import people_to_check
from bot.sandbox.blocks import validate_message, validate_suggestions, validate_view
from bot.slack.context import ListenerContext
from bot.slack.listeners import register
from tests.factories import ANA, START, Made, a_person

Json = dict[str, Any]
_numbers = itertools.count(1)


class Views:
    """A WebClient for views only. `error` is the failure of the next calls, `lost` the number of
    answers that get lost. Every view is checked as Slack would. An open view has another hash after
    each change, and refuses a change that names an older one."""

    base_url = "https://slack.com/api/"

    def __init__(self) -> None:
        self.calls: list[tuple[str, Json]] = []
        self.hash = "h0"
        self.error: str | Exception | None = None
        self.lost = 0
        self.before: Callable[[], None] = lambda: None

    def api_call(self, method: str, json: Json) -> Any:
        self.before()
        self.calls.append((method, json))
        if isinstance(self.error, Exception):
            raise self.error
        if self.lost:
            self.lost -= 1
            raise TimeoutError
        if self.error:
            raise SlackApiError("refused", _Answer({"ok": False, "error": self.error}))
        assert validate_view(json["view"]) == []
        if json.get("view_id") == "V0OPENED" and json.get("hash", self.hash) != self.hash:
            raise SlackApiError("refused", _Answer({"ok": False, "error": "hash_conflict"}))
        self.hash = f"h{len(self.calls)}"
        return _Answer({"ok": True, "view": {"id": "V0OPENED", "hash": self.hash}})

    @property
    def last(self) -> Json:
        return self.calls[-1][1]["view"]


class _Answer(dict[str, Any]):
    status_code = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - as slack_sdk's answer has it

    @property
    def data(self) -> Json:
        return self


@dataclass
class SlackPeople:
    """People as Slack knows them, with the number of look-ups; an unknown person gets no answer."""

    people: dict[str, Person] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def look_up(self, person: str) -> Person:
        self.asked.append(person)
        if person not in self.people:
            raise SystemUnavailable("Slack can't be reached")
        return self.people[person]


@dataclass
class SlackDriver:
    """Sends the actions of people in Slack to the app, and reads the results."""

    made: Made
    app: App
    views: Views
    slack_people: SlackPeople
    ctx: ListenerContext

    def send(self, body: Json) -> BoltResponse:
        answer = self.app.dispatch(BoltRequest(mode="socket_mode", body=body))
        assert answer is not None
        return answer

    def command(self, text: str = "", user: str = ANA, **more: Any) -> Json:
        """Types `/access …` and returns the message that answers it, {} if there is none."""
        answer = self.send(a_command(text, user, **more))
        assert answer.status == 200
        message: Json = json.loads(answer.body) if answer.body else {}
        if message:
            assert validate_message(message) == []
        return message

    def press(self, action: str, value: str, user: str = ANA, **more: Any) -> Json:
        """Presses a button and returns the payload, to be sent again."""
        body = a_click(action, value, user, **more)
        assert self.send(body).status == 200
        return body

    def submit(self, modal: str, values: Json, user: str = ANA, **more: Any) -> Json:
        """Sends a modal and returns Slack's instructions, {} to close it."""
        return self.submitted(a_submission(modal, values, user, **more))

    def submitted(self, body: Json) -> Json:
        answer = self.send(body)
        assert answer.status == 200
        reply: Json = json.loads(answer.body) if answer.body else {}
        if "view" in reply:
            assert validate_view(reply["view"]) == []
        return reply

    def options(self, typed: str = "", user: str = ANA, **more: Any) -> list[Json]:
        """The options of the menu of roles for this text."""
        answer = self.send(a_suggestion(typed, user, **more))
        assert answer.status == 200
        reply: Json = json.loads(answer.body)
        assert validate_suggestions(reply) == []
        options: list[Json] = reply["options"]
        return options

    def pass_time(self, seconds: int) -> None:
        """Time passes, and the holders are looked up in Slack again, as every minute."""
        self.made.clock.at += seconds
        holders = people_to_check(self.made.world, self.made.clock.at, 60)
        self.made.know(
            *(replace(a_person(holder), checked_at=self.made.clock.at) for holder in holders)
        )

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self.made.world.db.reading():
            return self.made.world.db.rows(sql, *values)

    def work(self, kind: str) -> list[Json]:
        """The waiting work of one kind, oldest first."""
        return [
            json.loads(data)
            for (data,) in self.rows("SELECT data FROM outbox WHERE kind = ? ORDER BY id", kind)
        ]

    def refusals(self) -> list[tuple[str, str, str]]:
        """The refused people, actions and reasons, oldest first."""
        sql = "SELECT actor, detail FROM audit WHERE event = 'request:action:refused' ORDER BY seq"
        details = [(actor, json.loads(detail)) for actor, detail in self.rows(sql)]
        return [(actor, detail["action"], detail["why"]) for actor, detail in details]

    def requests(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT requester, role, duration, reason, ticket, state, start_at FROM requests ORDER"
            " BY id"
        )


def make_driver(made: Made, team: str = "T1") -> SlackDriver:
    views, slack_people = Views(), SlackPeople()
    ctx = ListenerContext(
        made.world,
        slack_people,
        views,
        lambda: team,
        CredentialService(build_systems(made.world)).ask,
    )  # type: ignore[arg-type]
    app = App(
        authorize=lambda **_: AuthorizeResult(
            enterprise_id=None, team_id="T1", bot_token="x", bot_id="B1"
        ),
        process_before_response=True,
        request_verification_enabled=False,
        signing_secret="unused",
    )
    register(app, ctx)
    return SlackDriver(made, app, views, slack_people, ctx)


def words(value: Any) -> str:
    """Everything readable in a message, view or reply."""
    if isinstance(value, dict):
        return " ".join(
            words(each)
            for name, each in value.items()
            if name not in ("type", "action_id", "block_id")
        )
    if isinstance(value, list):
        return " ".join(map(words, value))
    return re.sub(r"\s+", " ", str(value))


def a_command(text: str = "", user: str = ANA, team: str = "T1", **more: Any) -> Json:
    number = next(_numbers)
    return {
        "token": "unused",
        "team_id": team,
        "team_domain": "example",
        "channel_id": "C0OPS",
        "channel_name": "ops",
        "user_id": user,
        "user_name": user.lower(),
        "command": "/access",
        "text": text,
        "api_app_id": "A1",
        "is_enterprise_install": "false",
        "response_url": "https://hooks.example.com/1",
        "trigger_id": f"{number}.trigger",
        **more,
    }


def _interaction(kind: str, user: str, team: str = "T1", **more: Any) -> Json:
    return {
        "type": kind,
        "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": team},
        "team": {"id": team, "domain": "example"},
        "api_app_id": "A1",
        "token": "unused",
        "enterprise": None,
        "is_enterprise_install": False,
        "trigger_id": f"{next(_numbers)}.trigger",
        **more,
    }


def a_click(
    action: str, value: str, user: str = ANA, *, view: Json | None = None, **more: Any
) -> Json:
    """A press on a message in C0OPS, or in `view`."""
    pressed = {
        "type": "button",
        "action_id": action,
        "block_id": "b",
        "value": value,
        "action_ts": str(next(_numbers)),
    }
    if view is not None:
        spot = {"container": {"type": "view", "view_id": view["id"]}, "view": view}
    else:
        container = {
            "type": "message",
            "message_ts": "17.5",
            "channel_id": "C0OPS",
            "is_ephemeral": False,
        }
        spot = {
            "container": container,
            "channel": {"id": "C0OPS", "name": "ops"},
            "message": {"ts": "17.5"},
        }
    return _interaction("block_actions", user, actions=[pressed], **spot, **more)


def a_suggestion(
    typed: str = "", user: str = ANA, action: str = "choose_role", **more: Any
) -> Json:
    """Something typed into the menu of roles, as Slack sends it: without a trigger."""
    view = {"id": "V0FORM", "type": "modal", "callback_id": "request_modal", "blocks": []}
    spot = {"container": {"type": "view", "view_id": view["id"]}, "view": view}
    names = {"block_id": "role", "action_id": action}
    body = _interaction("block_suggestion", user, **spot, **names, value=typed)
    del body["trigger_id"]
    return {**body, **more}


def a_home(view_id: str = "V0HOME") -> Json:
    return {"id": view_id, "type": "home", "hash": "h", "blocks": [], "state": {"values": {}}}


def a_submission(
    modal: str, values: Json, user: str = ANA, *, metadata: str = "", **more: Any
) -> Json:
    """`values` by block id: a text, a list of ticked values, or a number for a picked moment."""
    view = {
        "id": f"V{next(_numbers)}",
        "type": "modal",
        "callback_id": modal,
        "private_metadata": metadata,
        "hash": "h1",
        "blocks": [{"type": "input", "block_id": block} for block in values],
        "state": {"values": {block: {block: _state(value)} for block, value in values.items()}},
    }
    return _interaction("view_submission", user, view=view, response_urls=[], **more)


def _state(value: Any) -> Json:
    if isinstance(value, list):
        return {"type": "checkboxes", "selected_options": [{"value": each} for each in value]}
    if isinstance(value, int):
        return {"type": "datetimepicker", "selected_date_time": value}
    return {"type": "plain_text_input", "value": value}


def a_shortcut(callback_id: str, user: str = ANA, **more: Any) -> Json:
    return _interaction("shortcut", user, callback_id=callback_id, action_ts="1.2", **more)


def a_message_shortcut(callback_id: str, text: str, user: str = ANA, **more: Any) -> Json:
    return _interaction(
        "message_action",
        user,
        callback_id=callback_id,
        message_ts="1700000000.000100",
        message={"type": "message", "user": "U0BEN", "ts": "1700000000.000100", "text": text},
        channel={"id": "C0OPS", "name": "ops"},
        **more,
    )


def an_event(kind: str, team: str = "T1", **event: Any) -> Json:
    return {
        "type": "event_callback",
        "team_id": team,
        "api_app_id": "A1",
        "event": {"type": kind, **event},
        "event_id": f"Ev{next(_numbers)}",
        "event_time": START,
    }
