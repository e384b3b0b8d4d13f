"""Stores which shared access the bot gave, so that a revocation leaves memberships that existed
before."""

from collections.abc import Sequence

from bot.core.model import Mark
from bot.operations._unit import World
from storage import marks


class StoredMarks:
    """Raises StorageUnavailable, which the worker handles like an unreachable system."""

    def __init__(self, world: World) -> None:
        self._db = world.db

    def note(self, mark: Mark) -> None:
        with self._db.transaction():
            marks.put(self._db, mark)

    def forget(self, mark: Mark) -> None:
        with self._db.transaction():
            marks.drop(self._db, mark)

    def of_grant(self, system: str, grant: str) -> Sequence[Mark]:
        with self._db.reading():
            return marks.of_grant(self._db, system, grant)

    def of_thing(self, system: str, account: str, thing: str) -> Sequence[Mark]:
        with self._db.reading():
            return marks.of_thing(self._db, system, account, thing)

    def of_system(self, system: str) -> Sequence[Mark]:
        with self._db.reading():
            return marks.of_system(self._db, system)
