"""Sends changes to one person as server-sent events: everything that the person may see, and
nothing else.

The id of a batch is the number of its last change; after a break the browser sends the last one
that it got. If that is too old, or from another run, the page must start over.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

from bot.sandbox.checks import Json
from bot.sandbox.page import controls, queries
from bot.sandbox.workspace import SlackError, User
from bot.sandbox.world import World

# The run of the server that an id is from.
RUN = secrets.token_hex(4)
# A burst of changes is one batch; an idle connection gets a keep-alive now and then.
GATHER_SECONDS, QUIET_SECONDS = 0.05, 15.0
DIRECTORY = {
    "team_join",
    "user_change",
    "group_changed",
    "channel_changed",
    "im_opened",
    "app_changed",
}
TOOLS = {"tools_changed", "sockets"}
Part = Callable[[World, User, Json], Any]


def _message(world: World, user: User, change: Json) -> Json | None:
    channel = world.workspace.channels.get(change["channel"])
    if channel is None or user.id not in channel.members:
        return None
    found = world.workspace.messages.get(channel.id, {}).get(change["ts"])
    return {"channel": channel.id, "ts": change["ts"], "message": found}


def _ephemeral(world: World, user: User, change: Json) -> Json | None:
    if change["user"] != user.id:
        return None
    mine = world.workspace.ephemerals.get(user.id, [])
    found = next((item for item in mine if item["ts"] == change["ts"]), None)
    return {"ts": change["ts"], "channel": change.get("channel"), "message": found}


MESSAGES: dict[str, Part] = {
    "message_posted": _message,
    "message_changed": _message,
    "message_deleted": _message,
    "ephemeral_shown": _ephemeral,
    "ephemeral_gone": _ephemeral,
}
MODALS = {"view_opened", "view_changed", "views_closed"}


def batch(world: World, user: User, changes: list[Json]) -> Json:
    """These changes for this person: messages, and the current state of everything else."""
    kinds = {change["kind"] for change in changes}
    mine = {change["kind"] for change in changes if change.get("user") == user.id}
    found: Json = {"now": world.workspace.now(), "messages": _messages(world, user, changes)}
    if mine & MODALS:
        found["modal"] = queries.modal(world, user)
    if "home_published" in mine:
        found["home"] = queries.home(world, user)
    if kinds & DIRECTORY:
        found["directory"] = queries.directory(world, user)
    if kinds & {"sockets", "app_changed"}:
        found["app"] = queries.app(world)
    if kinds & {"message_posted", "message_deleted", "read", "channel_changed", "group_changed"}:
        found.update(unread=queries.unread_all(world, user), waiting=queries.waiting(world))
    if "links_changed" in kinds:
        found["links"] = world.links
    if "gate_answered" in kinds:
        found["gate"] = world.gate
    if kinds & {"api_call", "delivered"}:
        found["record"] = True
    if kinds & TOOLS or (found.get("record") and any(world.scenes.troubles())):
        found["tools"] = controls.tools(world)
    return found


def _messages(world: World, user: User, changes: list[Json]) -> list[Json]:
    """Each message once, in its current state; without `message` it was deleted."""
    found: dict[tuple[str, str], Json] = {}
    for change in changes:
        part = MESSAGES.get(change["kind"])
        item = part(world, user, change) if part else None
        if item is not None:
            found[(str(item["channel"]), item["ts"])] = item
            parent = _parent(world, item)
            found.update({(parent["channel"], parent["ts"]): parent} if parent else {})
    return list(found.values())


def _parent(world: World, item: Json) -> Json | None:
    """The message above an answer in a thread: it counts its answers."""
    thread = str((item["message"] or {}).get("thread_ts", item["ts"]))
    above = world.workspace.messages.get(str(item["channel"]), {}).get(thread)
    return (
        {"channel": item["channel"], "ts": thread, "message": above}
        if above and thread != item["ts"]
        else None
    )


def is_news(item: Json) -> bool:
    """Whether there is anything in a batch for this person."""
    return bool(item["messages"]) or len(item) > 2


def event(number: int, kind: str, data: Json) -> bytes:
    """One server-sent event."""
    return f"id: {RUN}.{number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def resumed(world: World, last: str) -> int | None:
    """The number of the last change that the browser has; None if the changes after it are no
    longer stored."""
    run, _, number = last.partition(".")
    if run != RUN or not number.isdigit() or int(number) > world.workspace.version:
        return None
    oldest = (
        world.workspace.changes[0]["version"]
        if world.workspace.changes
        else world.workspace.version + 1
    )
    return int(number) if int(number) >= oldest - 1 else None


async def stream(world: World, user: User, last: str) -> AsyncIterator[bytes]:
    """The events for one person from `last` on, until the browser disconnects."""
    after = resumed(world, last)
    if after is None:
        after = world.workspace.version
        yield b"retry: 1000\n" + event(after, "start_over", {})
    changed = asyncio.Event()
    listener = lambda change: changed.set()  # noqa: E731 - needed by name, to take it out again
    world.workspace.listeners.append(listener)
    world.viewers += 1
    try:
        while not world.ending:
            fresh = [change for change in world.workspace.changes if change["version"] > after]
            after = world.workspace.version
            if fresh and is_news(changes := batch(world, _still_here(world, user), fresh)):
                yield event(after, "batch", changes)
            changed.clear()
            try:
                await asyncio.wait_for(changed.wait(), QUIET_SECONDS)
                await asyncio.sleep(GATHER_SECONDS)
            except TimeoutError:
                yield b": still here\n\n"
    except SlackError as gone:
        yield event(after, "gone", {"error": gone.error})
    finally:
        world.viewers -= 1
        world.workspace.listeners.remove(listener)


def _still_here(world: World, user: User) -> User:
    return queries.person(world, user.id)
