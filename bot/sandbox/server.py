"""Serves one workspace over HTTP and WebSocket on loopback, in a thread, and returns a `Sandbox` to
control it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute

from bot.sandbox.api import response_url, upload, web_api
from bot.sandbox.checks import Json
from bot.sandbox.client import Sandbox
from bot.sandbox.control import control
from bot.sandbox.dev_controls import AppProcess
from bot.sandbox.event_delivery import EventDelivery
from bot.sandbox.faults import Faults
from bot.sandbox.page import Guard, page_routes
from bot.sandbox.seed_data import company
from bot.sandbox.sockets import Sockets
from bot.sandbox.transport import CuttableHttp, mutable_websocket
from bot.sandbox.workspace import Workspace
from bot.sandbox.world import World


def build_world(workspace: Workspace, base_url: str) -> World:
    """The parts of one stand-in, put together."""
    faults = Faults()
    events = EventDelivery(workspace, Sockets(faults))
    return World(workspace, faults, events, base_url=base_url)


def build_app(world: World) -> Starlette:
    """The ASGI application."""
    return Starlette(
        routes=[
            Route("/api/{method}", web_api(world), methods=["GET", "POST"]),
            Route("/response/{path:path}", response_url(world), methods=["POST"]),
            Route("/upload/{file_id}", upload(world), methods=["POST", "PUT"]),
            Route("/sandbox/{verb}", control(world), methods=["POST"]),
            WebSocketRoute("/socket", world.events.sockets.serve),
            *page_routes(world),
        ],
        middleware=[Middleware(Guard)],
    )


class PortTaken(OSError):
    """The port can't be used; the text has advice."""

    def __init__(self, port: int, why: str) -> None:
        other = f"--port {port + 1}" if 1024 <= port < 65535 else "--port 8000"
        super().__init__(
            f"can't listen on 127.0.0.1:{port} ({why}): stop the program that uses it, choose"
            f" another port with {other}, or leave out --port to use a free one"
        )


def loopback(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 takes a free one. Raises PortTaken.

    It names TCP, because otherwise asyncio leaves Nagle's algorithm on, and every answer in two
    parts takes 40 ms.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise PortTaken(port, error.strerror or str(error)) from None
    return listener


class Server(uvicorn.Server):
    """uvicorn that closes the streams of open windows before it ends, because otherwise each would
    log a traceback."""

    def __init__(self, world: World, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.world = world

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the streams, then everything else."""
        self.world.ending = True
        self.world.workspace.changed("ending")
        await super().shutdown(sockets)


def build_server(world: World) -> Server:
    """uvicorn with our protocols, quiet, quick to end."""
    return Server(
        world,
        uvicorn.Config(
            build_app(world),
            http=CuttableHttp,
            ws=mutable_websocket(lambda: "silent" in world.faults.sockets),
            ws_ping_timeout=None,
            loop="asyncio",
            lifespan="off",
            proxy_headers=False,
            log_config=None,
            access_log=False,
            date_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        ),
    )


@contextlib.contextmanager
def running_sandbox(
    *,
    manifest: Json | None = None,
    request_url: str | None = None,
    rate_limits: bool = True,
    workspace: Workspace | None = None,
    port: int = 0,
    app_process: AppProcess | None = None,
) -> Iterator[Sandbox]:
    """Runs a stand-in in a thread and returns its handle.

    `manifest` decides scopes, events, commands and shortcuts; `request_url` switches from Socket
    Mode to signed HTTP; `workspace` replaces the small company; `app_process` is the app for people
    on the page to kill, start and take along in time. Raises PortTaken.
    """
    listener = loopback(port)
    world = build_world(
        workspace or company(manifest), f"http://127.0.0.1:{listener.getsockname()[1]}"
    )
    world.scenes.process = app_process
    world.limits.on, world.workspace.app.request_url = rate_limits, request_url
    server = build_server(world)
    thread = threading.Thread(target=server.run, args=([listener],), name="sandbox", daemon=True)
    thread.start()
    sandbox = Sandbox(world.base_url)
    try:
        yield sandbox
    finally:
        sandbox.faults.clear()
        server.should_exit = True
        thread.join(10)
        world.events.close()
        listener.close()
