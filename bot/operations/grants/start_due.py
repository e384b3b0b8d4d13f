"""Starts scheduled grants whose time has come."""

from bot.core import effects
from bot.core.model import Grant
from bot.operations._batches import in_batches
from bot.operations._unit_of_work import Context, UnitOfWork
from storage import grants

BATCH = 100


def start_due(world: Context) -> int:
    """Moves every due scheduled grant to `starting`; returns their number."""
    return in_batches(world, BATCH, _start)


def _start(u: UnitOfWork, limit: int) -> list[Grant]:
    due = grants.due_to_begin(u.db, u.now, limit)
    for grant in due:
        if grants.begin(u.db, grant.id):
            u.do(effects.start_grant(grant.id, grant.systems))
    return due
