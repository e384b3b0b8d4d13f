"""What time it is, for everything this product decides: UTC in whole seconds, and never going back
in one process.

A clock that is set back must not lengthen anybody's access, so time goes on at least as fast as the
machine's monotonic clock. One that is set forward is believed, for good: access ends early rather
than late.
"""

import threading
import time
from collections.abc import Callable


class Clock:
    """Calling it gives UTC seconds since the epoch. Any thread may."""

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall, self._steady = wall, steady
        self._ahead = wall() - steady()
        self._lock = threading.Lock()

    def __call__(self) -> int:
        return int(self.exact())

    def go_on_from(self, at: int) -> int:
        """Time is at least `at` from now on; gives how many seconds the clock was behind it."""
        behind = at - self()
        with self._lock:
            self._ahead = max(self._ahead, at - self._steady())
        return max(0, behind)

    def exact(self) -> float:
        """The same with its fraction, for sleeping until the next whole second begins."""
        with self._lock:
            wall = self._wall()
            steady = (
                self._steady()
            )  # after the other: a thread that is held up here must not push time ahead
            self._ahead = max(self._ahead, wall - steady)
            return self._ahead + steady
