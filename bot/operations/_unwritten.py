"""Keeps revocations that systems confirmed during a database outage in memory until they are
recorded."""

import threading

from bot.core.model import Grant


class UnwrittenEnds:
    """The confirmed ends of one process. Times are UTC seconds; the first time noted for a grant
    and system stays."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], int] = {}
        self._lock, self._noted = threading.Lock(), 0

    def note(self, grant: str, system: str, at: int) -> None:
        with self._lock:
            self._noted += (grant, system) not in self._at
            self._at.setdefault((grant, system), at)

    def count(self) -> int:
        """Returns how many were noted since the last call."""
        with self._lock:
            noted, self._noted = self._noted, 0
            return noted

    def forget(self, grant: str, system: str) -> None:
        with self._lock:
            self._at.pop((grant, system), None)

    def pairs(self) -> list[tuple[str, str]]:
        """Returns grant and system of each."""
        with self._lock:
            return sorted(self._at)

    def at(self, grant: str, system: str) -> int | None:
        """Returns when this system confirmed the end, or None."""
        return self._at.get((grant, system))

    def over(self, grant: Grant) -> int | None:
        """Returns when the last system of the grant confirmed its end; None unless all are
        noted."""
        found = [self._at.get((grant.id, system)) for system in grant.systems]
        times = [at for at in found if at is not None]
        return max(times) if times and len(times) == len(found) else None
