"""The Web API endpoint: checks faults, token, rate, scope and arguments in this order, runs the
method, and records the call.

The tables of the `methods_*` modules have the handlers.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from bot.sandbox import methods_chat, methods_people, methods_views
from bot.sandbox.checks import Json
from bot.sandbox.rules import METHODS, missing_arguments, missing_scopes
from bot.sandbox.transport import cut
from bot.sandbox.workspace import AppInstall, SlackError
from bot.sandbox.world import Call, Handler, World

HANDLERS: dict[str, Handler] = {
    **methods_chat.HANDLERS,
    **methods_people.HANDLERS,
    **methods_views.HANDLERS,
}
Answer = tuple[int, Json, dict[str, str]]


class CutOff(Response):
    """No answer at all: the connection is cut."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Cuts the connection, then waits until the server has noticed, so that it sends no
        answer."""
        cut(scope)
        while (await receive())["type"] != "http.disconnect":
            pass


async def read_arguments(request: Request) -> Json:
    """The arguments of a call: query, form or JSON. Raises SlackError when the body can't be
    read."""
    args: Json = dict(request.query_params)
    body, kind = await request.body(), request.headers.get("content-type", "")
    if kind.startswith("application/json"):
        try:
            found = json.loads(body or b"{}")
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(found, dict):
            raise SlackError("json_not_object")
        return {**args, **found}
    try:
        return {**args, **dict(parse_qsl(body.decode(), keep_blank_values=True))}
    except UnicodeDecodeError:
        raise SlackError("invalid_form_data") from None


def token_of(request: Request, args: Json) -> str:
    """The token of a call, from the header or the `token` argument, which is taken out."""
    field = str(args.pop("token", ""))
    return request.headers.get("authorization", "").removeprefix("Bearer ").strip() or field


def caller(world: World, token: str) -> AppInstall:
    """The app with this token; without one, the first."""
    apps = world.workspace.apps.values()
    found = (app for app in apps if token in {app.bot_token, app.app_token, *app.revoked})
    return next(found, world.workspace.app)


def refuse_token(world: World, app: AppInstall, method: str, token: str) -> None:
    """Raises Slack's error for a token that is missing, wrong, revoked or of the other kind."""
    wanted = METHODS[method].token
    if wanted == "none":
        return
    if not token:
        raise SlackError("not_authed")
    if token in app.revoked:
        raise SlackError("token_revoked")
    tokens = {"bot": app.bot_token, "app": app.app_token}
    if token not in tokens.values():
        raise SlackError("invalid_auth")
    if token != tokens[wanted]:
        raise SlackError("not_allowed_token_type")
    if wanted == "bot" and world.workspace.users[app.bot_user].deleted:
        raise SlackError("account_inactive")


def granted(app: AppInstall, method: str) -> list[str]:
    """The scopes of the app's token that this method takes."""
    return app.app_scopes if METHODS[method].token == "app" else app.scopes  # noqa: S105


def refuse_call(app: AppInstall, method: str, args: Json) -> None:
    """Raises missing_scope, or the error about the arguments."""
    scopes = granted(app, method)
    needed = missing_scopes(method, set(scopes))
    if needed:
        raise SlackError("missing_scope", needed=",".join(needed), provided=",".join(scopes))
    missing = missing_arguments(
        method, {name for name, value in args.items() if value not in (None, "")}
    )
    if missing:
        messages = [f"[ERROR] missing required field: {name}" for name in missing]
        raise SlackError("invalid_arguments", response_metadata={"messages": messages})


def run(world: World, app: AppInstall, method: str, args: Json, token: str) -> Answer:
    """One call of an app without its faults: status, body and headers of the answer."""
    if method not in METHODS:
        raise SlackError("unknown_method", req_method=method)
    refuse_token(world, app, method, token)
    key = rate_key(world, app, str(args.get("channel", "")))
    wait = world.limits.wait(method, key, time.monotonic(), app.id)
    if wait:
        return ratelimited(wait)
    refuse_call(app, method, args)
    call = Call(world, app, args)
    result = HANDLERS[method](call)
    if call.warnings:
        result = {
            **result,
            "response_metadata": {"warnings": call.warnings, **result.get("response_metadata", {})},
        }
        result["warning"] = ",".join(call.warnings)
    return 200, {"ok": True, **result}, {}


def rate_key(world: World, app: AppInstall, ref: str) -> str:
    """The id of a channel, so that all of its names share one rate."""
    if ref in world.workspace.users:
        return app.direct + ref[1:]
    try:
        return world.workspace.channel(ref).id
    except SlackError:
        return ref


def ratelimited(seconds: float) -> Answer:
    """Slack's 429."""
    return 429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(max(1, round(seconds)))}


def attempt(world: World, app: AppInstall, method: str, args: Json, token: str) -> Answer:
    """`run`, with a refusal as an answer."""
    try:
        return run(world, app, method, args, token)
    except SlackError as refused:
        return 200, {"ok": False, "error": refused.error, **refused.more}, {}


