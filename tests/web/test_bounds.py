"""Whoever sends without end, or never comes to one, is hung up on; everybody else is served."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from bot.logs import Seldom
from bot.web import bounds
from tests.web.conftest import Site, serving

START = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /slack/none HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def port(site: Site) -> Iterator[int]:
    with serving(site.app) as port:
        yield port


def _sent_until_hung_up(port: int, start: bytes, more: bytes) -> int:
    """How many bytes were taken before the other side hung up; gives up at 50 MB."""
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
def test_what_never_ends_is_not_kept_in_memory(port: int, start: bytes, more: bytes) -> None:
    assert _sent_until_hung_up(port, start, more) < 20_000_000  # what the sockets of both sides hold
    assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("first", "then"),
    [(b"", b""), (b"", START), (b"", POST + b"5\r\nabc"), (GET, START), (GET, b"\r\n")],
    ids=["nothing", "half a head", "half a body", "half a second request", "a line after a request"],
)
def test_what_does_not_arrive_in_time_is_hung_up_on(
    port: int, first: bytes, then: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "ARRIVES_WITHIN", 1)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(first)
        assert not first or connection.recv(65536)
        connection.sendall(then)
        with suppress(ConnectionError):
            while connection.recv(65536):
                pass


def test_a_connection_in_use_is_kept(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "ARRIVES_WITHIN", 1)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        for _ in range(5):
            assert client.get("/healthz").status_code == 200
            time.sleep(0.5)
        (connection,) = client._transport._pool.connections  # type: ignore[attr-defined]
        assert connection.is_idle()


@pytest.mark.parametrize(
    "sent",
    [b"garbage\r\n\r\n", START + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"],
    ids=["no HTTP", "an upgrade"],
)
def test_what_is_no_request_of_ours_is_one_line_a_minute_of_each_kind(
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
