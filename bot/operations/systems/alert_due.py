"""Repeats alerts about unconfirmed revocations, and notices revocations without any answer."""

from bot.core.model import GrantState
from bot.operations._end_alert import send_alert, watch_end
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from storage import alerts, grants
from storage.alerts import Alert

BATCH = 100
NO_ANSWER = "the system has not answered"


def send_due_alerts(world: Context) -> int:
    """Sends the alerts that are due and returns their number. Raises StorageUnavailable."""
    told = 0
    while True:
        with unit(world) as u:
            due = alerts.due(u.db, u.now, BATCH)
            for known in due:
                _send(u, known)
        told += len(due)
        if len(due) < BATCH:
            return told


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
    watched = 0
    while True:
        with unit(world) as u:
            found = alerts.unwatched(u.db, BATCH)
            watch_end(u, found)
        watched += len(found)
        if len(found) < BATCH:
            return watched
