"""Limits how often each system may call an endpoint."""

import math
import time
from collections.abc import Callable

from bot.web.responses import Answer, as_json


class Rates:
    """A token bucket for each name, with `burst` calls that refill at `each_second`. Only the event
    loop calls it, with names from roles.toml."""

    def __init__(
        self, each_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._each_second, self._burst, self._clock = each_second, burst, clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> int:
        """0 if the call is allowed, else the seconds until the next one is."""
        now = self._clock()
        left, at = self._left.get(name, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._each_second)
        if left < 1:
            self._left[name] = left, now
            return max(1, math.ceil((1 - left) / self._each_second))
        self._left[name] = left - 1, now
        return 0


def too_many(wait: int) -> Answer:
    """429 (RFC 6585 section 4), with the seconds to wait."""
    words = {"error": "too_many_requests", "error_description": f"try again in {wait}s"}
    return as_json(429, words, (b"retry-after", b"%d" % wait))
