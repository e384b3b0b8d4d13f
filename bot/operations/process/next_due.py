"""Finds when the clock has to act next."""

from bot.operations._unit_of_work import Context
from storage import grants


def next_due(world: Context) -> int | None:
    """Returns the earliest deadline of all rows in UTC seconds, or None. Raises
    StorageUnavailable."""
    with world.db.reading():
        return grants.next_due(world.db)
