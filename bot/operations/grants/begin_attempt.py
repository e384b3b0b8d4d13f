"""Begins one attempt to start a grant: its end is stored first, then the systems may be called."""

from dataclasses import replace

from bot.core.audit import Event
from bot.core.errors import Outdated
from bot.core.model import Clock, EndReason, Grant, GrantState, Lease, Person, ProvisionOrder
from bot.core.roles import Policy, names_of
from bot.operations._end_grant import request_end
from bot.operations._judge_start import judge_start, refuse_start
from bot.operations._unit_of_work import SYSTEM, Context, Snapshot, UnitOfWork, unit
from storage import grants


def begin_attempt(world: Context, grant_id: str) -> list[ProvisionOrder]:
    """Returns the orders for the systems of a starting grant, with the end of this attempt: it
    moves with each attempt until a system has created the access, or may have.

    Empty if there is nothing left to start. A grant that would no longer be approved ends
    instead. Raises Outdated and StorageUnavailable.
    """
    with unit(world) as u:
        if u.outdated:
            raise Outdated
        grant = grants.locked(u.db, grant_id)
        if grant is None or grant.state is not GrantState.STARTING:
            return []
        holder = u.person(grant.person)
        if (refused := judge_start(u, grant, holder)) is not None:
            refuse_start(u, grant, refused)
            return []
        clock = grants.clock(u.db, grant.id)
        if clock is Clock.FREE:
            role = u.role_of(grant)
            total = role.max_total if role else grant.latest_end - grant.starts_at
            grant = replace(grant, ends_at=u.now + grant.duration, latest_end=u.now + total)
            grants.set_end(u.db, grant.id, grant.ends_at, grant.latest_end)
            u.expect(grant.ends_at)
            return provisioning_orders(u, grant, holder)
        if clock is Clock.TRYING:
            let_end_stand(u, grant, "the last try was cut off")
        if grant.ends_at <= u.now:
            request_end(u, [grant], EndReason.EXPIRED, SYSTEM, because="It did not start in time.")
            return []
        return provisioning_orders(u, grant, holder)


def let_end_stand(u: UnitOfWork, grant: Grant, error: str, system: str = "") -> None:
    """Fixes the end of the caller's locked grant, because a system may have created its access."""
    grants.set_clock(u.db, grant.id, Clock.STANDS)
    u.record(Event.START_UNSURE, SYSTEM, grant, system=system, error=error, ends_at=grant.ends_at)


def provisioning_orders(u: Snapshot, grant: Grant, holder: Person) -> list[ProvisionOrder]:
    """Returns an order for each system of a grant."""
    leases = grants.leases(u.db, grant.id)
    return [order_of(grant, lease, holder, u.policy) for lease in leases]


def order_of(grant: Grant, lease: Lease, person: Person, policy: Policy) -> ProvisionOrder:
    """Returns the order for one system of a grant."""
    return ProvisionOrder(
        grant=grant.id,
        system=lease.system,
        connector=lease.connector,
        person=person,
        role=grant.role,
        actions=lease.actions,
        starts_at=grant.starts_at,
        ends_at=grant.ends_at,
        names=names_of(policy, person),
        target=lease.target,
        reach=lease.reach,
    )
