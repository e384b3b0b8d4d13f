"""The records that each kind of stream sends to real sockets and files, and when they count as
taken."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import socket
import ssl
import struct
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.core.errors import SystemUnavailable
from bot.core.streams import FileStream, SyslogStream, WebhookStream
from bot.streams import deliver, file
from tests.connectors.raw_server import answering, certificate, raw_server, read_request
from tests.full_disk import SmallDisk

SECRET = "a secret of the receiver"
ROWS = [
    (
        *(number, 1_790_000_000, "grant:access:ended", "U0ANA", "U0ANA", "shop-admin", "", "r1"),
        *("g1", "“done”\n<1>", '{"source":"clock"}', "a" * 64, "b" * 64),
    )
    for number in (7, 8)
]


def test_a_webhook_gets_a_signed_batch() -> None:
    seen: list[bytes] = []

    def serve(line: socket.socket, _over: threading.Event) -> None:
        seen.append(read_request(line))
        line.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with raw_server(serve) as server:
        deliver(WebhookStream("siem", server.url, SECRET), ROWS)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    at, found = re.search(rb"X-Access-Signature: t=(\d+),v1=([0-9a-f]{64})", head).groups()  # type: ignore[union-attr]
    signed = hmac.new(SECRET.encode(), at + b"." + body, hashlib.sha256).hexdigest()
    assert found.decode() == signed
    assert b"Idempotency-Key: siem:7-8:" + b"b" * 16 + b"\r\n" in head
    document = json.loads(body)
    assert document["stream"] == "siem"
    assert [record["seq"] for record in document["records"]] == [7, 8]
    assert document["records"][0]["reason"] == ROWS[0][9]


@pytest.mark.parametrize("status", ["302 Found", "400 Bad Request", "503 Busy"])
def test_a_webhook_that_does_not_answer_2xx_has_not_taken_the_batch(status: str) -> None:
    with (
        raw_server(answering(status)) as server,
        pytest.raises(SystemUnavailable, match=f"answered {status[:3]}"),
    ):
        deliver(WebhookStream("siem", server.url, SECRET), ROWS)


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in path.read_text().splitlines()]


def test_a_file_is_appended_to_and_rotated(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    stream = FileStream("file", str(path), max_bytes=600, keep=2)
    for _ in range(4):
        deliver(stream, ROWS)
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]
    assert all(numbers(each) == [7, 8] for each in tmp_path.iterdir())
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_that_a_crash_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text('{"seq": 7, "at"')
    deliver(FileStream("file", str(path), 10**6, 2), ROWS)
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()[1:]] == [7, 8]


def test_a_file_that_can_not_be_written_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(SystemUnavailable, match="can't be written"):
        deliver(FileStream("file", str(tmp_path / "none/audit.jsonl"), 10**6, 2), ROWS)


class Syslog:
    """A receiver that reads each connection to its end."""

    def __init__(self, *, ends_tls: bool = True) -> None:
        self.got: list[bytes] = []
        self.ends_tls = ends_tls

    def serve(self, line: socket.socket, _over: threading.Event) -> None:
        self.got.append(b"".join(iter(lambda: line.recv(65536), b"")))
        if self.ends_tls and isinstance(line, ssl.SSLSocket):
            line.unwrap()

    def messages(self) -> list[str]:
        found, rest = [], b"".join(self.got)
        while rest:
            length, _, rest = rest.partition(b" ")
            found.append(rest[: int(length)].decode("ascii"))
            rest = rest[int(length) :]
        return found


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
def test_syslog_gets_counted_messages(secure: bool, tmp_path: Path) -> None:
    tls, trusted = certificate(tmp_path, "localhost") if secure else (None, "")
    receiver = Syslog()
    with raw_server(receiver.serve, tls) as server:
        deliver(SyslogStream("syslog", "localhost", server.port, secure, str(trusted)), ROWS)
    messages = receiver.messages()
    header = r"<110>1 2026-09-21T14:13:20Z \S+ access-bot - grant:access:ended - "
    assert all(re.match(header, each) for each in messages), messages
    records: list[dict[str, Any]] = [json.loads(each.split(" - ", 2)[2]) for each in messages]
    assert [each["seq"] for each in records] == [7, 8]
    assert records[0]["reason"] == ROWS[0][9]


def test_tls_that_is_only_cut_has_not_taken_the_batch_unless_the_file_says_so(
    tmp_path: Path,
) -> None:
    tls, trusted = certificate(tmp_path, "localhost")
    receiver = Syslog(ends_tls=False)
    with raw_server(receiver.serve, tls) as server:
        stream = SyslogStream("syslog", "localhost", server.port, True, trusted)
        with pytest.raises(SystemUnavailable, match="without close_notify"):
            deliver(stream, ROWS)
        deliver(replace(stream, close_notify=False), ROWS)
    assert len(receiver.messages()) == 2 * len(ROWS)


def test_syslog_that_is_reset_has_not_taken_the_batch() -> None:
    def reset(line: socket.socket, _over: threading.Event) -> None:
        line.recv(10)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with (
        raw_server(reset) as server,
        pytest.raises(SystemUnavailable, match="did not take all of it"),
    ):
        deliver(SyslogStream("syslog", "127.0.0.1", server.port, False, ""), ROWS)


def test_syslog_with_an_unknown_certificate_gets_nothing(tmp_path: Path) -> None:
    tls, _ = certificate(tmp_path, "localhost")
    receiver = Syslog()
    with (
        raw_server(receiver.serve, tls) as server,
        pytest.raises(SystemUnavailable, match="certificate is not valid"),
    ):
        deliver(SyslogStream("syslog", "localhost", server.port, True, ""), ROWS)
    assert receiver.got == []


def test_a_full_disk_leaves_no_half_line(small_disk: SmallDisk) -> None:
    path = small_disk.folder / "audit.jsonl"
    stream = FileStream("file", str(path), 10**9, 3)
    lines = [json.dumps({"seq": n, "detail": "x" * 5000}) + "\n" for n in range(20)]
    file.send(stream, lines[:1])
    with small_disk.full(), pytest.raises(SystemUnavailable):
        file.send(stream, lines)
    assert path.read_text() == lines[0]
    file.send(stream, lines)
    assert path.read_text() == "".join([lines[0], *lines])
