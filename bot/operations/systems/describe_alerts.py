"""Describes unconfirmed revocations for the security channel, and records which messages show
them."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.model import Grant
from bot.operations._end_alert import show_alarm
from bot.operations._unit_of_work import Context, unit
from bot.operations.systems.alert_due import NO_ANSWER
from storage import alarms, grants
from storage.alarms import Alarm, Pair


@dataclass(frozen=True, slots=True)
class AlarmView:
    """`error` is the system's latest error."""

    alarm: Alarm
    grant: Grant
    error: str


def describe_alarms(world: Context, pairs: Sequence[Pair]) -> list[AlarmView]:
    """Returns those of these pairs of grant and system that have an alarm, in this order. Raises
    StorageUnavailable."""
    with world.db.reading():
        found = (_view(world, grant, system) for grant, system in pairs)
        return [view for view in found if view is not None]


def alarms_in(world: Context, channel: str, ts: str) -> list[AlarmView]:
    """Returns the alarms that a posted message shows."""
    with world.db.reading():
        pairs = alarms.in_message(world.db, channel, ts)
    return describe_alarms(world, pairs)


def record_alarmed(world: Context, channel: str, ts: str, views: Sequence[AlarmView]) -> None:
    """Records that a message with these alarms was posted, and updates it if they have changed
    meanwhile."""
    pairs = [(view.grant.id, view.alarm.system) for view in views]
    with unit(world) as u:
        alarms.posted(u.db, channel, ts, pairs)
        for view in views:
            now = alarms.get(u.db, view.grant.id, view.alarm.system)
            if now is not None and _shown(now) != _shown(view.alarm):
                show_alarm(u, (view.grant.id, view.alarm.system))


def _shown(known: Alarm) -> tuple[object, ...]:
    return known.gone_at, known.acknowledged_at


def _view(world: Context, grant_id: str, system: str) -> AlarmView | None:
    known, grant = alarms.get(world.db, grant_id, system), grants.get(world.db, grant_id)
    if known is None or grant is None:
        return None
    errors = {lease.system: lease.error for lease in grants.leases(world.db, grant_id)}
    return AlarmView(known, grant, errors.get(system) or NO_ANSWER)
