"""Ends due grants, a batch in each transaction, before the clock does anything else."""

from bot.core.model import EndReason, Grant
from bot.operations._batches import in_batches
from bot.operations._end_grant import request_end
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork
from storage import grants

BATCH = 250
"""A larger batch would block other writers for longer, a smaller one would rewrite the same index
pages more often."""


def expire_due(world: Context) -> int:
    """Requests the end of every grant whose time is up; returns their number."""
    return in_batches(world, BATCH, _expire)


def _expire(u: UnitOfWork, limit: int) -> list[Grant]:
    due = grants.due_to_end(u.db, u.now, limit)
    request_end(u, due, EndReason.EXPIRED, SYSTEM)
    return due
