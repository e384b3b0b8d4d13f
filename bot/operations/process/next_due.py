"""Finds when the clock has to act next."""

from bot.operations._unit_of_work import Context
from storage import grants
from storage.grants import Deadlines

__all__ = ["Deadlines", "deadlines", "next_due"]


def deadlines(world: Context) -> Deadlines:
    """Returns the earliest deadline of each kind. Raises StorageUnavailable."""
    with world.db.reading():
        return grants.deadlines(world.db)


def next_due(world: Context) -> int | None:
    """Returns the earliest deadline of all rows in UTC seconds, or None. Raises
    StorageUnavailable."""
    return deadlines(world).first
