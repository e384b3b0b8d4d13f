"""Stores which shared access the bot gave, so that a revocation leaves memberships that existed
before."""

from collections.abc import Sequence

from bot.core.model import Membership
from bot.operations._unit_of_work import Context
from storage import memberships


class StoredMemberships:
    """Raises StorageUnavailable, which the worker handles like an unreachable system."""

    def __init__(self, world: Context) -> None:
        self._db = world.db

    def note(self, membership: Membership) -> None:
        with self._db.transaction():
            memberships.put(self._db, membership)

    def forget(self, membership: Membership) -> None:
        with self._db.transaction():
            memberships.drop(self._db, membership)

    def of_grant(self, system: str, grant: str) -> Sequence[Membership]:
        with self._db.reading():
            return memberships.of_grant(self._db, system, grant)

    def of_thing(self, system: str, account: str, thing: str) -> Sequence[Membership]:
        with self._db.reading():
            return memberships.of_thing(self._db, system, account, thing)

    def of_system(self, system: str) -> Sequence[Membership]:
        with self._db.reading():
            return memberships.of_system(self._db, system)
