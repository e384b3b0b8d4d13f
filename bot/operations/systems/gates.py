"""Stores the gates of the gateway connector, which every token check reads."""

from collections.abc import Sequence

from bot.operations._unit_of_work import Context
from storage import grants


class StoredGates:
    """Raises StorageUnavailable, which the worker handles like an unreachable system."""

    def __init__(self, world: Context) -> None:
        self._db = world.db

    def open(self, grant: str, system: str, until: int) -> None:
        with self._db.transaction():
            grants.open_gate(self._db, grant, system, until)

    def close(self, grant: str, system: str) -> None:
        with self._db.transaction():
            grants.close_gate(self._db, grant, system)

    def close_all(self, leases: Sequence[tuple[str, str]]) -> None:
        with self._db.transaction():
            grants.close_gates(self._db, leases)

    def still_open(self, leases: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        with self._db.reading():
            return grants.gates_open(self._db, [grant for grant, _ in leases]) & set(leases)

    def open_at(self, system: str) -> dict[str, int]:
        """Returns the end of each grant's gate there."""
        with self._db.reading():
            return grants.gates_at(self._db, system)

    def until(self, grant: str, system: str) -> int | None:
        with self._db.reading():
            return grants.gate_until(self._db, grant, system)
