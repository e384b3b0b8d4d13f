"""The HTTP call of connectors, with servers that behave and servers that don't."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.connectors.transport.http import LONGEST_WAIT, Answer, call, checked_url, is_public
from bot.core.errors import OutcomeUnknown, SystemUnavailable
from tests.connectors.raw_server import (
    RawServer,
    answering,
    certificate,
    dripping,
    endless,
    raw_server,
    read_request,
    saying,
    silent,
)

SECRET = "s3cret-token-0123456789"


def ask(url: str, method: str = "POST", timeout: float = 5, **more: Any) -> Answer:
    more = {
        "headers": {"Authorization": f"Bearer {SECRET}"},
        "body": b'{"a": 1}',
        "allow_private": True,
    } | more
    return call(method, url, timeout=timeout, **more)


@pytest.fixture(scope="module")
def fine() -> Iterator[RawServer]:
    with raw_server(answering("200 OK", b'{"state": "active"}', "X-Thing: 7")) as server:
        yield server


# --- requests and responses


def test_the_answer_has_status_headers_and_body(fine: RawServer) -> None:
    answer = ask(fine.url)
    assert (answer.status, answer.headers["x-thing"], answer.json()) == (
        200,
        "7",
        {"state": "active"},
    )


def test_the_request_is_sent_as_asked() -> None:
    got: list[bytes] = []

    def serve(line: socket.socket, _over: object) -> None:
        got.append(read_request(line))
        line.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with raw_server(serve) as server:
        assert ask(f"{server.url}?team=a%20b", headers={"Idempotency-Key": "k 1"}).status == 204
        assert ask(server.url, "DELETE", body=None, headers={}).status == 204
    head, _, body = got[0].partition(b"\r\n\r\n")
    first, *headers = head.decode().split("\r\n")
    assert first == "POST /hook?team=a%20b HTTP/1.1" and body == b'{"a": 1}'
    assert {f"Host: 127.0.0.1:{server.port}", "Content-Length: 8", "Idempotency-Key: k 1"} <= set(
        headers
    )
    assert b"Content-Length" not in got[1]


@pytest.mark.parametrize("status", ["400 Bad Request", "302 Found", "503 Busy"])
def test_every_status_is_an_answer(status: str) -> None:
    with raw_server(answering(status, b"", "Location: /elsewhere")) as server:
        assert ask(server.url).status == int(status[:3])
        assert server.taken == 1


@pytest.mark.parametrize("status", [300, 302, 307, 408, 429, 500, 503, 599])
def test_what_says_nothing_about_the_question_is_tried_again(status: int) -> None:
    with pytest.raises(SystemUnavailable, match=f"hooks answered {status}"):
        Answer(status, {}, b"", "hooks").raise_if_passing()


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 409, 422])
def test_what_answers_the_question_does_not_raise(status: int) -> None:
    Answer(status, {}, b"").raise_if_passing()


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("7", 7),
        (" 0 ", 0),
        ("31536000", LONGEST_WAIT),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", LONGEST_WAIT),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("٣", None),
        ("9" * 30, None),
    ],
)
def test_how_long_to_wait_is_a_number_or_a_date_and_never_too_long(
    text: str, wait: int | None
) -> None:
    assert Answer(503, {"retry-after": text}, b"").retry_after == wait


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_tried_again(body: bytes) -> None:
    with pytest.raises(SystemUnavailable, match="not JSON"):
        Answer(200, {}, body).json()


# --- servers that misbehave


@pytest.mark.parametrize(
    "serve",
    [
        silent,
        dripping(b""),
        dripping(b"HTTP/1.1 200 OK\r\nX-Slow: "),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"),
        dripping(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP"),
    ],
    ids=["silent", "drips before", "drips a header", "drips the body", "drips after a promise"],
)
def test_the_time_is_for_the_whole_call(serve: Any) -> None:
    with raw_server(serve) as server, pytest.raises(OutcomeUnknown, match="the time was over"):
        ask(server.url, timeout=0.4)


def test_a_server_that_takes_no_byte_of_a_big_request_ends_in_time_too() -> None:
    with (
        raw_server(lambda line, over: over.wait(30) and None) as server,
        pytest.raises(OutcomeUnknown, match="the time was over"),
    ):
        ask(server.url, timeout=0.4, body=b" " * 30_000_000)


@pytest.mark.parametrize(
    ("serve", "words"),
    [
        (endless, "bigger than 1048576 bytes"),
        (saying(), "it broke off"),
        (
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n", b'{"state": "act'),
            "it broke off",
        ),
        (saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}"), "it broke off"),
        (
            saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n"),
            "it is not HTTP",
        ),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "it is not HTTP"),
        (saying(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"), "more than 100 headers"),
        (saying(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70000 + b"\r\n\r\n"), "it is not HTTP"),
    ],
    ids=[
        "endless",
        "hangs up",
        "half a body",
        "half a chunk",
        "less than no chunk",
        "not HTTP",
        "many headers",
        "a long header",
    ],
)
def test_no_whole_answer_leaves_it_unknown(serve: Any, words: str) -> None:
    with raw_server(serve) as server, pytest.raises(OutcomeUnknown, match=words):
        ask(server.url)


def test_a_server_that_is_not_there_was_told_nothing() -> None:
    with raw_server(silent) as server:
        pass
    with pytest.raises(
        SystemUnavailable, match=r"127\.0\.0\.1 can't be reached: Connection refused"
    ) as caught:
        ask(server.url)
    assert not isinstance(caught.value, OutcomeUnknown)


@pytest.mark.parametrize("host", ["nobody.invalid", "a..b", "x" * 70 + ".example"])
def test_a_name_without_an_address_was_told_nothing(host: str) -> None:
    with pytest.raises(SystemUnavailable, match="its name") as caught:
        ask(f"https://{host}/")
    assert not isinstance(caught.value, OutcomeUnknown)


# --- secrets


@pytest.mark.parametrize("name", ["Authorization", f"X-{SECRET}\r\nY"])
def test_a_header_that_can_t_be_sent_is_not_repeated_in_the_error(
    fine: RawServer, name: str
) -> None:
    with pytest.raises(SystemUnavailable, match="a line break") as caught:
        ask(fine.url, headers={name: f"Bearer {SECRET}\n"})
    assert SECRET not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize(
    "serve", [saying(), saying(SECRET.encode()), answering("500 " + SECRET), silent]
)
def test_no_secret_is_in_an_error(serve: Any) -> None:
    with raw_server(serve) as server, pytest.raises(SystemUnavailable) as caught:
        answer = ask(f"{server.url}/{SECRET}?key={SECRET}", timeout=0.4)
        assert SECRET not in repr(answer)
        answer.raise_if_passing()
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None


# --- allowed addresses


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must begin"),
        ("ftp://example.com/", "must begin"),
        ("https:///path", "must begin"),
        ("https://example.com/a b", "must begin"),
        ("https://example.com/\r\nX: y", "must begin"),
        ("https://exämple.com/", "must begin"),
        ("https://example.com:99999/", "can't be read"),
        ("https://[::1/", "can't be read"),
        (f"https://ana:{SECRET}@example.com/", "user name or password"),
        ("http://example.com/", "only for private"),
    ],
)
def test_a_url_that_can_t_be_called_is_refused_without_repeating_it(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        checked_url(url, allow_private=False)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:4700::1", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fd00::1", False),
        ("fe80::1%eth0", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("::ffff:93.184.215.14", True),
        ("::10.0.0.1", False),
        ("2002:a00:1::1", False),
        ("2002:5db8:d70e::1", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d70e", True),
    ],
)
def test_what_is_an_address_of_the_internet(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


def test_a_private_address_is_not_called_unless_that_is_allowed(fine: RawServer) -> None:
    before = fine.taken
    # The resolver takes all of them.
    for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1"):
        with pytest.raises(SystemUnavailable, match="private address"):
            ask(f"https://{host}:{fine.port}/", allow_private=False)
    assert fine.taken == before


class Names:
    """A resolver that says what a test wants, and something else each time it is asked."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.asked += 1
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in self.answers.pop(0)
        ]


