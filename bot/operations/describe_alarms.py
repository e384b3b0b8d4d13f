"""Ends that are not confirmed as the security channel reads of them, and which messages tell of which."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.model import Grant
from bot.operations._alarm import show_alarm
from bot.operations._unit import World, unit
from bot.operations.sound_alarms import NO_ANSWER
from storage import alarms, grants
from storage.alarms import Alarm, Pair


@dataclass(frozen=True, slots=True)
class AlarmView:
    """`error` is what the system said last."""

    alarm: Alarm
    grant: Grant
    error: str


def describe_alarms(world: World, pairs: Sequence[Pair]) -> list[AlarmView]:
    """Those of these pairs of grant and system that there are, in this order. Raises StorageUnavailable."""
    with world.db.reading():
        found = (_view(world, grant, system) for grant, system in pairs)
        return [view for view in found if view is not None]


def alarms_in(world: World, channel: str, ts: str) -> list[AlarmView]:
    """What a posted message tells of."""
    with world.db.reading():
        pairs = alarms.in_message(world.db, channel, ts)
    return describe_alarms(world, pairs)


def record_alarmed(world: World, channel: str, ts: str, views: Sequence[AlarmView]) -> None:
    """A message that tells of these was posted; it is shown anew if something has happened to them meanwhile."""
    pairs = [(view.grant.id, view.alarm.system) for view in views]
    with unit(world) as u:
        alarms.posted(u.db, channel, ts, pairs)
        for view in views:
            now = alarms.get(u.db, view.grant.id, view.alarm.system)
            if now is not None and _shown(now) != _shown(view.alarm):
                show_alarm(u, (view.grant.id, view.alarm.system))


def _shown(known: Alarm) -> tuple[object, ...]:
    return known.gone_at, known.acknowledged_at


def _view(world: World, grant_id: str, system: str) -> AlarmView | None:
    known, grant = alarms.get(world.db, grant_id, system), grants.get(world.db, grant_id)
    if known is None or grant is None:
        return None
    errors = {lease.system: lease.error for lease in grants.leases(world.db, grant_id)}
    return AlarmView(known, grant, errors.get(system) or NO_ANSWER)
