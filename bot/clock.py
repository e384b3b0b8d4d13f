"""The clock for all decisions: UTC in whole seconds, which never goes back in one process.

A clock that is set back must not extend access, so time advances at least as fast as the machine's
monotonic clock. A clock that is set forward is accepted permanently: access ends early rather than
late.
"""

import threading
import time
from collections.abc import Callable


class Clock:
    """Calling it returns UTC seconds since the epoch; `wall` is the machine's clock, which may go
    back. Thread-safe."""

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self.wall, self._steady = wall, steady
        self._ahead = wall() - steady()
        self._lock = threading.Lock()

    def __call__(self) -> int:
        return int(self.exact())

    def go_on_from(self, at: int) -> int:
        """Makes the time at least `at` from now on; returns how many seconds the clock was
        behind."""
        behind = at - self()
        with self._lock:
            self._ahead = max(self._ahead, at - self._steady())
        return max(0, behind)

    def exact(self) -> float:
        """The time with its fraction, to sleep until the next whole second."""
        with self._lock:
            wall = self.wall()
            # Read after the other: a delayed thread must not push the time ahead.
            steady = self._steady()
            self._ahead = max(self._ahead, wall - steady)
            return self._ahead + steady
