"""Limits the concurrent calls to each system in one process: more after each answer, and one while
the system fails. So systems that hang never block all threads.
"""

import threading
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

FIRST, MOST = 4, 16
"""The concurrent calls of a new system, and of one that answers well."""

THREADS = 48
"""The threads of all systems together. No system gets more than half of those that the others leave
free."""

DOWN = 3
"""Consecutive failures after which a system gets one call at a time."""


@dataclass(slots=True)
class _Known:
    under_way: int = 0
    answered: int = 0
    failed: int = 0

    def full(self, calls: int) -> bool:
        """`calls` is the limit of all systems together."""
        share = (THREADS - (calls - self.under_way)) // 2
        allowed = 1 if self.failed >= DOWN else min(MOST, FIRST + self.answered, max(1, share))
        return self.under_way >= allowed


class ConcurrencyLimits:
    """The limits of one queue, because ends must run even if starts hang."""

    def __init__(self) -> None:
        self._known: defaultdict[str, _Known] = defaultdict(_Known)
        self._calls = 0
        self._lock = threading.Lock()

    def full(self) -> list[str]:
        """The systems that can't take a call now."""
        with self._lock:
            return [system for system, known in self._known.items() if known.full(self._calls)]

    def enter(self, systems: Sequence[str]) -> bool:
        """Counts a call of all of these. Returns False, and counts nothing, if one of them can't
        take a call now."""
        with self._lock:
            if any(self._known[system].full(self._calls) for system in systems):
                return False
            self._calls += bool(systems)
            for system in systems:
                self._known[system].under_way += 1
            return True

    def leave(self, systems: Sequence[str], failed: Collection[str]) -> list[str]:
        """Ends the calls, of which `failed` failed, and returns the systems that answer again. They
        are called in the order of their names, so those after a failed one were not called."""
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
