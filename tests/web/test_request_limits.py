"""A client that sends without end, or never finishes a request, is disconnected; all others are
served."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from bot.config.logging import Seldom
from bot.web import request_limits
from tests.web.conftest import Site, serving

START = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /slack/none HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def port(site: Site) -> Iterator[int]:
    with serving(site.app) as port:
        yield port


def _sent_until_hung_up(port: int, start: bytes, more: bytes) -> int:
    """The number of bytes taken before the other side hung up; gives up at 50 MB."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(start)
            while sent < 50_000_000:
                connection.sendall(more)
                sent += len(more)
        except (ConnectionError, TimeoutError):
            pass
    return sent


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (START, b"X-More: 1234567890\r\n" * 1000),
        (START + b"X-Long: ", b"a" * 20_000),
        (b"GET /", b"a" * 20_000),
        (POST + b"1;name=", b"a" * 20_000),
        (POST + b"0\r\n", b"X-Trailer: 1234567890\r\n" * 1000),
    ],
    ids=["headers", "one header", "a path", "a chunk's extension", "trailers"],
)
def test_an_endless_request_is_not_kept_in_memory(port: int, start: bytes, more: bytes) -> None:
    # Fits into the sockets of both sides.
    assert _sent_until_hung_up(port, start, more) < 20_000_000
    assert httpx2.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("first", "then"),
    [(b"", b""), (b"", START), (b"", POST + b"5\r\nabc"), (GET, START), (GET, b"\r\n")],
    ids=[
        "nothing",
        "half a head",
        "half a body",
        "half a second request",
        "a line after a request",
    ],
)
def test_a_request_that_does_not_arrive_in_time_is_disconnected(
    port: int, first: bytes, then: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "ARRIVES_WITHIN", 1)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(first)
        assert not first or connection.recv(65536)
        connection.sendall(then)
        with suppress(ConnectionError):
            while connection.recv(65536):
                pass


def test_a_connection_in_use_is_kept(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "ARRIVES_WITHIN", 1)
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for _ in range(5):
            assert client.get("/healthz").status_code == 200
            time.sleep(0.5)
        # httpx does not show them anywhere else.
        (connection,) = client._transport._pool.connections  # type: ignore[attr-defined] # noqa: SLF001
        assert connection.is_idle()


class Waiting:
    """An application that answers the length of the body; to `/held` only on order, and to `/much`
    with more than the sockets of both sides hold."""

    def __init__(self) -> None:
        self.go, self.gone, self.begun = threading.Event(), threading.Event(), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.begun += 1
        request = Request(scope, receive)
        while scope["path"] == "/held" and not self.go.is_set():
            await asyncio.sleep(0.01)
        if scope["path"] != "/much":
            await PlainTextResponse(str(len(await request.body())))(scope, receive, send)
            return
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x" * 50_000_000, "more_body": True})
            # Waits until it was taken, or nobody is there.
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.gone.set()


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def _is_hung_up_on(connection: socket.socket) -> bool:
    try:
        return connection.recv(65536) == b""
    except ConnectionError:
        return True


def test_a_connection_with_thousands_of_requests_at_once_is_closed(waiting: Waiting) -> None:
    with serving(waiting) as port:  # type: ignore[arg-type]
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            with suppress(ConnectionError):
                connection.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n" * 5000)
            assert _is_hung_up_on(connection)
        waiting.go.set()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(GET * 20 + GET.replace(b"Host", b"Connection: close\r\nHost"))
            answers = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answers.count(b"200 OK") == 21
    assert waiting.begun == 1 + 21


def test_an_answer_that_is_not_read_is_not_kept(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "ARRIVES_WITHIN", 1)
    with (
        serving(waiting) as port,  # type: ignore[arg-type]
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        connection.sendall(GET.replace(b"/healthz", b"/much"))
        assert waiting.gone.wait(20)


def test_unfinished_large_requests_leave_room_for_others(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "MOST_HELD", 400_000)
    head, body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", b"x" * 100_000
    with serving(waiting) as port, ExitStack() as stack:  # type: ignore[arg-type]
        open_ = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for _ in range(10)
        ]
        for connection in open_:
            with suppress(ConnectionError):
                connection.sendall(head % 200_000 + body)
        last = open_[-1]
        assert _is_hung_up_on(last)
        assert (
            httpx2.post(f"http://127.0.0.1:{port}/", content=b"x" * 1000, trust_env=False).text
            == "1000"
        )
        for connection in open_:
            connection.close()
        while not (
            answer := _posted(port, 200_000)
        ):  # those that were closed are noticed one after the other
            pass
        assert answer == "200000"


def _posted(port: int, size: int) -> str:
    with suppress(httpx2.TransportError):
        return httpx2.post(f"http://127.0.0.1:{port}/", content=b"x" * size, trust_env=False).text
    return ""


def test_a_request_that_is_answered_early_holds_no_memory(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "MOST_HELD", 400_000)
    with (
        serving(site.app) as port,
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        connection.sendall(b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n")
        answer = b""
        while b"not_found" not in answer:
            answer += connection.recv(65536)
        connection.sendall(b"x" * 5_000_000)
        connection.sendall(GET)
        assert b"200 OK" in connection.recv(65536)


@pytest.mark.parametrize(
    "sent",
    [b"garbage\r\n\r\n", START + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"],
    ids=["no HTTP", "an upgrade"],
)
def test_invalid_requests_are_one_line_a_minute_of_each_kind(
    site: Site, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.filters = [each for each in logger.filters if not isinstance(each, Seldom)]
    with serving(site.app) as port:
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(sent)
                assert connection.recv(65536)
    said = [line.getMessage() for line in caplog.records if line.levelname == "WARNING"]
    assert said and len(said) == len(set(said))
