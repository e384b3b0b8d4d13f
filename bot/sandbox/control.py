"""The endpoints under /sandbox, as JSON: people's acts, the owner's changes, and reads.

They don't exist in Slack, and the app under test does not call them.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.sandbox.admin import VERBS
from bot.sandbox.api import Endpoint
from bot.sandbox.checks import Json
from bot.sandbox.methods_views import view_json
from bot.sandbox.payloads import escaped_command
from bot.sandbox.snapshot import kept
from bot.sandbox.user_actions import ACTS, actor
from bot.sandbox.workspace import SlackError
from bot.sandbox.world import World

NEWEST = 500


def info(world: World, asked: Json) -> Json:
    """The app's environment, the number of its open sockets, and that of the page's windows."""
    app = world.workspace.app_of(asked)
    return {
        "environment": {
            "SLACK_API_URL": f"{world.base_url}/api/",
            "SLACK_BOT_TOKEN": app.bot_token,
            "SLACK_APP_TOKEN": app.app_token,
            "SLACK_SIGNING_SECRET": app.signing_secret,
        },
        "connections": len(world.events.sockets.of(app.id)),
        "viewers": world.viewers,
        "version": world.workspace.version,
        "now": world.workspace.now(),
        "bot_user": app.bot_user,
        "faults": world.faults.shown(),
    }


def calls(world: World, asked: Json) -> list[Json]:
    """The newest API calls, oldest first; of one method when `method` is given."""
    method = asked.get("method")
    found = [call for call in world.calls if method in (None, call["method"])]
    return found[-int(asked.get("last", 20_000)) :]


def deliveries(world: World, asked: Json) -> list[Json]:
    """The newest deliveries, oldest first."""
    return world.events.shown(int(asked.get("last", NEWEST)))


def forget_record(world: World, asked: Json) -> None:
    """Empties the record of calls and deliveries."""
    world.calls.clear()
    world.events.deliveries.clear()


def messages(world: World, asked: Json) -> list[Json]:
    """The newest messages of a channel, oldest first, or those of one thread."""
    channel = world.workspace.channel(asked["channel"])
    if asked.get("user") and asked["user"] not in channel.members:
        raise SlackError("not_in_channel")
    found = list(world.workspace.messages.get(channel.id, {}).values())
    if asked.get("thread"):
        found = [item for item in found if item.get("thread_ts") == asked["thread"]]
    return found[-int(asked.get("last", NEWEST)) :]


def dms(world: World, asked: Json) -> list[Json]:
    """The messages in the app's direct conversation with a person."""
    workspace = world.workspace
    channel = workspace.direct(asked["user"], workspace.app_of(asked))
    return messages(world, {"channel": channel.id, **asked})


def ephemerals(world: World, asked: Json) -> list[Json]:
    """The ephemeral messages of this person."""
    return world.workspace.ephemerals.get(asked["user"], [])[-NEWEST:]


def top_view(world: World, asked: Json) -> Json | None:
    """The modal a person has open."""
    view = world.workspace.top_view(asked["user"])
    return view_json(world.workspace, view) if view else None


def home_view(world: World, asked: Json) -> Json | None:
    """The home that the app has published for a person."""
    view = world.workspace.app_of(asked).homes.get(asked["user"])
    return view_json(world.workspace, view) if view else None


def directory(world: World, asked: Json) -> Json:
    """Everybody and everything by id."""
    workspace = world.workspace
    return {
        "users": {key: asdict(user) for key, user in workspace.users.items()},
        "groups": {key: asdict(group) for key, group in workspace.groups.items()},
        "channels": {key: asdict(channel) for key, channel in workspace.channels.items()},
    }


def files(world: World, asked: Json) -> list[Json]:
    """The uploaded files with their content as text."""
    return [
        {**item, "content": item.get("content", b"").decode("utf-8", "replace")}
        for item in world.workspace.files.values()
    ]


def keep(world: World, asked: Json) -> Json:
    """The workspace, to be continued later."""
    return kept(world.workspace)


def escaped(world: World, asked: Json) -> str:
    """Command text as `should_escape` makes it."""
    return escaped_command(world.workspace, asked["text"])


async def changes(world: World, asked: Json) -> Json:
    """The changes after a version; waits for one, `wait` seconds at most."""
    after, workspace = int(asked.get("after", 0)), world.workspace
    if workspace.version <= after:
        woken = asyncio.Event()
        listener = lambda change: woken.set()  # noqa: E731 - needed by name, to take it out again
        workspace.listeners.append(listener)
        try:
            await asyncio.wait_for(woken.wait(), float(asked.get("wait", 0)))
        except TimeoutError:
            pass
        finally:
            workspace.listeners.remove(listener)
    found = [change for change in workspace.changes if change["version"] > after]
    return {"version": workspace.version, "changes": found}


async def deliver(world: World, asked: Json) -> Json:
    """Sends any payload unchanged to the app: forged, stale, repeated, misdelivered."""
    app, attempt = world.workspace.app_of(asked).id, asked.get("attempt", 0)
    return asdict(await world.events.deliver(asked["kind"], asked["payload"], attempt, app=app))


async def replay(world: World, asked: Json) -> Json:
    """Sends an earlier delivery once more, with the same envelope id or a new one."""
    copy = world.events.again(int(asked["number"]), bool(asked.get("same_envelope", True)))
    return asdict(await world.events.send(copy))


def trigger(world: World, asked: Json) -> str:
    """A fresh trigger id of a person."""
    return world.workspace.new_trigger(actor(world, asked).id, world.workspace.app_of(asked))


async def goodbye(world: World, asked: Json) -> None:
    """Sends `disconnect` to every socket."""
    await world.events.sockets.disconnect_all(asked.get("reason", "refresh_requested"))


READS: dict[str, Callable[[World, Json], Any]] = {
    "info": info,
    "calls": calls,
    "deliveries": deliveries,
    "forget_record": forget_record,
    "messages": messages,
    "dms": dms,
    "ephemerals": ephemerals,
    "view": top_view,
    "home_view": home_view,
    "directory": directory,
    "files": files,
    "kept": keep,
    "escaped": escaped,
    "changes": changes,
    "deliver": deliver,
    "replay": replay,
    "trigger": trigger,
    "goodbye": goodbye,
}
ALL: dict[str, Callable[[World, Json], Any]] = {**READS, **VERBS, **ACTS}


async def perform(world: World, verb: str, asked: Json) -> Json:
    """One verb; a refusal is {"ok": false, "error": …}."""
    try:
        found = ALL[verb](world, asked)
        return {"ok": True, "result": await found if inspect.isawaitable(found) else found}
    except SlackError as refused:
        return {"ok": False, "error": refused.error, **refused.more}
    except (KeyError, ValueError, TypeError) as wrong:
        return {"ok": False, "error": "bad_request", "detail": f"{verb}: {wrong!r}"}


def control(world: World) -> Endpoint:
    """The endpoint of /sandbox/{verb}. Only JSON, so that no page of another site can post to
    it."""

    async def endpoint(request: Request) -> Response:
        if not request.headers.get("content-type", "").startswith("application/json"):
            return JSONResponse({"ok": False, "error": "json_only"}, 415)
        asked = json.loads(await request.body() or b"{}")
        answer = await perform(world, request.path_params["verb"], asked)
        return JSONResponse(answer, 200 if answer["ok"] else 400)

    return endpoint
