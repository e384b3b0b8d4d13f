"""Runs one program with a limit on time and output, without a shell, and ends all its processes."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bot.core.errors import NotCalled, OutcomeUnknown

MOST_OUTPUT = 1024 * 1024
"""Bytes that a program may write to its standard output; with more it is ended."""

KEPT_ERRORS = 8192
"""Bytes of standard error that are kept, the last ones, because errors end with what matters."""

GRACE = 1.0
"""Seconds for a killed program to be gone; one that we may not kill is left to itself then."""

GLANCE = 0.02
"""Seconds between two looks whether the program has ended while something it started holds its
output open."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended: its exit code (negative for a signal), and what it wrote."""

    code: int
    out: bytes = field(repr=False)
    errors: bytes = field(repr=False)


def run(argv: Sequence[str], given: bytes, env: Mapping[str, str], timeout: float) -> Ran:
    """Runs `argv` with `given` on its standard input, this environment and no other, in the root
    folder, for so many seconds at most. Its whole process group is killed at the end, however that
    came.

    Raises NotCalled when it can't be started, OutcomeUnknown when it was ended by us.
    """
    try:
        process = subprocess.Popen(  # noqa: S603, argv comes from roles.toml and no shell sees it
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=dict(env),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise NotCalled(f"it can't be run: {error.strerror}") from None
    with _Talk(process, given) as talk:
        talk.until(time.monotonic() + timeout)
        return Ran(process.wait(), bytes(talk.out), bytes(talk.errors))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """The program and what it started. It is not waited for before, so that its number can't be
    another's yet."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class _Talk:
    """What goes to a program and what comes from it, piece by piece, so that neither side waits for
    the other."""

    def __init__(self, process: subprocess.Popen[bytes], given: bytes) -> None:
        self._process, self._given = process, memoryview(given)
        self._open = selectors.DefaultSelector()
        self.out, self.errors = bytearray(), bytearray()
        for pipe, events, into in (
            (process.stdin, selectors.EVENT_WRITE, None),
            (process.stdout, selectors.EVENT_READ, self.out),
            (process.stderr, selectors.EVENT_READ, self.errors),
        ):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._open.register(pipe, events, into)

    def __enter__(self) -> "_Talk":
        return self

    def __exit__(self, *_: object) -> None:
        """Closes everything, and does not wait forever for a program that we may not kill, because
        it runs as root."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._open.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)

    def until(self, deadline: float) -> None:
        """Goes on until the program has ended, ends what it left behind, and takes what was written
        by then. Raises OutcomeUnknown."""
        try:
            while not _has_ended(self._process):
                if (left := deadline - time.monotonic()) <= 0:
                    raise OutcomeUnknown("it took too long and was ended")
                self._turn(min(GLANCE, left))
        finally:
            _kill_group(self._process)
        while self._turn(0):
            if time.monotonic() > deadline:
                raise OutcomeUnknown("what it started goes on writing, and was ended")

    def _turn(self, wait: float) -> bool:
        """Gives and takes what can be within `wait` seconds; whether there was anything."""
        if not self._open.get_map():
            time.sleep(wait)
            return False
        found = self._open.select(wait)
        for key, _ in found:
            if not (self._give(key.fd) if key.data is None else self._take(key.fd, key.data)):
                self._open.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]
        return bool(found)

    def _give(self, fd: int) -> bool:
        """Whether there is more to give."""
        try:
            self._given = self._given[os.write(fd, self._given) :]
        except BrokenPipeError:
            return False
        return bool(self._given)

    def _take(self, fd: int, into: bytearray) -> bool:
        """Whether more may come. Raises OutcomeUnknown for too much."""
        part = os.read(fd, 65536)
        into.extend(part)
        del self.errors[:-KEPT_ERRORS]
        if len(self.out) > MOST_OUTPUT:
            raise OutcomeUnknown(f"it wrote more than {MOST_OUTPUT} bytes and was ended")
        return bool(part)