def test_one_private_address_among_public_ones_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(["93.184.215.14", "10.0.0.1"]))
    with pytest.raises(SystemUnavailable, match="private address"):
        ask("https://hooks.example.com/", allow_private=False)


def test_plain_http_is_not_spoken_to_the_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(["93.184.215.14"]))
    with pytest.raises(SystemUnavailable, match="called only with https"):
        ask("http://hooks.example.com/")


def test_the_address_that_was_checked_is_the_one_that_is_called(
    fine: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    assert ask(f"http://hooks.example.com:{fine.port}/").status == 200
    assert names.asked == 1


def test_an_address_that_does_not_answer_is_followed_by_the_next(
    fine: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(["127.0.0.9", "127.0.0.1"]))
    assert ask(f"http://hooks.example.com:{fine.port}/").status == 200


# --- TLS


def test_a_certificate_is_checked_against_the_name_and_not_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, trusted = certificate(tmp_path, "hooks.example.com")
    with raw_server(answering("200 OK"), tls) as server:
        monkeypatch.setattr(socket, "getaddrinfo", Names(*[["127.0.0.1"]] * 3))
        assert ask(f"https://hooks.example.com:{server.port}/", cafile=trusted).status == 200
        with pytest.raises(SystemUnavailable, match=r"certificate is not valid: Hostname mismatch"):
            ask(f"https://other.example.com:{server.port}/", cafile=trusted)
        with pytest.raises(SystemUnavailable, match=r"certificate is not valid: self-signed"):
            ask(f"https://hooks.example.com:{server.port}/")


def test_certificates_that_are_not_there_are_said_to_be_so(fine: RawServer, tmp_path: Path) -> None:
    with pytest.raises(SystemUnavailable, match="can't be read: No such file"):
        ask(f"https://127.0.0.1:{fine.port}/", cafile=str(tmp_path / "none.pem"))


def test_a_server_that_speaks_no_tls_was_told_nothing(fine: RawServer) -> None:
    with raw_server(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        with pytest.raises(SystemUnavailable, match="can't be reached") as caught:
            ask(f"https://127.0.0.1:{server.port}/", timeout=1)
        assert not isinstance(caught.value, OutcomeUnknown)
