"""The HTTP routes and the settings of the server. Each endpoint has its own file and calls
operations.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any

import uvicorn
from anyio import to_thread
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.config.logging import limit_lines_of_server
from bot.core.errors import StorageUnavailable
from bot.operations._unit_of_work import Context
from bot.operations.policy.record_policy import is_outdated
from bot.operations.process.check_storage import check_head
from bot.operations.process.count_state import failing_channels
from bot.operations.usage.count_usage import UsageMeter
from bot.tokens import Signer
from bot.web.auth import Auth
from bot.web.browser_pages import BrowserPages
from bot.web.health import Metrics, Readiness, Ready, SystemHealth, health
from bot.web.oauth import Introspect, Revoke
from bot.web.programs import GetRequest, PostRequest, Programs
from bot.web.request_limits import Connections, bounded, most_connections
from bot.web.responses import ALWAYS, Endpoint, Handler, RequestCounter, TracedEndpoint
from bot.web.ssh import CaKeys, CaPub, Krl, no_ca_keys
from bot.web.token_check import TokenChecks
from bot.web.usage import Usage

__all__ = ["build_web", "listening", "serve_config"]

log = logging.getLogger(__name__)

WRITE_EVERY = 1.0
"""Seconds between writes of the counted use of tokens."""


Path = tuple[str, list[str] | None, Handler]
"""A path with its methods (None: any) and its handler."""

BACKLOG = 128
"""Connections that are accepted at once, before the oldest are closed."""


def build_web(
    world: Context,
    signer: Signer,
    meter: UsageMeter,
    *,
    ready: Ready,
    registry: CollectorRegistry,
    slack: Handler | None = None,
    systems: SystemHealth = dict,
    ca_keys: CaKeys = no_ca_keys,
) -> Starlette:
    """All endpoints as one ASGI application. `slack` is a SlackEvents in HTTP mode, else None.
    `systems` returns the health of the connected systems, `ca_keys` the public keys of ssh systems.

    While it runs, the counts of `meter` are written every second, and once more when it stops.
    """
    answered = RequestCounter(
        registry, "access_bot_http_requests", "Answers, by route and status.", "route", "status"
    )
    checks = _token_checks(world, signer, meter, registry)
    pages = BrowserPages(checks)
    auth = Auth(checks, pages)
    table = [
        *_for_systems(world, checks, auth, ca_keys),
        *_for_programs(checks),
        *_for_browsers(pages),
        *([("/slack/events", ["POST"], slack)] if slack else []),
        *_for_operators(_readiness(world, ready, systems), registry),
    ]

    def endpoint(path: str, handler: Handler) -> Endpoint:
        kind = Endpoint if handler is auth else TracedEndpoint
        return kind(path, handler, answered)

    app = _Site(
        hot={"/auth": endpoint("/auth", auth)},
        routes=[
            Route(path, endpoint(path, handler), methods=methods)
            for path, methods, handler in table
        ],
        exception_handlers={HTTPException: _no_such(answered)},
        lifespan=_writing(world, meter),
    )
    app.router.redirect_slashes = False
    return app


def _token_checks(
    world: Context, signer: Signer, meter: UsageMeter, registry: CollectorRegistry
) -> TokenChecks:
    words = "Checks of tokens and browser sessions, by system and outcome."
    counter = RequestCounter(registry, "access_bot_token_checks", words, "system", "outcome")
    return TokenChecks(world, signer, meter, counter)


def _for_systems(world: Context, checks: TokenChecks, auth: Auth, ca_keys: CaKeys) -> list[Path]:
    """Returns the endpoints for connected systems and the proxies in front of them."""
    return [
        ("/auth", None, auth),
        ("/auth/{path:path}", None, auth),  # Envoy asks with the client's own path and method
        ("/oauth2/introspect", ["POST"], Introspect(checks)),
        ("/oauth2/revoke", ["POST"], Revoke(checks)),
        ("/usage", ["POST"], Usage(checks)),
        ("/ssh/krl", ["GET"], Krl(world)),
        ("/ssh/ca.pub", ["GET"], CaPub(ca_keys)),
    ]


def _for_programs(checks: TokenChecks) -> list[Path]:
    """Returns the endpoints for programs that ask in the name of their owner."""
    programs = Programs(checks)
    return [
        ("/requests", ["POST"], PostRequest(programs)),
        ("/requests/{id}", ["GET"], GetRequest(programs)),
    ]


def _for_browsers(pages: BrowserPages) -> list[Path]:
    """Returns the pages that proxies hand to the bot on the host of a protected system."""
    return [
        ("/_access/", ["GET"], pages.home),
        ("/_access/open", ["GET", "POST"], pages.open),
        ("/_access/sign-out", ["POST"], pages.sign_out),
    ]


def _for_operators(readiness: Readiness, registry: CollectorRegistry) -> list[Path]:
    return [
        ("/healthz", ["GET"], health),
        ("/readyz", ["GET"], readiness),
        ("/metrics", ["GET"], Metrics(registry)),
    ]


def _readiness(world: Context, ready: Ready, systems: SystemHealth) -> Readiness:
    stored = (
        partial(failing_channels, world),
        partial(check_head, world),
        partial(is_outdated, world),
    )
    return Readiness(ready, systems, *stored)


class _Site(Starlette):
    """Starlette, with a shortcut for paths that proxies call at every request."""

    def __init__(self, hot: Mapping[str, ASGIApp], **how: Any) -> None:
        super().__init__(**how)
        self._hot = hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hot = self._hot.get(scope["path"]) if scope["type"] == "http" else None
        await (hot or super().__call__)(scope, receive, send)


def serve_config(app: ASGIApp, host: str, port: int) -> uvicorn.Config:
    """The configuration for `uvicorn.Server(serve_config(…)).run()`, in any thread.

    It uses the existing loggers and writes no access log, because its lines would hold clients'
    data. Our own code reads forwarded headers. Connections stay open longer than nginx (60 s) keeps
    them, so that no request meets a closing one.
    """
    limit_lines_of_server()
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="asyncio",
        http=bounded(Connections(most_connections())),
        backlog=BACKLOG,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )


def listening(host: str, port: int) -> socket.socket:
    """A bound socket for `Server.run(sockets=[…])`, so that the port is known before (0 takes a
    free one). Raises OSError.

    It names its protocol, because only then asyncio turns Nagle's algorithm off; otherwise every
    answer with a body would wait 40 ms.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _no_such(answered: RequestCounter) -> Callable[[Request, Exception], Awaitable[Response]]:
    """404 and 405 in the form of the other answers. All unknown paths are counted together."""

    async def answer(
        request: Request, error: Exception
    ) -> Response:  # in the event loop, where it is counted
        status, headers = (
            (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
        )
        answered.add("other", status)
        words = {404: "not_found", 405: "method_not_allowed"}.get(status, "server_error")
        every = {name.decode(): value.decode() for name, value in ALWAYS} | dict(headers or {})
        return JSONResponse({"error": words}, status, every)

    return answer


def _writing(
    world: Context, meter: UsageMeter
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        writer = asyncio.create_task(_write_for_ever(meter))
        try:
            yield
        finally:
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
            await _write(meter)
            world.db.close()  # the connection of the event loop's own thread

    return lifespan


async def _write_for_ever(meter: UsageMeter) -> None:
    while True:
        await asyncio.sleep(WRITE_EVERY)
        if meter.has_counts:
            await _write(meter)


async def _write(meter: UsageMeter) -> None:
    """Writes the counts. If that fails, the meter keeps them for the next time."""
    try:
        await to_thread.run_sync(meter.flush)
    except StorageUnavailable as error:
        log.warning("the use of tokens could not be written yet: %s", error)
    except Exception:
        log.exception("writing the use of tokens failed")
