"""The addresses of the page. Every request names a person: `?as=ana`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bot.sandbox.checks import Json
from bot.sandbox.page import files, inspecting, queries
from bot.sandbox.page.actions import DOINGS
from bot.sandbox.page.controls import STEERINGS, tools
from bot.sandbox.page.guard import from_page
from bot.sandbox.page.live import RUN, stream
from bot.sandbox.workspace import SlackError, User
from bot.sandbox.world import World

Endpoint = Callable[[Request], Awaitable[Response]]
VERBS = {**DOINGS, **STEERINGS}
UNCACHED = {**files.SAFE, "Cache-Control": "no-store"}


def viewer(world: World, request: Request) -> User:
    """The person of a request. Raises SlackError for an unknown one."""
    return queries.person(world, request.query_params.get("as", ""))


def refused(error: SlackError) -> Response:
    """A refusal with Slack's error."""
    return JSONResponse({"ok": False, "error": error.error, **error.more}, 400, UNCACHED)


def reading(world: World, look: Callable[[World, User, Json], Any]) -> Endpoint:
    """An address that shows something."""

    async def endpoint(request: Request) -> Response:
        try:
            found = look(world, viewer(world, request), dict(request.query_params))
        except SlackError as error:
            return refused(error)
        except (KeyError, ValueError) as wrong:
            return refused(SlackError("bad_request", detail=repr(wrong)))
        return JSONResponse({"ok": True, "result": found}, headers=UNCACHED)

    return endpoint


def acting(world: World) -> Endpoint:
    """The address where a person does something; only for our own page."""

    async def endpoint(request: Request) -> Response:
        kind = request.headers.get("content-type", "")
        if not kind.startswith("application/json") or not from_page(request.headers):
            return JSONResponse({"ok": False, "error": "not_from_the_page"}, 403, UNCACHED)
        try:
            asked = json.loads(await request.body())
            done = await VERBS[request.path_params["verb"]](world, viewer(world, request), asked)
        except SlackError as error:
            return refused(error)
        except (KeyError, ValueError, TypeError, LookupError) as wrong:
            return refused(SlackError("bad_request", detail=repr(wrong)))
        return JSONResponse({"ok": True, "result": done}, headers=UNCACHED)

    return endpoint


def events(world: World) -> Endpoint:
    """The stream of changes for one person."""

    async def endpoint(request: Request) -> Response:
        last = request.headers.get("last-event-id") or request.query_params.get("last", "")
        try:
            found = stream(world, viewer(world, request), last)
        except SlackError as error:
            return refused(error)
        headers = {**UNCACHED, "X-Accel-Buffering": "no"}
        return StreamingResponse(found, media_type="text/event-stream", headers=headers)

    return endpoint


def who(world: World) -> Endpoint:
    """The people to choose from, before a person is chosen."""

    async def endpoint(request: Request) -> Response:
        people = [user for user in world.workspace.users.values() if not user.is_bot]
        known = [{"id": user.id, "name": user.name, "deleted": user.deleted} for user in people]
        return JSONResponse({"ok": True, "result": {"people": known}}, headers=UNCACHED)

    return endpoint


def now(world: World) -> Endpoint:
    """The workspace's time, for the protected page."""

    async def endpoint(request: Request) -> Response:
        return JSONResponse({"now": world.workspace.now()}, headers=UNCACHED)

    return endpoint


def file(world: World) -> Endpoint:
    """An uploaded file, for a person who sees its message; always as a download."""

    async def endpoint(request: Request) -> Response:
        try:
            user = viewer(world, request)
        except SlackError as error:
            return refused(error)
        wanted = request.path_params["file_id"]
        if not any(
            wanted == attached["id"]
            for channel in queries.conversations(world, user)
            for message in world.workspace.messages.get(channel.id, {}).values()
            for attached in message.get("files", [])
        ):
            return refused(SlackError("file_not_found"))
        headers = {**UNCACHED, "Content-Disposition": "attachment"}
        return Response(
            world.workspace.files[wanted]["content"], media_type="text/plain", headers=headers
        )

    return endpoint


def begin(world: World, user: User, asked: Json) -> Json:
    """Everything that the page needs at the start, and the number from which to listen."""
    found = queries.everything(world, user)
    return {**found, "tools": tools(world), "last": f"{RUN}.{found['version']}"}


def page_routes(world: World) -> list[Route]:
    """The page's addresses."""
    return [
        Route("/", files.index),
        Route("/static/{name}", files.static),
        Route("/page/who", who(world)),
        Route("/page/now", now(world)),
        Route("/page/begin", reading(world, begin)),
        Route("/page/messages", reading(world, queries.messages)),
        Route("/page/thread", reading(world, queries.thread)),
        Route(
            "/page/record",
            reading(world, lambda world, user, asked: inspecting.record(world, asked)),
        ),
        Route("/page/file/{file_id}", file(world)),
        Route("/page/events", events(world)),
        Route("/page/do/{verb}", acting(world), methods=["POST"]),
    ]
