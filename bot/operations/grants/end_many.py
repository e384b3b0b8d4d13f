"""Ends many grants at once on systems whose access is rows of our database: closing, reading back
and recording is one transaction with a few statements, however many grants."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from bot.core.model import Grant, GrantState, Lease, Person, ProvisionOrder
from bot.operations._end_alert import resolve_alerts
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from bot.operations.claim_work import Row
from bot.operations.grants.begin_attempt import order_of
from bot.operations.grants.record_results import note_ended, notify_ended, over_at
from storage import grants

Revoke = Callable[[Sequence[ProvisionOrder]], None]
"""Revokes the access of all these orders, and raises unless it is gone."""


def end_many(world: Context, rows: Sequence[Row], revoke: Revoke | None = None) -> None:
    """Ends the leases of these `end_lease` rows.

    `revoke` revokes them and confirms each end; it is None where their systems have confirmed
    already. All or nothing: raises the errors of `revoke`, and StorageUnavailable. The grants are
    locked before anything else, in one order, to avoid deadlocks.
    """
    with unit(world) as u:
        found = grants.locked_all(u.db, [row.data["grant"] for row in rows])
        leases = grants.leases_of(u.db, list(found))
        wanted = {(row.data["grant"], row.data["system"]) for row in rows}
        ending = [
            lease
            for known in leases.values()
            for lease in known
            if (lease.grant, lease.system) in wanted
        ]
        holders = u.people({grant.person for grant in found.values()})
        if revoke is not None:
            people_of = {grant.id: holders[grant.person] for grant in found.values()}
            revoke([order_of(found[x.grant], x, people_of[x.grant], u.policy) for x in ending])
        _confirm(
            u,
            found,
            leases,
            [lease for lease in ending if lease.state is not GrantState.ENDED],
            holders,
        )


def _confirm(
    u: UnitOfWork,
    found: Mapping[str, Grant],
    leases: Mapping[str, Sequence[Lease]],
    ended: Sequence[Lease],
    holders: Mapping[str, Person],
) -> None:
    """Records the confirmed ends of many grants, like `record_ended` for one."""
    grants.end_leases(u.db, ended)
    gone = {(lease.grant, lease.system) for lease in ended}
    resolve_alerts(u, gone)
    for lease in ended:
        note_ended(u, found[lease.grant], lease.system)
    over = [
        grant
        for grant in found.values()
        if grant.state is GrantState.ENDING
        and all(
            x.state is GrantState.ENDED or (x.grant, x.system) in gone for x in leases[grant.id]
        )
    ]
    ended_at: defaultdict[int, list[str]] = defaultdict(list)
    for grant in over:
        ended_at[over_at(u, grant)].append(grant.id)
    for at, ids in ended_at.items():
        grants.confirm_ends(u.db, ids, at)
    notify_ended(u, over, holders)
