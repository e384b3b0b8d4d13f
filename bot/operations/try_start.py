"""One try to make a grant real begins: its end is written first, then the systems may be called."""

from bot.core.model import Grant, GrantState, Lease, Order, Person
from bot.core.policy import Policy, names_of
from bot.operations._judge_start import judge_start, refuse_start
from bot.operations._unit import Unit, World, unit
from storage import grants


def try_start(world: World, grant_id: str) -> list[Order]:
    """The orders for the systems of a starting grant, with the end that this try is good for.

    Empty when there is nothing to start any more. What would not be approved any more ends instead. Raises
    StorageUnavailable.
    """
    with unit(world) as u:
        grant = grants.locked(u.db, grant_id)
        if grant is None or grant.state is not GrantState.STARTING:
            return []
        if (refused := judge_start(u, grant)) is not None:
            refuse_start(u, grant, refused)
            return []
        role = u.policy.roles.get(grant.role)
        total = role.max_total if role else grant.latest_end - grant.starts_at
        grants.set_end(u.db, grant.id, u.now + grant.duration, u.now + total)
        return orders(u, grant_id)


def orders(u: Unit, grant_id: str, only: str | None = None) -> list[Order]:
    """What connectors need to know of a grant, one order for each of its systems (or for `only` that one)."""
    grant = grants.get(u.db, grant_id)
    if grant is None:
        return []
    person = u.person(grant.person)
    leases = grants.leases(u.db, grant.id)
    return [order_of(grant, lease, person, u.policy) for lease in leases if only in (None, lease.system)]


def order_of(grant: Grant, lease: Lease, person: Person, policy: Policy) -> Order:
    """The order for one system of a grant."""
    return Order(
        grant=grant.id,
        system=lease.system,
        connector=lease.connector,
        person=person,
        role=grant.role,
        actions=grant.actions,
        starts_at=grant.starts_at,
        ends_at=grant.ends_at,
        names=names_of(policy, person),
        target=lease.target,
    )
