"""Thousands of idle connections leave descriptors to the server, and answers to other clients."""

from __future__ import annotations

import http.client
import re
import resource
import socket
import subprocess
import sys
from contextlib import ExitStack, closing

import pytest

from bot.web import request_limits
from bot.web.request_limits import raise_descriptor_limit

FLOOD = 2500
SERVER = """
import logging, resource, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from bot.web import listening, serve_config

logging.basicConfig(stream=sys.stderr)
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("well"))])
listener = listening("127.0.0.1", 0)
listener.listen()
print(listener.getsockname()[1], flush=True)
uvicorn.Server(serve_config(app, "127.0.0.1", 0)).run(sockets=[listener])
"""


def _get(connection: http.client.HTTPConnection) -> bytes:
    connection.request("GET", "/")
    return connection.getresponse().read()


@pytest.fixture
def many_descriptors() -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < FLOOD + 500:
        pytest.skip("this process may not open so many connections")
    raise_descriptor_limit()


@pytest.mark.usefixtures("many_descriptors")
def test_2500_idle_connections_exhaust_no_descriptors() -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with ExitStack() as stack:
            for _ in range(FLOOD):
                address = ("127.0.0.1", port)
                stack.enter_context(closing(socket.create_connection(address, timeout=30)))
            other = stack.enter_context(
                closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30))
            )
            assert _get(other) == _get(other) == b"well"
    finally:
        server.terminate()
        _, said = server.communicate(timeout=30)
    assert len(re.findall("more than 512 connections at once", said)) == 1, said[-2000:]
    assert "out of system resource" not in said and "Too many open files" not in said


class _Connection:
    """One that may wait for an answer, and can be closed."""

    def __init__(self, idle: bool = True) -> None:
        self.idle, self.closed, self.transport = idle, False, self

    def is_idle(self) -> bool:
        return self.idle

    def abort(self) -> None:
        self.closed = True


def test_the_longest_idle_connection_is_closed_first_and_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    open_ = request_limits.Connections(3, lambda: now[0])
    busy, used, idle = _Connection(idle=False), _Connection(), _Connection()
    for each in (busy, used, idle):
        open_.add(each)  # type: ignore[arg-type]
    open_.used(used)  # type: ignore[arg-type]
    open_.add(_Connection())  # type: ignore[arg-type]
    assert [each.closed for each in (busy, used, idle)] == [False, False, True]
    for _ in range(50):
        open_.add(_Connection())  # type: ignore[arg-type]
    assert (busy.closed, used.closed, len(caplog.records)) == (False, True, 1)
    now[0] = 60
    open_.add(_Connection())  # type: ignore[arg-type]
    assert [record.getMessage() for record in caplog.records][1:] == [
        "more than 3 connections at once: closed 51, the longest idle first"
    ]
