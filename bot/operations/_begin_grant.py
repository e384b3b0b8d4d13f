"""Stores a grant, its leases, its end and the work to start it, before any system is called."""

from bot.core import effects
from bot.core.audit import Event
from bot.core.model import Grant, GrantState, Lease, Request
from bot.core.roles import Role, System
from bot.operations._unit_of_work import UnitOfWork, new_id
from storage import grants


def begin_grant(
    u: UnitOfWork, role: Role, request: Request, duration: int, actions: tuple[str, ...], by: str
) -> Grant:
    """Stores the grant of an approved request as scheduled or starting; its time runs from when it
    is active."""
    later = request.start_at is not None and request.start_at > u.now
    starts_at = request.start_at if later and request.start_at is not None else u.now
    grant = Grant(
        id=new_id("g"),
        request=request.id,
        person=request.requester,
        role=role.name,
        systems=request.systems,
        actions=actions,
        state=GrantState.SCHEDULED if later else GrantState.STARTING,
        duration=duration,
        starts_at=starts_at,
        ends_at=starts_at + duration,
        latest_end=starts_at + role.max_total,
        urgency=request.urgency,
    )
    grants.insert(u.db, grant, [_lease(grant, u.policy.systems[name]) for name in request.systems])
    if later:
        u.expect(starts_at)
        u.record(Event.GRANT_SCHEDULED, by, grant, starts_at=starts_at, ends_at=grant.ends_at)
        u.do(effects.notify_person(grant.person, "scheduled", grant=grant.id))
    else:
        u.do(effects.start_grant(grant.id, grant.systems))
    return grant


def _lease(grant: Grant, system: System) -> Lease:
    return Lease(grant.id, system.name, system.connector, grant.state, reach=system.reach)
