"""The receiver of docs/connectors/webhook.md as a process, and a proxy before it that breaks calls.
It takes the receiver from the page itself, so that an error on the page is found."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.connectors.raw_server import read_request

PAGE = Path(__file__).parents[2] / "docs/connectors/webhook.md"
SECRET = "warehouse-secret-0123456789"


def source(page: Path = PAGE, mark: str = "<!-- receiver -->") -> str:
    """The program that follows this mark on the page."""
    return page.read_text().split(mark)[1].split("```")[1].partition("\n")[2]


class Receiver:
    """One process of the receiver, at a port that stays the same."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 0
        (folder / "receiver.py").write_text(source())
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-I", "receiver.py", str(self.port)]
        self._process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={"WEBHOOK_SECRET": SECRET},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        found = re.fullmatch(r"listening on port (\d+)\n", said)
        assert found, said
        self.port = int(found[1])

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/access"

    def lets_in(self, code: str) -> bool:
        """Whether a visitor with this code is let in."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as line:
            line.request("GET", f"/door/{code}")
            return line.getresponse().status == 200


@contextmanager
def running_receiver(folder: Path) -> Iterator[Receiver]:
    receiver = Receiver(folder)
    try:
        yield receiver
    finally:
        receiver.kill()


LOST, UNHEARD, FAILED, BUSY, GARBLED, MOVED, CLAIMED, LATE = (
    "done and the answer is lost",
    "not even read",
    "done and answered with 500",
    "not done and answered with 503",
    "done and answered with a page",
    "redirected",
    "a start is answered active and not done",
    "done and answered after the time",
)
FAULTS = (LOST, UNHEARD, FAILED, BUSY, GARBLED, MOVED)
"""The ways in which a call may fail, without a false answer."""


@dataclass
class Between:
    """Forwards calls to the receiver. From call number `since` on (from 1) all suffer `fault`.
    `seen` has the received requests; `elsewhere` is the target of redirects."""

    receiver: Receiver
    elsewhere: str = "http://127.0.0.1:1/"
    fault: str = ""
    since: int = 1
    calls: int = 0
    seen: list[bytes] = field(default_factory=list)

    def serve(self, line: socket.socket, over: threading.Event) -> None:
        request = read_request(line)
        self.seen.append(request)
        self.calls += 1
        fault = self.fault if self.calls >= self.since else ""
        if fault == BUSY:
            return self._say(line, "503 Busy")
        if fault == CLAIMED and b'{"do": "grant"' in request:
            return self._say(line, "200 OK", b'{"state": "active"}')
        if fault == MOVED:
            return self._say(line, "307 Moved", b"", f"Location: {self.elsewhere}")
        if fault == UNHEARD:
            return None
        answer = self._hand_on(request)
        if fault == LATE:
            over.wait(3)
        if fault == FAILED:
            return self._say(line, "500 Oops")
        if fault == GARBLED:
            return self._say(line, "200 OK", b"<html>active</html>")
        return line.sendall(b"" if fault == LOST else answer)

    @staticmethod
    def _say(line: socket.socket, status: str, body: bytes = b"", *headers: str) -> None:
        head = "".join(
            f"{each}\r\n"
            for each in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
        )
        line.sendall(head.encode() + b"\r\n" + body)

    def _hand_on(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.receiver.port), timeout=10) as onward:
            onward.sendall(request)
            return b"".join(iter(lambda: onward.recv(65536), b""))

    @contextmanager
    def breaking(self, fault: str, since: int = 1) -> Iterator[None]:
        """A context in which calls suffer the fault; they are counted from its start."""
        self.fault, self.since, self.calls = fault, since, 0
        try:
            yield
        finally:
            self.fault = ""
