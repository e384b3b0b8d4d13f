"""The load generator, a process of its own: sends prepared requests over kept connections to
loopback, one after the other on each, and reports how long every answer took. It knows no
endpoint."""

from __future__ import annotations

import base64
import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.place import answer, jobs

PATIENCE = 60
"""The time limit of a leg, in seconds."""


@dataclass(slots=True)
class Line:
    """One connection, with the received part of the awaited answer."""

    socket: socket.socket
    sent_at: float = 0.0
    come: bytes = b""


def fire(
    port: int, requests: list[bytes], connections: int
) -> tuple[float, list[float], dict[str, int]]:
    """Returns all seconds, the seconds of each request, and the number of each status."""
    waiting, took, statuses = iter(requests), list[float](), dict[str, int]()
    with selectors.DefaultSelector() as selector:
        lines = [
            Line(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            for _ in range(connections)
        ]
        started = time.perf_counter()
        for line in lines:
            line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(line.socket, selectors.EVENT_READ, line)
            _send(line, waiting)
        while len(took) < len(requests):
            ready = selector.select(PATIENCE)
            if not ready:
                raise TimeoutError("no answer")
            for key, _ in ready:
                _receive(key.data, took, statuses) and _send(key.data, waiting)
        wall = time.perf_counter() - started
        for line in lines:
            line.socket.close()
    return wall, took, statuses


def _send(line: Line, waiting: Iterator[bytes]) -> None:
    request = next(waiting, None)
    if request is not None:
        line.sent_at = time.perf_counter()
        line.socket.sendall(request)


def _receive(line: Line, took: list[float], statuses: dict[str, int]) -> bool:
    """Whether the whole answer has arrived."""
    part = line.socket.recv(65536)
    if not part:
        raise ConnectionError("the server hung up")
    line.come += part
    head, end, body = line.come.partition(b"\r\n\r\n")
    if not end or len(body) < _length(head):
        return False
    took.append(time.perf_counter() - line.sent_at)
    status = head[9:12].decode()
    statuses[status] = statuses.get(status, 0) + 1
    line.come = b""
    return True


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


def _run(job: dict[str, Any]) -> None:
    requests = [base64.b64decode(line) for line in Path(job["requests"]).read_bytes().splitlines()]
    wall, took, statuses = fire(job["port"], requests, min(job["connections"], len(requests)))
    answer(wall=wall, each=took, statuses=statuses)


if __name__ == "__main__":
    answer(ready=True)
    for asked in jobs():
        _run(asked)
