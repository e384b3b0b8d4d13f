"""Calls a running stand-in from any process: the owner's changes, faults, and reads."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar
from urllib.parse import urlsplit

from bot.sandbox.checks import Json

Found = TypeVar("Found")

OF_ONE_APP = {
    "deliver",
    "dms",
    "home",
    "home_view",
    "info",
    "message_shortcut",
    "set_app",
    "set_delivery",
    "set_member",
    "shortcut",
    "trigger",
}
"""Verbs that may name an app."""


class SandboxError(Exception):
    """The stand-in refused; `error` is Slack's error, or `bad_request`."""

    def __init__(self, verb: str, answer: Json) -> None:
        super().__init__(f"{verb}: {answer.get('error')} {answer.get('detail', '')}".strip())
        self.error = str(answer.get("error"))
        self.answer = answer


class Control:
    """Calls the endpoints under /sandbox of one server. `app` is the id of the app that is meant,
    or "" for the first."""

    def __init__(self, base_url: str, app: str = "") -> None:
        self.base_url, self.app = base_url.rstrip("/"), app

    def call(self, verb: str, timeout: float = 60, **asked: Any) -> Any:
        """One verb with its arguments; raises SandboxError when it is refused."""
        if self.app and verb in OF_ONE_APP:
            asked = {"app_id": self.app, **asked}
        with closing(
            http.client.HTTPConnection(urlsplit(self.base_url).netloc, timeout=timeout)
        ) as line:
            line.request(
                "POST", f"/sandbox/{verb}", json.dumps(asked), {"Content-Type": "application/json"}
            )
            answer = json.loads(line.getresponse().read())
        if not answer["ok"]:
            raise SandboxError(verb, answer)
        return answer["result"]

    def wait_for(self, look: Callable[[], Found | None], timeout: float = 60) -> Found:
        """Calls `look` after every change until it returns something true. Raises TimeoutError."""
        until, version = time.monotonic() + timeout, 0
        while True:
            version = self.call("changes", after=2**60)["version"]
            found = look()
            if found:
                return found
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"nothing found in {timeout:g} s")
            self.call("changes", after=version, wait=min(left, 0.5))


class FaultControl:
    """Faults: `method` is a Web API method, `response_url`, `upload` or `*`; `count` how often."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def _set(self, method: str, kind: str, value: float, count: int | None) -> None:
        self._control.call("set_fault", method=method, kind=kind, value=value, count=count)

    def latency(self, method: str, seconds: float, count: int | None = None) -> None:
        """Answers later."""
        self._set(method, "latency", seconds, count)

    def rate_limited(self, method: str, retry_after: int = 1, count: int | None = None) -> None:
        """Answers 429 with Retry-After in seconds."""
        self._set(method, "rate_limited", retry_after, count)

    def http(self, method: str, status: int, count: int | None = None) -> None:
        """Answers an HTTP status such as 500, 502, 503."""
        self._set(method, "http", status, count)

    def internal_error(self, method: str, count: int | None = None) -> None:
        """Answers 200 with internal_error."""
        self._set(method, "internal_error", 0, count)

    def invalid_auth(self, method: str, count: int | None = None) -> None:
        """Answers 200 with invalid_auth."""
        self._set(method, "invalid_auth", 0, count)

    def hang(self, method: str, count: int | None = None) -> None:
        """Never answers until cleared; the call isn't processed."""
        self._set(method, "hang", 0, count)

    def reset(self, method: str, count: int | None = None) -> None:
        """Cuts the connection; the call isn't processed."""
        self._set(method, "reset", 0, count)

    def lost_answer(self, method: str, count: int | None = None) -> None:
        """Processes the call, then cuts the connection without an answer."""
        self._set(method, "lost_answer", 0, count)

    def socket(self, kind: str, on: bool = True) -> None:
        """Switches `silent`, `duplicate`, `reorder` or `refuse` on or off for the sockets."""
        self._control.call("set_socket_fault", kind=kind, on=on)

    def drop_sockets(self) -> int:
        """Cuts every socket without a word; gives how many."""
        return int(self._control.call("drop_sockets"))

    def disconnect_sockets(self, reason: str = "refresh_requested") -> None:
        """Sends `disconnect` to every socket, as Slack does before it refreshes one."""
        self._control.call("goodbye", reason=reason)

    def clear(self, method: str | None = None) -> None:
        """Removes the faults of a method, or all of them with those of the sockets."""
        self._control.call("clear_faults", method=method)


