"""Records how often refusals and reports were repeated, once their minute is over."""

from bot.operations._repeats import WITHIN, summed
from bot.operations._unit_of_work import Context, unit
from storage import repeats

AT_ONCE = 500
"""Entries in one transaction."""


def record_repeats(world: Context) -> None:
    """Records the counts that are complete. Raises StorageUnavailable."""
    with world.db.reading():
        if not repeats.any_before(world.db, world.now() - WITHIN):
            return
    with unit(world) as u:
        u.entries += summed(repeats.take_before(u.db, u.now - WITHIN, AT_ONCE))
