"""A workspace as JSON and back, so that a demo can be left and gone on with.

What doesn't outlive Slack's own restart of a client is left out: open modals, triggers,
response_urls.
"""

from __future__ import annotations

import base64
import itertools
from dataclasses import asdict

from bot.sandbox.checks import Json
from bot.sandbox.workspace import Channel, Group, User, View, Workspace

PLAIN = ("messages", "ephemerals", "reads", "clock_offset")


def kept(workspace: Workspace) -> Json:
    """Everything that stays, as JSON."""
    files = {
        key: {**item, "content": base64.b64encode(item.get("content", b"")).decode()}
        for key, item in workspace.files.items()
    }
    return {
        **{name: getattr(workspace, name) for name in PLAIN},
        "next_number": next(workspace.numbers),
        "users": [asdict(user) for user in workspace.users.values()],
        "groups": [asdict(group) for group in workspace.groups.values()],
        "channels": [asdict(channel) for channel in workspace.channels.values()],
        "homes": [asdict(view) for view in workspace.homes.values()],
        "files": files,
    }


def restore(workspace: Workspace, found: Json) -> None:
    """Puts what was kept into a fresh workspace; raises KeyError or TypeError when it is none of
    ours."""
    for name in PLAIN:
        setattr(workspace, name, found[name])
    workspace.numbers = itertools.count(int(found["next_number"]) + 1)
    workspace.users = {item["id"]: User(**item) for item in found["users"]}
    workspace.groups = {item["id"]: Group(**item) for item in found["groups"]}
    workspace.channels = {item["id"]: Channel(**item) for item in found["channels"]}
    workspace.homes = {item["user"]: View(**item) for item in found["homes"]}
    workspace.files = {
        key: {**item, "content": base64.b64decode(item["content"])}
        for key, item in found["files"].items()
    }
