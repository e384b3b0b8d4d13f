"""Stores a grant, its leases, its end and the work to start it, before any system is called."""

from typing import Any

from bot.core import effects
from bot.core.audit import Event
from bot.core.model import Grant, GrantState, Lease, Request, SystemActions, Terms
from bot.core.roles import Role, System
from bot.operations._unit_of_work import UnitOfWork, new_id
from storage import grants


def begin_grant(u: UnitOfWork, role: Role, request: Request, terms: Terms, by: str) -> Grant:
    """Stores the grant of a request that was approved on these terms as scheduled or starting; its
    time runs from when it is active."""
    starts_at = max(u.now, terms.start_at or 0)
    later = starts_at > u.now
    grant = Grant(
        id=new_id("g"),
        request=request.id,
        person=request.requester,
        role=role.name,
        systems=terms.systems,
        actions=terms.actions,
        state=GrantState.SCHEDULED if later else GrantState.STARTING,
        duration=terms.duration,
        starts_at=starts_at,
        ends_at=starts_at + terms.duration,
        latest_end=starts_at + role.max_total,
        urgency=request.urgency,
        system_actions=terms.system_actions,
        parameters=request.parameters,
    )
    grants.insert(u.db, grant, [_lease(grant, u.policy.systems[name]) for name in grant.systems])
    if later:
        u.expect(starts_at)
        u.record(Event.GRANT_SCHEDULED, by, grant, starts_at=starts_at, ends_at=grant.ends_at)
        u.do(effects.notify_person(grant.person, "scheduled", grant=grant.id))
    else:
        u.do(effects.start_grant(grant.id, grant.systems))
    return grant


def given_terms(terms: Terms) -> dict[str, Any]:
    """The terms for the record of an approval."""
    return {
        "duration": terms.duration,
        "actions": list(terms.actions),
        "given_systems": list(terms.systems),
        **system_actions_on_record(terms.system_actions),
        **({"start_at": terms.start_at} if terms.start_at else {}),
    }


def system_actions_on_record(each: SystemActions) -> dict[str, Any]:
    """The actions of each system for a record; empty where they do not differ."""
    listed = {system: list(actions) for system, actions in each.items()}
    return {"system_actions": listed} if listed else {}


def parameters_on_record(request: Request) -> dict[str, Any]:
    """The values of a request for its record; empty where its role has no parameters."""
    return {"parameters": dict(request.parameters)} if request.parameters else {}


def _lease(grant: Grant, system: System) -> Lease:
    return Lease(
        grant.id,
        system.name,
        system.connector,
        grant.state,
        reach=system.reach,
        actions=grant.actions_of(system.name),
    )
