"""Reminds holders before their access ends. A reminder that was missed while no process ran is sent
once, with the time that is really left."""

from bot.core import effects
from bot.core.lifecycle import next_reminder
from bot.operations._unit_of_work import Context, unit
from storage import grants

BATCH = 100


def remind_due(world: Context) -> int:
    """Queues a reminder for every grant that is due for one; returns their number."""
    reminded = 0
    while True:
        with unit(world) as u:
            due = grants.due_to_remind(u.db, u.now, BATCH)
            for grant in due:
                role = u.policy.roles.get(grant.role)
                grants.set_reminder(
                    u.db,
                    grant.id,
                    next_reminder(u.now, grant.ends_at, role.reminders if role else ()),
                )
                if grant.ends_at > u.now:
                    u.do(effects.remind(grant.id, grant.person))
        reminded += len(due)
        if len(due) < BATCH:
            return reminded
