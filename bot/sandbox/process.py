"""Runs the bot as a process that can be stopped, killed and started again, and that follows the
workspace's clock.

It uses only the bot's commands, environment and standard input.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from bot.sandbox.checks import Json

PATIENCE = 15.0
ANSWER_SECONDS = 5.0
RUNNING, STARTING, DEAD = "running", "starting", "dead"


class DemoFailed(Exception):
    """A step failed; the text names the step, and the unexpected result."""


class Bot:
    """The process, in the folder of its `log`. `ahead` is how many seconds the workspace's clock is
    ahead of the machine's.

    It holds the other end of the bot's standard input, so the bot ends when this process ends for
    any reason.
    """

    def __init__(self, environment: dict[str, str], log: Path, ahead: float = 0.0) -> None:
        self.environment, self.log, self.ahead = environment, log, ahead
        self.address = f"127.0.0.1:{environment['PORT']}"
        self.process: subprocess.Popen[bytes] | None = None
        self.ready = False
        self._last_answer: Json | None = None
        self._line = threading.Lock()
        self._changing = threading.Lock()

    @property
    def state(self) -> str:
        """`running`, `starting` or `dead`."""
        if self.process is None or self.process.poll() is not None:
            return DEAD
        return RUNNING if self.ready else STARTING

    def start(self) -> None:
        """Starts it, unless it runs, and waits until it is ready. Raises DemoFailed."""
        with self._changing:
            if self.state == DEAD:
                self._start()

    def _start(self) -> None:
        self.ready = False
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bot.cli.demo_bot"],
                env=self.environment,
                cwd=self.log.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                start_new_session=True,
            )
        with self._line:
            self._write_line(self.process)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if (code := self.process.poll()) is not None:
                raise DemoFailed(f"the bot ended with exit code {code}")
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{self.address}/readyz", timeout=2).close()
                self.ready = True
                return
            time.sleep(0.1)
        raise DemoFailed("the bot did not become ready")

    def stop(self) -> None:
        """Stops it gracefully, within ten seconds at most."""
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.kill()

    def kill(self) -> None:
        """Kills it in the middle of its work."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            with self._line:
                for pipe in (self.process.stdin, self.process.stdout):
                    if pipe is not None:
                        pipe.close()

    def follow(self, ahead: float) -> None:
        """Sets its clock to the workspace's; a dead bot gets it at its next start."""
        self.ahead = ahead
        self.coming()

    def coming(self) -> Json | None:
        """The bot's next events: `now`, `reminder` and `end`. For a dead bot, its last answer with
        `stale`. None if there is none."""
        if self.state != RUNNING or self.process is None:
            return {**self._last_answer, "stale": True} if self._last_answer else None
        with self._line, contextlib.suppress(OSError, ValueError):
            self._read_line(self.process, 0)  # an answer that came too late for an earlier question
            self._write_line(self.process)
            found: Json = json.loads(self._read_line(self.process, ANSWER_SECONDS))
            self._last_answer = None if "error" in found else found
            return self._last_answer
        return None

    def _write_line(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps({"ahead": self.ahead}).encode() + b"\n")

    @staticmethod
    def _read_line(process: subprocess.Popen[bytes], patience: float) -> bytes:
        """Reads until the end of a line or the time limit."""
        assert process.stdout is not None
        found, until = b"", time.monotonic() + patience
        while not found.endswith(b"\n"):
            ready, _, _ = select.select(
                [process.stdout], [], [], max(0.0, until - time.monotonic())
            )
            part = os.read(process.stdout.fileno(), 65536) if ready else b""
            if not part:
                break
            found += part
        return found

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs one of its commands beside it, with the machine's clock."""
        call = [sys.executable, "-m", "bot", *words]
        return subprocess.run(
            call,
            env=self.environment,
            cwd=self.log.parent,
            capture_output=True,
            text=True,
            check=False,
        )

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
