"""The controls of the page: move the clock, cause faults, kill and start the app."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import asdict

from bot.sandbox.checks import Json
from bot.sandbox.dev_controls import (
    FORGOTTEN_AFTER,
    KILLED,
    MOST_SHOWN,
    TROUBLES,
    AppProcess,
    Trouble,
    missed_calls,
    missed_payloads,
    refused,
)
from bot.sandbox.page.actions import Doing
from bot.sandbox.page.inspecting import target
from bot.sandbox.workspace import SlackError, User
from bot.sandbox.world import World

FARTHEST = 30 * 86400
"""Seconds of one jump."""


def tools(world: World) -> Json:
    """The state of the controls: the clock, the app, the troubles."""
    scenes = world.scenes
    return {
        "closed": scenes.closed,
        "ahead": world.workspace.clock_offset,
        "app": scenes.process.state if scenes.process else None,
        "troubles": [_shown(world, trouble) for trouble in scenes.troubles()],
    }


def _shown(world: World, trouble: Trouble) -> Json:
    call, delivery = trouble.until or (math.inf, math.inf)
    calls = []
    for one in reversed(world.calls):
        if one["number"] <= trouble.after[0]:
            break
        calls.append(one)
    calls.reverse()
    missed = missed_calls(calls, call, lambda args: target(world, args))
    during = [one for one in calls if one["number"] <= call]
    return {
        "kind": trouble.kind,
        "began": trouble.began,
        "ended": trouble.ended,
        "calls": len(during),
        "refused": sum(map(refused, during)),
        "slowest": max((one["seconds"] for one in during), default=0),
        "missed": [asdict(one) for one in missed[:MOST_SHOWN]],
        "more": max(0, len(missed) - MOST_SHOWN),
        "payloads": len(
            missed_payloads(world.events.deliveries.values(), trouble.after[1], delivery)
        ),
    }


def _process(world: World) -> AppProcess:
    """Raises SlackError if another program runs the app, or while the controls are blocked."""
    if world.scenes.process is None:
        raise SlackError("not_ours", detail="The app was not started by this workspace.")
    _open(world)
    return world.scenes.process


def _open(world: World) -> None:
    if world.scenes.closed:
        raise SlackError("not_now", detail=world.scenes.closed)


def _changed(world: World) -> Json:
    world.workspace.changed("tools_changed")
    return tools(world)


async def coming(world: World, user: User, asked: Json) -> Json:
    """The next reminder and end, as the app reports them."""
    process = _process(world)
    return {"coming": await asyncio.to_thread(process.coming)}


async def jump(world: World, user: User, asked: Json) -> Json:
    """Moves the clock forward, `to` a time (UTC seconds) or `by` seconds, together with the app's
    clock."""
    process, workspace = _process(world), world.workspace
    far = float(asked["by"]) if "by" in asked else float(asked["to"]) - workspace.now()
    if not 0 < far <= FARTHEST:
        raise SlackError("not_ahead", detail="The clock only moves forward, by a month at most.")
    workspace.clock_offset += far
    _changed(world)
    await asyncio.to_thread(process.follow, workspace.clock_offset)
    return tools(world)


async def make_trouble(world: World, user: User, asked: Json) -> Json:
    """Starts one kind of trouble between the app and Slack, in place of another."""
    _open(world)
    fault = TROUBLES[asked["kind"]]
    _undo(world)
    world.faults.set("*", fault)
    world.scenes.slack = Trouble(asked["kind"], world.workspace.now(), world.newest())
    return _changed(world)


async def end_trouble(world: World, user: User, asked: Json) -> Json:
    """Ends the trouble between the app and Slack."""
    _open(world)
    _undo(world)
    if world.scenes.slack is not None:
        _end(world, world.scenes.slack)
    return _changed(world)


def _undo(world: World) -> None:
    if world.scenes.slack is not None and world.scenes.slack.ended is None:
        world.faults.clear("*")


def _end(world: World, trouble: Trouble) -> None:
    """Its effects are still shown for a while."""
    if trouble.ended is None:
        trouble.ended, trouble.until = world.workspace.now(), world.newest()
        asyncio.get_running_loop().call_later(
            FORGOTTEN_AFTER, _drop, world, lambda one: one is trouble
        )


def _drop(world: World, those: Callable[[Trouble], bool]) -> None:
    scenes = world.scenes
    scenes.slack = None if scenes.slack and those(scenes.slack) else scenes.slack
    scenes.app = None if scenes.app and those(scenes.app) else scenes.app
    world.workspace.changed("tools_changed")


async def forget_trouble(world: World, user: User, asked: Json) -> Json:
    """Hides a trouble that is over."""
    _drop(world, lambda one: one.kind == asked["kind"] and one.ended is not None)
    return tools(world)


async def kill_app(world: World, user: User, asked: Json) -> Json:
    """Kills the app in the middle of its work."""
    process = _process(world)
    if world.scenes.app is None or world.scenes.app.ended is not None:
        world.scenes.app = Trouble(KILLED, world.workspace.now(), world.newest())
    await asyncio.to_thread(process.kill)
    return _changed(world)


async def start_app(world: World, user: User, asked: Json) -> Json:
    """Starts the app again. Raises SlackError with the reason if it does not start."""
    process = _process(world)
    starting = asyncio.ensure_future(asyncio.to_thread(process.start))
    await asyncio.wait({starting}, timeout=0.1)
    _changed(world)
    try:
        await starting
    except Exception as why:
        raise SlackError("did_not_start", detail=str(why)) from why
    finally:
        world.workspace.changed("tools_changed")
    if world.scenes.app is not None:
        _end(world, world.scenes.app)
    return _changed(world)


STEERINGS: dict[str, Doing] = {
    "coming": coming,
    "jump": jump,
    "make_trouble": make_trouble,
    "end_trouble": end_trouble,
    "forget_trouble": forget_trouble,
    "kill_app": kill_app,
    "start_app": start_app,
}
