"""Ends that systems confirmed while the database took no writes: kept in memory until they are recorded."""

import threading

from bot.core.model import Grant


class UnwrittenEnds:
    """One for each process. Times are UTC seconds; the first one that is noted for a grant and system stays."""

    def __init__(self) -> None:
        self._at: dict[tuple[str, str], int] = {}
        self._lock, self._noted = threading.Lock(), 0

    def note(self, grant: str, system: str, at: int) -> None:
        with self._lock:
            self._noted += (grant, system) not in self._at
            self._at.setdefault((grant, system), at)

    def count(self) -> int:
        """How many were noted since this was called last."""
        with self._lock:
            noted, self._noted = self._noted, 0
            return noted

    def forget(self, grant: str, system: str) -> None:
        with self._lock:
            self._at.pop((grant, system), None)

    def pairs(self) -> list[tuple[str, str]]:
        """Grant and system of each."""
        with self._lock:
            return sorted(self._at)

    def at(self, grant: str, system: str) -> int | None:
        """When this system confirmed the end; None where nothing was noted."""
        return self._at.get((grant, system))

    def over(self, grant: Grant) -> int | None:
        """When the last system of the grant confirmed its end; None unless all of them are noted."""
        found = [self._at.get((grant.id, system)) for system in grant.systems]
        times = [at for at in found if at is not None]
        return max(times) if times and len(times) == len(found) else None
