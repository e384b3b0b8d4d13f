"""Moves the end of an active grant, on its systems too, within its hard limit."""

from dataclasses import replace

from bot.core import effects
from bot.core.audit import Event
from bot.core.lifecycle import first_reminder, renewed_end
from bot.core.model import Grant
from bot.core.roles import Role
from bot.operations._unit_of_work import UnitOfWork
from storage import grants


def extend_grant(
    u: UnitOfWork, role: Role, grant: Grant, duration: int, by: str, reason: str = ""
) -> Grant:
    """Extends a grant that the caller has locked and found active; returns it with its new end."""
    latest_end = min(grant.latest_end, (grant.started_at or grant.starts_at) + role.max_total)
    ends_at = renewed_end(u.now, duration, grant.ends_at, latest_end)
    remind_at = first_reminder(u.now, ends_at, role.reminders)
    grants.renew(u.db, grant.id, ends_at, remind_at)
    u.expect(ends_at, remind_at)
    u.record(
        Event.GRANT_RENEWED, by, grant, reason=reason, ended_before=grant.ends_at, ends_at=ends_at
    )
    u.do(*(effects.extend_lease(grant.id, system) for system in grant.systems))
    u.do(effects.notify_person(grant.person, "renewed", grant=grant.id))
    u.do(effects.thread_note(grant, role.channel, "renewed", by=by, ends_at=ends_at))
    return replace(grant, ends_at=ends_at, remind_at=remind_at, renewals=grant.renewals + 1)