# The answers of faults instead of the method; {kind: f(value)}.
INSTEAD: dict[str, Callable[[float], Answer]] = {
    "rate_limited": ratelimited,
    "http": lambda status: (int(status), {}, {}),
    "internal_error": lambda _: (200, {"ok": False, "error": "internal_error"}, {}),
    "invalid_auth": lambda _: (200, {"ok": False, "error": "invalid_auth"}, {}),
}


async def with_faults(
    world: World, request: Request, method: str, work: Callable[[], Answer]
) -> tuple[Answer, bool]:
    """The answer, faulty or not, and whether the connection is to be cut instead of giving it."""
    struck = world.faults.take(method)
    if "latency" in struck:
        await asyncio.sleep(struck["latency"])
    if "hang" in struck:
        await hang(world, request)
    if "hang" in struck or "reset" in struck:
        return (0, {"ok": False, "error": next(iter(struck.keys() & {"hang", "reset"}))}, {}), True
    for kind in struck.keys() & INSTEAD.keys():
        return INSTEAD[kind](struck[kind]), False
    return work(), "lost_answer" in struck


async def hang(world: World, request: Request) -> None:
    """Waits until the fault is cleared or the caller has gone."""
    cleared = asyncio.ensure_future(world.faults.cleared.wait())
    gone = asyncio.ensure_future(request.receive())
    world.faults.hanging += 1
    world.workspace.changed("call_hangs")
    await asyncio.wait({cleared, gone}, return_when=asyncio.FIRST_COMPLETED)
    world.faults.hanging -= 1
    for task in (cleared, gone):
        task.cancel()


def record(
    world: World, app: str, method: str, args: Json, answer: Answer, lost: bool, started: float
) -> None:
    """Writes a call down for the inspector."""
    status, body, _ = answer
    world.recorded(
        {
            "app": app,
            "method": method,
            "args": args,
            "status": status,
            "ok": bool(body.get("ok")),
            "error": body.get("error"),
            "warnings": body.get("response_metadata", {}).get("warnings", []),
            "lost": lost,
            "at": world.workspace.now(),
            "seconds": round(time.monotonic() - started, 4),
        },
        body,
    )


async def answer_call(
    world: World,
    request: Request,
    app: AppInstall,
    method: str,
    args: Json,
    work: Callable[[], Answer],
) -> Response:
    """Does `work` for an app under the faults of `method`, records it and answers."""
    started = time.monotonic()
    answer, lost = await with_faults(world, request, method, work)
    record(world, app.id, method, args, answer, lost, started)
    if lost:
        return CutOff()
    status, body, headers = answer
    if method in METHODS:
        headers = {**headers, "Date": formatdate(world.workspace.now(), usegmt=True)}
        headers["X-OAuth-Scopes"] = ",".join(granted(app, method))
        headers["X-Accepted-OAuth-Scopes"] = ",".join(METHODS[method].scopes)
    if status >= 500:
        return PlainTextResponse("upstream trouble", status, headers)
    return JSONResponse(body, status, headers)


Endpoint = Callable[[Request], Awaitable[Response]]


def web_api(world: World) -> Endpoint:
    """The endpoint of /api/{method}."""

    async def endpoint(request: Request) -> Response:
        method = request.path_params["method"]
        try:
            args = await read_arguments(request)
        except SlackError as refused:
            return JSONResponse({"ok": False, "error": refused.error})
        token = token_of(request, args)
        app = caller(world, token)
        return await answer_call(
            world, request, app, method, args, lambda: attempt(world, app, method, args, token)
        )

    return endpoint


def response_url(world: World) -> Endpoint:
    """The endpoint of /response/…: 404 with the reason if the link is used up or too old."""

    async def endpoint(request: Request) -> Response:
        args, path = await read_arguments(request), request.path_params["path"]
        link = world.workspace.response_urls.get(path, {})
        app = world.workspace.apps.get(link.get("app", ""), world.workspace.app)

        def work() -> Answer:
            try:
                methods_chat.answer_response_url(world, path, args)
            except SlackError as refused:
                status = 404 if refused.error.endswith("_url") else 400
                return status, {"ok": False, "error": refused.error, **refused.more}, {}
            return 200, {"ok": True}, {}

        return await answer_call(world, request, app, "response_url", args, work)

    return endpoint


def upload(world: World) -> Endpoint:
    """The endpoint to which files.getUploadURLExternal refers."""

    async def endpoint(request: Request) -> Response:
        content, file_id = await request.body(), request.path_params["file_id"]
        item: dict[str, Any] | None = world.workspace.files.get(file_id)
        app = world.workspace.app_of_user(item["user"]) if item else None

        def work() -> Answer:
            if item is None or len(content) != item["size"]:
                return 400, {"ok": False, "error": "file_size_mismatch"}, {}
            item["content"] = content
            world.workspace.changed("file_uploaded", file=file_id)
            return 200, {"ok": True}, {}

        args = {"file": file_id}
        return await answer_call(world, request, app or world.workspace.app, "upload", args, work)

    return endpoint
