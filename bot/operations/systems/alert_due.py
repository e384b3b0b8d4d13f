"""Repeats alerts about unconfirmed revocations, and notices revocations without any answer."""

from bot.core.model import GrantState
from bot.operations._batches import in_batches
from bot.operations._end_alert import send_alert, watch_end
from bot.operations._unit_of_work import Context, UnitOfWork
from storage import alerts, grants
from storage.alerts import Alert, Pair

BATCH = 100
NO_ANSWER = "the system has not answered"


def send_due_alerts(world: Context) -> int:
    """Sends the alerts that are due and returns their number. Raises StorageUnavailable."""
    return in_batches(world, BATCH, _send_due)


def _send_due(u: UnitOfWork, limit: int) -> list[Alert]:
    due = alerts.due(u.db, u.now, limit)
    for known in due:
        _send(u, known)
    return due


def _send(u: UnitOfWork, known: Alert) -> None:
    grant = grants.get(u.db, known.grant)
    lease = next(
        (one for one in grants.leases(u.db, known.grant) if one.system == known.system), None
    )
    # Ended while the watch began.
    if grant is None or lease is None or lease.state is not GrantState.ENDING:
        return alerts.gone(u.db, known.grant, known.system, u.now)
    return send_alert(u, grant, known, lease.error or NO_ANSWER)


def watch_ends(world: Context) -> int:
    """Starts watching revocations that were requested and not answered yet; returns their
    number."""
    return in_batches(world, BATCH, _watch)


def _watch(u: UnitOfWork, limit: int) -> list[Pair]:
    found = alerts.unwatched(u.db, limit)
    watch_end(u, found)
    return found