class Admin:
    """Changes by an owner of the workspace; the app gets the events that Slack would send."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def create_user(self, name: str, real_name: str, *, join: bool = True, **fields: Any) -> str:
        """A new person; gives the id. With `join` the app gets team_join."""
        asked = {"name": name, "real_name": real_name, "join": join, **fields}
        return str(self._control.call("create_user", **asked)["id"])

    def change_user(self, user: str, **fields: Any) -> None:
        """Changes fields of a person, such as tz, email, is_admin."""
        self._control.call("change_user", user=user, **fields)

    def deactivate(self, user: str) -> None:
        """Deactivates a person."""
        self.change_user(user, deleted=True)

    def reactivate(self, user: str) -> None:
        """Reactivates a person."""
        self.change_user(user, deleted=False)

    def make_guest(self, user: str, single_channel: bool = False) -> None:
        """Makes a person a guest."""
        self.change_user(user, is_restricted=True, is_ultra_restricted=single_channel)

    def create_group(self, handle: str, users: list[str]) -> str:
        """A new user group; gives the id."""
        return str(self._control.call("create_group", handle=handle, users=users)["id"])

    def set_group(self, group: str, users: list[str]) -> None:
        """Replaces the members of a group, by id or @handle."""
        self._control.call("set_group", group=group, users=users)

    def disable_group(self, group: str, disabled: bool = True) -> None:
        """Switches a group off or on."""
        self._control.call(
            "set_group", group=group, date_delete=int(time.time()) if disabled else 0
        )

    def create_channel(self, name: str, members: list[str], *, private: bool = False) -> str:
        """A new channel; gives the id."""
        made = self._control.call("create_channel", name=name, members=members, is_private=private)
        return str(made["id"])

    def rename(self, channel: str, name: str) -> None:
        """Gives a channel, by id or #name, another name (without #)."""
        self.set_channel(channel, name=name)

    def archive(self, channel: str, archived: bool = True) -> None:
        """Archives a channel, by id or #name."""
        self._control.call("set_channel", channel=channel, is_archived=archived)

    def set_channel(self, channel: str, **fields: Any) -> None:
        """Changes fields of a channel."""
        self._control.call("set_channel", channel=channel, **fields)

    def add_to_channel(self, channel: str, user: str | None = None) -> None:
        """Adds a person, or the bot."""
        self._control.call("set_member", channel=channel, user=user, member=True)

    def remove_from_channel(self, channel: str, user: str | None = None) -> None:
        """Removes a person, or the bot."""
        self._control.call("set_member", channel=channel, user=user, member=False)

    def grant_scopes(self, scopes: list[str]) -> None:
        """Replaces the scopes of the bot token."""
        self._control.call("set_app", scopes=scopes)

    def revoke_tokens(self, *tokens: str) -> None:
        """Makes exactly these tokens answer token_revoked; without any, none does."""
        self._control.call("set_app", revoked=list(tokens))

    def advance_clock(self, seconds: float) -> None:
        """Moves the workspace's clock forward, so that triggers and response_urls expire."""
        self._control.call("advance_clock", seconds=seconds)

    def rate_limits(
        self, on: bool = True, methods: dict[str, tuple[float, int]] | None = None
    ) -> None:
        """Switches rate limits; `methods` sets (per minute, burst) of single ones."""
        self._control.call("set_limits", on=on, methods=methods or {})

    def delivery(self, **settings: Any) -> None:
        """Sets request_url, retry_delays (seconds) or ack_seconds."""
        self._control.call("set_delivery", **settings)

    def show_link(self, title: str, url: str) -> None:
        """Offers a further address on the page."""
        self._control.call("set_link", title=title, url=url)

    def close_tools(self, why: str = "") -> None:
        """Blocks the clock and the faults of the page, and says why; an empty text allows them
        again."""
        self._control.call("close_tools", why=why)

    def emit(self, event: Json) -> bool:
        """Sends any event to the app, with retries; False when it isn't subscribed to."""
        return bool(self._control.call("emit_event", event=event))


class Inspector:
    """The records of calls and deliveries."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def calls(self, method: str | None = None) -> list[Json]:
        """API calls, oldest first: method, args, status, ok, error, warnings, lost, at, seconds."""
        return list(self._control.call("calls", method=method))

    def deliveries(self, last: int = 500) -> list[Json]:
        """Deliveries, oldest first: number, kind, payload, attempt, outcome, ack, acks, seconds,
        via."""
        return list(self._control.call("deliveries", last=last))

    def forget(self) -> None:
        """Empties both records."""
        self._control.call("forget_record")

    def messages(self, channel: str, thread: str | None = None) -> list[Json]:
        """The messages of a channel or thread, oldest first, for any viewer."""
        return list(self._control.call("messages", channel=channel, thread=thread))

    def files(self) -> list[Json]:
        """Uploaded files with their content as text."""
        return list(self._control.call("files"))

    def directory(self) -> Json:
        """Users, groups and channels by id."""
        return dict(self._control.call("directory"))

    def hanging(self) -> int:
        """The number of calls that a `hang` fault holds."""
        return int(self._control.call("info")["faults"]["hanging"])

    def connections(self) -> int:
        """The number of open sockets."""
        return int(self._control.call("info")["connections"])

    def viewers(self) -> int:
        """The number of open windows of the page."""
        return int(self._control.call("info")["viewers"])
