"""Pauses between tries that grow from one failure to the next."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

_MOST_DOUBLINGS = 30
"""The pause stops growing there, so that its number stays small whatever the failures are."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The `first` pause, then each twice as long as the one before, up to the `longest`;
    seconds."""

    first: float
    longest: float

    def pause(self, failures: int) -> float:
        """The pause after that many failures in a row, which is at least one."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))

    def jittered(self, failures: int) -> float:
        """At least half of that pause, so that what failed together is not repeated together."""
        pause = self.pause(failures)
        return random.uniform(pause / 2, pause)  # noqa: S311, a pause is no secret

    def __iter__(self) -> Iterator[float]:
        """The pauses after the first failure, the second, and so on."""
        return map(self.pause, count(1))
