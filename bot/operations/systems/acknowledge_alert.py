"""Lets a lead acknowledge an unconfirmed revocation: alerts stop, and the bot keeps retrying."""

from bot.core.approval import Refused
from bot.core.audit import Event
from bot.operations._end_alert import update_alert_messages
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from storage import alerts, grants

ACTION = "acknowledge an end"
MOST = 1000
"""The maximum for one click."""


def acknowledge_end(world: Context, by: str, alert: str) -> Refused | None:
    """Acknowledges the alert with id `alert`. Refuses callers who are not leads, and alerts that
    are resolved. Raises StorageUnavailable."""
    with unit(world) as u:
        known = alerts.by_id(u.db, alert)
        grant = grants.locked(u.db, known.grant) if known else None
        if (refused := leads_only(u, by)) is not None:
            return u.refuse(refused, by, ACTION, grant)
        if known is None or grant is None or not alerts.acknowledge(u.db, alert, by, u.now):
            return u.refuse(_over(u, alert), by, ACTION, grant)
        u.record(Event.END_ACKNOWLEDGED, by, grant, system=known.system)
        update_alert_messages(u, (known.grant, known.system))
    return None


def acknowledge_all(world: Context, by: str, alert: str) -> int | Refused:
    """Acknowledges every unconfirmed revocation on the system of this alert, up to MOST, and
    returns their number."""
    with unit(world) as u:
        known = alerts.by_id(u.db, alert)
        if (refused := leads_only(u, by)) is not None:
            return u.refuse(refused, by, ACTION)
        open_alerts = alerts.unacknowledged(u.db, known.system, MOST) if known else []
        taken = [each for each in open_alerts if alerts.acknowledge(u.db, each.id, by, u.now)]
        if not taken:
            return u.refuse(_over(u, alert), by, ACTION)
        for each in taken:
            u.record(Event.END_ACKNOWLEDGED, by, grants.get(u.db, each.grant), system=each.system)
        update_alert_messages(u, *((each.grant, each.system) for each in taken))
    return len(taken)


def _over(u: UnitOfWork, alert: str) -> Refused:
    known = alerts.by_id(u.db, alert)
    if known is None:
        return Refused("This alert does not exist.")
    if known.confirmed_at is not None:
        return Refused("There is nothing left to acknowledge: the system has confirmed the end.")
    return Refused("Already acknowledged. Alerts are off; the bot keeps retrying.")
