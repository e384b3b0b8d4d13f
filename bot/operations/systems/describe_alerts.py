"""Describes unconfirmed revocations for the security channel, and records which messages show
them."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.model import Grant
from bot.operations._end_alert import update_alert_messages
from bot.operations._unit_of_work import Context, unit
from bot.operations.systems.alert_due import NO_ANSWER
from storage import alerts, grants
from storage.alerts import Alert, Pair


@dataclass(frozen=True, slots=True)
class AlertView:
    """`error` is the system's latest error."""

    alert: Alert
    grant: Grant
    error: str


def describe_alerts(world: Context, pairs: Sequence[Pair]) -> list[AlertView]:
    """Returns those of these pairs of grant and system that have an alert, in this order. Raises
    StorageUnavailable."""
    with world.db.reading():
        found = (_view(world, grant, system) for grant, system in pairs)
        return [view for view in found if view is not None]


def alerts_in(world: Context, channel: str, ts: str) -> list[AlertView]:
    """Returns the alerts that a posted message shows."""
    with world.db.reading():
        pairs = alerts.in_message(world.db, channel, ts)
    return describe_alerts(world, pairs)


def record_alert_posted(world: Context, channel: str, ts: str, views: Sequence[AlertView]) -> None:
    """Records that a message with these alerts was posted, and updates it if they have changed
    meanwhile."""
    pairs = [(view.grant.id, view.alert.system) for view in views]
    with unit(world) as u:
        alerts.posted(u.db, channel, ts, pairs)
        for view in views:
            now = alerts.get(u.db, view.grant.id, view.alert.system)
            if now is not None and _shown(now) != _shown(view.alert):
                update_alert_messages(u, (view.grant.id, view.alert.system))


def _shown(known: Alert) -> tuple[object, ...]:
    return known.confirmed_at, known.acknowledged_at


def _view(world: Context, grant_id: str, system: str) -> AlertView | None:
    known, grant = alerts.get(world.db, grant_id, system), grants.get(world.db, grant_id)
    if known is None or grant is None:
        return None
    errors = {lease.system: lease.error for lease in grants.leases(world.db, grant_id)}
    return AlertView(known, grant, errors.get(system) or NO_ANSWER)
