"""How many calls each system may have under way in one process: more with every answer, and one as
long as it fails. So one that hangs keeps a few threads busy, and however many do, some are left for
the others.
"""

import threading
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

FIRST, MOST = 4, 16
"""Calls of a system that nothing is known of, and of one that answers well."""

THREADS = 48
"""Threads that all systems together have; none gets more than half of what the others leave
free."""

DOWN = 3
"""Failures in a row after which a system is tried with one call at a time."""


@dataclass(slots=True)
class _Known:
    under_way: int = 0
    answered: int = 0
    failed: int = 0

    def full(self, calls: int) -> bool:
        """`calls` are those of all systems."""
        share = (THREADS - (calls - self.under_way)) // 2
        allowed = 1 if self.failed >= DOWN else min(MOST, FIRST + self.answered, max(1, share))
        return self.under_way >= allowed


class ConcurrencyLimits:
    """For one queue: an end must be tried however many starts hang."""

    def __init__(self) -> None:
        self._known: defaultdict[str, _Known] = defaultdict(_Known)
        self._calls = 0
        self._lock = threading.Lock()

    def full(self) -> list[str]:
        """The systems that can take no call now."""
        with self._lock:
            return [system for system, known in self._known.items() if known.full(self._calls)]

    def enter(self, systems: Sequence[str]) -> bool:
        """Counts a call of all of these; False, and nothing counted, when one of them can take none
        now."""
        with self._lock:
            if any(self._known[system].full(self._calls) for system in systems):
                return False
            self._calls += bool(systems)
            for system in systems:
                self._known[system].under_way += 1
            return True

    def leave(self, systems: Sequence[str], failed: Collection[str]) -> list[str]:
        """Their call is over, and these of them failed. Gives those that answer again. They are
        called in the order of their names, so what comes after one that failed was not called."""
        back = []
        with self._lock:
            self._calls -= bool(systems)
            for system in systems:
                known = self._known[system]
                known.under_way -= 1
                if system in failed:
                    known.answered, known.failed = 0, known.failed + 1
                    continue
                if failed and system > min(failed):
                    continue
                if known.failed >= DOWN:
                    back.append(system)
                known.answered, known.failed = known.answered + 1, 0
        return back
