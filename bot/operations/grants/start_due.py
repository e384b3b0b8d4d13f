"""Starts scheduled grants whose time has come."""

from bot.core import effects
from bot.operations._unit_of_work import Context, unit
from storage import grants

BATCH = 100


def start_due(world: Context) -> int:
    """Moves every due scheduled grant to `starting`; returns their number."""
    started = 0
    while True:
        with unit(world) as u:
            due = grants.due_to_begin(u.db, u.now, BATCH)
            for grant in due:
                if grants.begin(u.db, grant.id):
                    u.do(effects.start_grant(grant.id, grant.systems))
        started += len(due)
        if len(due) < BATCH:
            return started
