"""Reminds holders before their access ends. A reminder that was missed while no process ran is sent
once, with the time that is really left."""

from bot.core import effects
from bot.core.lifecycle import next_reminder
from bot.core.model import Grant
from bot.operations._batches import in_batches
from bot.operations._unit_of_work import Context, UnitOfWork
from storage import grants

BATCH = 100


def remind_due(world: Context) -> int:
    """Queues a reminder for every grant that is due for one; returns their number."""
    return in_batches(world, BATCH, _remind)


def _remind(u: UnitOfWork, limit: int) -> list[Grant]:
    due = grants.due_to_remind(u.db, u.now, limit)
    for grant in due:
        role = u.role_of(grant)
        next_at = next_reminder(u.now, grant.ends_at, role.reminders if role else ())
        grants.set_reminder(u.db, grant.id, next_at)
        if grant.ends_at > u.now:
            u.do(effects.remind(grant.id, grant.person))
    return due
