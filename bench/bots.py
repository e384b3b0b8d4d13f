"""Starts the real bot as a process, as an operator starts it, and watches it from outside."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path

from tests.waiting import until


class Bot:
    """One process; `module` is `bot`, or `bench.recorded` for a bot that records its calls of
    systems."""

    def __init__(self, verb: str, env: dict[str, str], folder: Path, module: str = "bot") -> None:
        self.log = folder / f"bot-{time.monotonic_ns()}.log"
        self.started = time.monotonic()
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, verb],
                env=env,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stderr=out,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @cached_property
    def port(self) -> int:
        """The port on which it serves; it takes any free one and prints it."""
        return int(until(self._port, every=0.005))

    def _port(self) -> str | None:
        found = re.search(r"running on http://[\d.]+:(\d+)", self.log.read_text(errors="replace"))
        if found is None and self.process.poll() is not None:
            raise RuntimeError(self.log.read_text(errors="replace"))
        return found[1] if found else None

    def status(self, path: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as line:
            line.request("GET", path)
            return line.getresponse().status

    def is_ready(self) -> bool:
        try:
            return self.status("/readyz") == 200
        except OSError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def a_bot(verb: str, env: dict[str, str], folder: Path, module: str = "bot") -> Iterator[Bot]:
    """A bot that is killed at the end, because nothing is measured afterwards."""
    bot = Bot(verb, env, folder, module)
    try:
        yield bot
    finally:
        bot.kill()
