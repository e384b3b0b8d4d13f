"""Pauses between attempts that grow with each failure."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

_MOST_DOUBLINGS = 30
"""The pause stops growing after this many failures, so that the number stays small."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The `first` pause, doubled after each failure, up to the `longest`; in seconds."""

    first: float
    longest: float

    def pause(self, failures: int) -> float:
        """The pause after `failures` consecutive failures (at least one)."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))

    def jittered(self, failures: int) -> float:
        """A random pause of at least half that length, so that work that failed together is not
        retried together."""
        pause = self.pause(failures)
        return random.uniform(pause / 2, pause)  # noqa: S311, a pause is no secret

    def __iter__(self) -> Iterator[float]:
        """The pauses after the first failure, the second and so on."""
        return map(self.pause, count(1))
