"""A running sandbox, Slack's own client for it, and a small real Bolt app; nothing of the bot."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from slack_bolt import App, BoltRequest
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from bot.sandbox import Person, Sandbox, running_sandbox

Connect = Callable[..., SocketModeHandler]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A fresh workspace without rate limits, which only their own tests need."""
    with running_sandbox(rate_limits=False) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> WebClient:
    """Slack's client, built as a bot would."""
    return bot_client(sandbox)


def bot_client(sandbox: Sandbox) -> WebClient:
    """A WebClient that reads only the environment."""
    env = sandbox.environment
    return WebClient(env["SLACK_BOT_TOKEN"], base_url=env["SLACK_API_URL"], timeout=10)


@pytest.fixture
def app(sandbox: Sandbox, client: WebClient) -> App:
    """A Bolt app without listeners."""
    quiet = logging.getLogger("bolt-under-test")
    quiet.setLevel(logging.CRITICAL)
    secret = sandbox.environment["SLACK_SIGNING_SECRET"]
    return App(client=client, signing_secret=secret, process_before_response=True, logger=quiet)


@pytest.fixture
def connect(sandbox: Sandbox, app: App, client: WebClient) -> Iterator[Connect]:
    """Opens one more Socket Mode connection for the app."""
    handlers: list[SocketModeHandler] = []
    with ExitStack() as stack:
        stack.callback(end, sandbox, handlers)

        def open_socket() -> SocketModeHandler:
            before = sandbox.inspector.connections()
            token = sandbox.environment["SLACK_APP_TOKEN"]
            handler = SocketModeHandler(app, token, web_client=client, ping_interval=1)
            handler.connect()
            handlers.append(handler)
            sandbox.wait_connected(before + 1)
            return handler

        yield open_socket


def end(sandbox: Sandbox, handlers: list[SocketModeHandler]) -> None:
    """Closes Slack's clients at once by cutting their connections, so that they don't wait three
    seconds for their last read."""
    for handler in handlers:
        handler.client.auto_reconnect_enabled = handler.client.default_auto_reconnect_enabled = (
            False
        )
    sandbox.faults.drop_sockets()
    for handler in handlers:
        handler.close()


@pytest.fixture
def ana(sandbox: Sandbox) -> Person:
    """An engineer."""
    return sandbox.person("ana")


@contextmanager
def over_http(app: App) -> Iterator[str]:
    """Serves a Bolt app's endpoint on loopback and gives its URL."""

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            answer = app.dispatch(BoltRequest(body=body, headers=dict(self.headers)))
            self.send_response(answer.status)
            for name, values in answer.headers.items():
                for value in values:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write((answer.body or "").encode())

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/slack/events"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def http_app(sandbox: Sandbox, app: App) -> Iterator[App]:
    """The app behind signed HTTP instead of a socket."""
    with over_http(app) as url:
        sandbox.admin.delivery(request_url=url)
        yield app
