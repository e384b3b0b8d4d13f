"""Saves a workspace as JSON and restores it, so that a demo can be continued.

Open modals, triggers and response_urls are not saved.
"""

from __future__ import annotations

import base64
import itertools
from dataclasses import asdict

from bot.sandbox.checks import Json
from bot.sandbox.workspace import Channel, Group, User, View, Workspace

PLAIN = ("messages", "ephemerals", "reads", "clock_offset")


def kept(workspace: Workspace) -> Json:
    """The saved state as JSON."""
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
        "homes": [asdict(view) for view in workspace.app.homes.values()],
        "files": files,
    }


def restore(workspace: Workspace, found: Json) -> None:
    """Restores saved state into a new workspace. Raises KeyError or TypeError for other data."""
    for name in PLAIN:
        setattr(workspace, name, found[name])
    workspace.numbers = itertools.count(int(found["next_number"]) + 1)
    workspace.users = {item["id"]: User(**item) for item in found["users"]}
    workspace.groups = {item["id"]: Group(**item) for item in found["groups"]}
    workspace.channels = {item["id"]: Channel(**item) for item in found["channels"]}
    homes = [View(**{"app": workspace.app.id, **item}) for item in found["homes"]]
    workspace.app.homes = {view.user: view for view in homes}
    workspace.files = {
        key: {**item, "content": base64.b64decode(item["content"])}
        for key, item in found["files"].items()
    }
