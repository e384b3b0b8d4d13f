"""Records that the database accepts writes again, and settles revocations made during the
outage."""

from dataclasses import dataclass
from typing import Any

from bot.core import effects
from bot.core.audit import Event
from bot.core.model import GrantState
from bot.operations._unit_of_work import SYSTEM, Context, Snapshot, UnitOfWork, unit
from bot.operations.messages.keep_channels import known_place
from bot.operations.messages.notify_each_lead import leads_of
from storage import grants, times


@dataclass(frozen=True, slots=True)
class Outage:
    """A time without writes: its start (UTC seconds), its cause, the number of revocations
    meanwhile, and whether Slack accepted the report."""

    since: int
    cause: str
    ended: int = 0
    reported: bool = False


def end_outage(world: Context, outage: Outage) -> None:
    """Records the outage as this process saw it, and notifies the leads once that it is over.
    Undoes a revocation from memory if another process had renewed the grant. Raises
    StorageUnavailable."""
    with unit(world) as u:
        again = [pair for pair in world.unwritten.pairs() if _is_wrong(u, *pair)]
        facts: dict[str, Any] = {
            "since": outage.since,
            "seconds": max(0, u.now - outage.since),
            "ended": outage.ended,
        }
        u.note(
            Event.WRITING_BACK,
            SYSTEM,
            cause=outage.cause,
            made_again=len(again),
            reported=outage.reported,
            **facts,
        )
        if times.claim_outage_report(u.db, u.now, outage.since):
            u.notify_leads("writing_back", **facts)


def settle_unwritten(world: Context) -> None:
    """Settles revocations made during a failure too short to report. Raises StorageUnavailable."""
    if ended := world.unwritten.pairs():
        with unit(world) as u:
            for pair in ended:
                _is_wrong(u, *pair)


def _is_wrong(u: UnitOfWork, grant_id: str, system: str) -> bool:
    """Undoes a wrong revocation and returns whether it was one. Drops one that another process has
    recorded, and keeps one that is due now for its ordinary record."""
    grant = grants.locked(u.db, grant_id)
    leases = grants.leases(u.db, grant_id) if grant is not None else []
    lease = next((each for each in leases if each.system == system), None)
    is_over = grant is None or lease is None or lease.state is GrantState.ENDED
    is_wrong = (
        grant is not None
        and not is_over
        and grant.state is GrantState.ACTIVE
        and grant.ends_at > u.now
    )
    if is_over or is_wrong:
        u.db.after_commit(lambda: u.world.unwritten.forget(grant_id, system))
    if is_wrong:
        u.do(effects.extend_lease(grant_id, system))
    return is_wrong


def whom_to_notify(world: Context) -> tuple[str, list[str]]:
    """Returns the id of the security channel, or its name if no id is known, and the leads who may
    act. Raises StorageUnavailable."""
    channel = world.policy().workspace.security_channel
    found = known_place(world, channel).id if channel else ""
    with world.db.reading():
        return found or channel, leads_of(Snapshot(world))
