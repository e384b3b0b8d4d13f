"""Who a person is on a connected system: bound once, on record, and never guessed again."""

from bot.core.audit import Event
from bot.core.errors import SystemRefused
from bot.operations._unit import SYSTEM, World, unit
from storage import facts


class StoredPins:
    """Raises StorageUnavailable, which delivery takes for a system that can't be reached."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get(self, system: str, person: str) -> str | None:
        with self._world.db.reading():
            return facts.get(self._world.db, _key(system, person))

    def keep(self, system: str, person: str, account: str) -> str:
        """The first binding stays, also when two are tried at the same moment. An account is one person's: whoever has
        an address now that another had before does not get that one's account. Raises SystemRefused."""
        with unit(self._world) as u:
            holders = facts.keys_of(u.db, _key(system, ""), account)
            if any(key != _key(system, person) for key in holders):
                raise SystemRefused("account_taken", f"{account} on {system} belongs to another person here")
            if facts.bind(u.db, _key(system, person), account):
                u.note(Event.ACCOUNT_BOUND, SYSTEM, subject=person, system=system, account=account)
            return facts.get(u.db, _key(system, person)) or account


def _key(system: str, person: str) -> str:
    return f"account {system} {person}"
