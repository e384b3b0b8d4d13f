"""Ends absences whose date has come."""

from bot.operations._absence import end_delegation
from bot.operations._unit_of_work import SYSTEM, Context, unit
from storage import delegations

BATCH = 100


def end_absences(world: Context) -> int:
    """Ends every absence that is over; returns their number. Raises StorageUnavailable."""
    ended = 0
    while True:
        with unit(world) as u:
            due = delegations.over(u.db, u.now, BATCH)
            for each in due:
                end_delegation(u, each, SYSTEM, "its date has come")
        ended += len(due)
        if len(due) < BATCH:
            return ended
