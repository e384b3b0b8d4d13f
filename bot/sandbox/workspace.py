"""The state of one workspace: people, groups, channels, messages, views, files, its apps, and its
clock.

It notifies listeners of changes.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.checks import Json

Listener = Callable[[Json], None]


APP_IDS = ("id", "bot_id", "bot_user", "bot_token", "signing_secret")
# The most triggers and response_urls that are remembered; older ones count as unknown.
KEPT = 20_000


class SlackError(Exception):
    """A refusal as Slack returns it: `error` and the other fields of the answer."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.more = more


@dataclass
class User:
    """A member, guest, stranger or bot."""

    id: str
    name: str
    real_name: str
    email: str = ""
    tz: str = "Europe/Berlin"
    team_id: str = "T0SANDBOX"
    is_admin: bool = False
    is_bot: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    is_email_confirmed: bool = True
    is_invited_user: bool = False
    deleted: bool = False
    title: str = ""


@dataclass
class Group:
    """A user group; `date_delete` is 0 while it is in use."""

    id: str
    handle: str
    name: str
    users: list[str] = field(default_factory=list)
    date_delete: int = 0


@dataclass
class Channel:
    """A channel or, with `im_user`, a direct conversation of a bot with that person."""

    id: str
    name: str
    is_private: bool = False
    members: list[str] = field(default_factory=list)
    is_archived: bool = False
    is_ext_shared: bool = False
    im_user: str = ""


@dataclass
class View:
    """A modal or home view of one person, with the values typed into it so far (`drafts`)."""

    id: str
    app: str
    user: str
    body: Json
    hash: str
    root: str
    previous: str | None = None
    drafts: dict[str, dict[str, Json]] = field(default_factory=dict)


@dataclass
class AppInstall:
    """An installed app: ids, secrets, scopes and manifest, its address in HTTP mode, and the homes
    that it published. Ids of its direct conversations begin with `direct`."""

    id: str = "A0SANDBOX"
    bot_id: str = "B0SANDBOX"
    bot_user: str = "U0ACCESSBOT"
    bot_token: str = "xoxb-sandbox-0000000000"  # noqa: S105 - opens nothing but this stand-in
    app_token: str = "xapp-1-A0SANDBOX-0000000000"  # noqa: S105
    signing_secret: str = "sandbox-signing-secret-00000000"  # noqa: S105
    scopes: list[str] = field(default_factory=list)
    app_scopes: list[str] = field(default_factory=lambda: ["connections:write"])
    manifest: Json = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    request_url: str | None = None
    homes: dict[str, View] = field(default_factory=dict)
    direct: str = "D"

    @property
    def name(self) -> str:
        """The name beside the app's messages."""
        bot = self.manifest.get("features", {}).get("bot_user", {})
        return str(bot.get("display_name", "Access"))

    @property
    def command(self) -> str:
        """The first slash command."""
        commands = self.manifest.get("features", {}).get("slash_commands", [])
        return str(commands[0]["command"]) if commands else "/access"


def forget_oldest(kept: dict[str, Json]) -> None:
    """Drops the first entry of a dictionary that has grown too long."""
    if len(kept) > KEPT:
        del kept[next(iter(kept))]


