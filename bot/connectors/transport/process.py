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
"""Bytes that a program may write to its standard output. If it writes more, it is killed."""

KEPT_ERRORS = 8192
"""The last bytes of standard error that are kept, because the end of an error matters most."""

GRACE = 1.0
"""Seconds to wait for a killed program to exit. One that we may not kill is left running then."""

GLANCE = 0.02
"""Seconds between checks whether the program has exited while its child processes hold its output
open."""


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of a program: its exit code (negative for a signal), and its output."""

    code: int
    out: bytes = field(repr=False)
    errors: bytes = field(repr=False)


def run(argv: Sequence[str], given: bytes, env: Mapping[str, str], timeout: float) -> Ran:
    """Runs `argv` in the root folder with `given` on its standard input and only this environment,
    for at most `timeout` seconds. In any case its whole process group is killed at the end.

    Raises NotCalled if it can't be started, OutcomeUnknown if we killed it.
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
    """Kills the program and its children. The program is not reaped before, so that its process id
    can't belong to another one yet."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class _Talk:
    """Writes to and reads from a program in small pieces, so that neither side blocks the other."""

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
        """Closes everything. Does not wait indefinitely for a program that we may not kill because
        it runs as root."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._open.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)

    def until(self, deadline: float) -> None:
        """Runs until the program has exited, kills its remaining children, and reads the rest of
        its output. Raises OutcomeUnknown."""
        try:
            while not _has_ended(self._process):
                if (left := deadline - time.monotonic()) <= 0:
                    raise OutcomeUnknown("it took too long and was killed")
                self._turn(min(GLANCE, left))
        finally:
            _kill_group(self._process)
        while self._turn(0):
            if time.monotonic() > deadline:
                raise OutcomeUnknown("its child processes kept writing and were killed")

    def _turn(self, wait: float) -> bool:
        """Writes and reads as much as possible within `wait` seconds. Returns whether there was
        anything."""
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
        """Whether there is more to write."""
        try:
            self._given = self._given[os.write(fd, self._given) :]
        except BrokenPipeError:
            return False
        return bool(self._given)

    def _take(self, fd: int, into: bytearray) -> bool:
        """Whether more output may come. Raises OutcomeUnknown for too much."""
        part = os.read(fd, 65536)
        into.extend(part)
        del self.errors[:-KEPT_ERRORS]
        if len(self.out) > MOST_OUTPUT:
            raise OutcomeUnknown(f"it wrote more than {MOST_OUTPUT} bytes and was killed")
        return bool(part)
