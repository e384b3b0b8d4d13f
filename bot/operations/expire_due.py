"""Ends what is due, a batch in each transaction, before the clock does anything else."""

from bot.core.model import EndReason
from bot.operations._end import ask_end
from bot.operations._unit import SYSTEM, World, unit
from storage import grants

BATCH = 250
"""More would keep others from writing for longer, fewer would write the same pages of the indexes more often."""


def expire_due(world: World) -> int:
    """Asks for the end of every grant whose time is up and gives their number."""
    ended = 0
    while True:
        with unit(world) as u:
            due = grants.due_to_end(u.db, u.now, BATCH)
            ask_end(u, due, EndReason.EXPIRED, SYSTEM)
        ended += len(due)
        if len(due) < BATCH:
            return ended