class Workspace:
    """The whole state of the workspace. Every change goes through `changed`.

    `app` is the first app, which is meant wherever none is named.
    """

    def __init__(self, app: AppInstall) -> None:
        self.team_id, self.team_name, self.domain = "T0SANDBOX", "Sandbox", "sandbox"
        self.app = app
        self.apps = {app.id: app}
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, dict[str, Json]] = {}
        self.ephemerals: dict[str, list[Json]] = {}
        self.views: dict[str, View] = {}
        self.stacks: dict[str, list[str]] = {}
        self.files: dict[str, Json] = {}
        self.reads: dict[str, dict[str, str]] = {}
        self.triggers: dict[str, Json] = {}
        self.response_urls: dict[str, Json] = {}
        self.version = 0
        self.changes: deque[Json] = deque(maxlen=5000)
        self.listeners: list[Listener] = []
        self.clock_offset = 0.0
        self.numbers = itertools.count(1)
        self._last_micros = 0

    def now(self) -> float:
        """Seconds since the epoch in the workspace, which a test may move ahead of the real
        clock."""
        return time.time() + self.clock_offset

    def changed(self, kind: str, **what: Any) -> None:
        """Notifies every listener of a change, and stores it with a rising number."""
        self.version += 1
        change = {"version": self.version, "kind": kind, **what}
        self.changes.append(change)
        for listener in list(self.listeners):
            listener(change)

    def new_id(self, prefix: str) -> str:
        """A fresh id such as `V00000001A`."""
        return f"{prefix}{next(self.numbers):08d}{secrets.choice('ABCDEFGHJKLMNPQRSTUVWXYZ')}"

    def new_ts(self) -> str:
        """A message timestamp that no other message has, rising."""
        self._last_micros = max(self._last_micros + 1, int(self.now() * 1_000_000))
        return f"{self._last_micros // 1_000_000}.{self._last_micros % 1_000_000:06d}"

    def user(self, user_id: str) -> User:
        """The user, or SlackError user_not_found."""
        if user_id not in self.users:
            raise SlackError("user_not_found")
        return self.users[user_id]

    def by_name(self, name: str) -> User | None:
        """The user with this handle, if there is one."""
        return next((user for user in self.users.values() if user.name == name), None)

    def channel(self, ref: str) -> Channel:
        """The channel by id or #name, or SlackError channel_not_found."""
        if ref in self.channels:
            return self.channels[ref]
        wanted = ref.removeprefix("#")
        found = next((c for c in self.channels.values() if c.name and c.name == wanted), None)
        if found is None:
            raise SlackError("channel_not_found")
        return found

    def install(self, manifest: Json, scopes: list[str]) -> AppInstall:
        """Installs one more app, with ids and secrets of its own and a bot user."""
        number = len(self.apps) + 1
        app = AppInstall(scopes=scopes, manifest=manifest, direct=f"D{number}")
        for name in APP_IDS:
            setattr(app, name, f"{getattr(app, name)}{number}")
        app.app_token = f"xapp-1-{app.id}-0000000000"
        handle = f"{self.users[self.app.bot_user].name}{number}"
        self.users[app.bot_user] = User(app.bot_user, handle, app.name, "", "Etc/UTC", is_bot=True)
        self.apps[app.id] = app
        self.changed("app_changed")
        return app

    def app_of(self, thing: Json) -> AppInstall:
        """The app that is named in a message, payload or verb; otherwise the first."""
        named = thing.get("app_id") or thing.get("api_app_id")
        return self.apps.get(str(named), self.app)

    def app_of_user(self, user_id: str) -> AppInstall | None:
        """The app whose bot user this is, if it is one."""
        return next((app for app in self.apps.values() if app.bot_user == user_id), None)

    def direct(self, user_id: str, app: AppInstall) -> Channel:
        """The app's direct conversation with a person, created if needed."""
        channel_id = app.direct + user_id[1:]
        if channel_id not in self.channels:
            members = [user_id, app.bot_user]
            self.channels[channel_id] = Channel(channel_id, "", True, members, im_user=user_id)
            self.changed("im_opened", channel=channel_id, user=user_id)
        return self.channels[channel_id]

    def message(self, channel: str, ts: str) -> Json:
        """A stored message, or SlackError message_not_found."""
        found = self.messages.get(channel, {}).get(ts)
        if found is None:
            raise SlackError("message_not_found")
        return found

    def post(self, channel: Channel, message: Json) -> Json:
        """Stores a new message and returns it with its `ts` and `channel`."""
        message = {"type": "message", "ts": self.new_ts(), "channel": channel.id, **message}
        self.messages.setdefault(channel.id, {})[message["ts"]] = message
        parent = self.messages[channel.id].get(message.get("thread_ts", ""))
        if parent is not None:
            parent["reply_count"] = parent.get("reply_count", 0) + 1
            parent.setdefault("thread_ts", parent["ts"])
        self.changed("message_posted", channel=channel.id, ts=message["ts"])
        return message

    def edit(self, message: Json, *, seen_by: str = "", **fields: Any) -> None:
        """Replaces fields of a stored message; `seen_by` is the one person who sees an ephemeral
        one."""
        message.update(fields)
        if message.get("is_ephemeral"):
            self.changed(
                "ephemeral_shown", user=seen_by, channel=message["channel"], ts=message["ts"]
            )
            return
        self.changed("message_changed", channel=message["channel"], ts=message["ts"])

    def remove(self, channel: str, ts: str) -> None:
        """Deletes a stored message."""
        del self.messages[channel][ts]
        self.changed("message_deleted", channel=channel, ts=ts)

    def whisper(self, user: str, channel: str, message: Json) -> Json:
        """Shows a message to one person only."""
        shown = {
            "type": "message",
            "ts": self.new_ts(),
            "channel": channel,
            "is_ephemeral": True,
            **message,
        }
        self.ephemerals.setdefault(user, []).append(shown)
        self.changed("ephemeral_shown", user=user, channel=channel, ts=shown["ts"])
        return shown

    def dismiss(self, user: str, ts: str) -> None:
        """Removes an ephemeral message of one person."""
        mine = self.ephemerals.get(user, [])
        self.ephemerals[user] = [item for item in mine if item["ts"] != ts]
        self.changed("ephemeral_gone", user=user, ts=ts)

    def read(self, user: str, channel: str, ts: str) -> None:
        """Stores up to where a person has read a conversation; it never goes back."""
        marks = self.reads.setdefault(user, {})
        if ts > marks.get(channel, ""):
            marks[channel] = ts
            self.changed("read", user=user, channel=channel)

    def new_trigger(self, user: str, app: AppInstall) -> str:
        """A trigger id of this person for one app, good for three seconds and once."""
        trigger = f"{next(self.numbers)}.{secrets.randbelow(10**10)}.{secrets.token_hex(16)}"
        self.triggers[trigger] = {
            "user": user,
            "app": app.id,
            "at": self.now(),
            "used": False,
        }
        forget_oldest(self.triggers)
        return trigger

    def new_response_path(
        self, app: AppInstall, user: str, channel: str, origin: Json | None
    ) -> str:
        """The path of a response_url for the app's answer to this person in this place."""
        path = f"{self.team_id}/{next(self.numbers)}/{secrets.token_urlsafe(18)}"
        self.response_urls[path] = {
            "app": app.id,
            "user": user,
            "channel": channel,
            "origin": origin,
            "at": self.now(),
            "uses": 0,
        }
        forget_oldest(self.response_urls)
        return path

    def top_view(self, user: str) -> View | None:
        """The modal that the person looks at, if one is open."""
        stack = self.stacks.get(user)
        return self.views[stack[-1]] if stack else None

    def close_views(self, user: str, keep: int = 0) -> list[View]:
        """Closes the person's modals above the first `keep`, topmost first, and returns them."""
        stack = self.stacks.get(user, [])
        closed = [self.views.pop(view_id) for view_id in reversed(stack[keep:])]
        self.stacks[user] = stack[:keep]
        if closed:
            self.changed("views_closed", user=user, views=[view.id for view in closed])
        return closed
