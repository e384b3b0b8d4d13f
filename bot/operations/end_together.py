"""Many ends at once, on systems where access is nothing but rows of ours: what is closed, read back, confirmed and
written down is one transaction, and a handful of statements whatever the number.
"""

from collections.abc import Callable, Sequence

from bot.core.model import Grant, GrantState, Lease, Order
from bot.operations._unit import Unit, World, unit
from bot.operations.record_delivery import note_ended, tell_ended
from bot.operations.take_work import Row
from bot.operations.try_start import order_of
from storage import grants, outbox, people

Revoke = Callable[[Sequence[Order]], None]
"""Makes the access of all these orders not exist, and raises unless it is gone."""


def end_together(world: World, owner: str, rows: Sequence[Row], revoke: Revoke) -> None:
    """Ends what these `end_lease` rows ask for, confirmed by `revoke`, and removes them.

    All or nothing: raises what `revoke` raises, and StorageUnavailable. The grants are locked before anything else,
    in one order, so that nobody who holds one of them waits for us while we wait for it.
    """
    with unit(world) as u:
        found = grants.locked_all(u.db, [row.data["grant"] for row in rows])
        leases = grants.leases_of(u.db, list(found))
        wanted = {(row.data["grant"], row.data["system"]) for row in rows}
        ending = [lease for known in leases.values() for lease in known if (lease.grant, lease.system) in wanted]
        revoke(_orders(u, found, ending))
        _confirm(u, found, leases, [lease for lease in ending if lease.state is not GrantState.ENDED])
        outbox.done_all(u.db, [row.id for row in rows], owner)


def _orders(u: Unit, found: dict[str, Grant], ending: Sequence[Lease]) -> list[Order]:
    known = people.several(u.db, {grant.person for grant in found.values()})
    holders = {grant.id: known.get(grant.person) or u.person(grant.person) for grant in found.values()}
    return [order_of(found[lease.grant], lease, holders[lease.grant]) for lease in ending]


def _confirm(u: Unit, found: dict[str, Grant], leases: dict[str, list[Lease]], ended: Sequence[Lease]) -> None:
    """What `record_ended` does for one, for many."""
    grants.end_leases(u.db, ended)
    gone = {(lease.grant, lease.system) for lease in ended}
    for lease in ended:
        if found[lease.grant].state is GrantState.ENDING:
            note_ended(u, found[lease.grant], lease.system)
    over = [
        grant
        for grant in found.values()
        if grant.state is GrantState.ENDING
        and all(x.state is GrantState.ENDED or (x.grant, x.system) in gone for x in leases[grant.id])
    ]
    grants.confirm_ends(u.db, [grant.id for grant in over], u.now)
    for grant in over:
        tell_ended(u, grant)
