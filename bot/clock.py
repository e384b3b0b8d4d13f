"""What time it is, for everything this product decides: UTC in whole seconds, and never going back in one process.

A clock that is set back must not lengthen anybody's access, so time goes on at least as fast as the machine's
monotonic clock since the start. One that is set forward is believed: access ends early rather than late.
"""

import time
from collections.abc import Callable


class Clock:
    """Calling it gives UTC seconds since the epoch."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._began = wall() - steady()

    def __call__(self) -> int:
        return int(self.exact())

    def exact(self) -> float:
        """The same with its fraction, for sleeping until the next whole second begins."""
        return max(self._wall(), self._began + self._steady())
