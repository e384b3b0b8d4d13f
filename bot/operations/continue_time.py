"""Compares the clock with the newest record at a start, because a clock that was set back lengthens access."""

import logging

from bot.core.durations import format_duration
from bot.core.errors import ClockBehind
from bot.operations._unit import World, unit
from storage import times

log = logging.getLogger(__name__)

MOST = 3600
"""Seconds behind the newest record from which on a start is refused."""

USUAL = 5
"""Seconds by which clocks of replicas differ; the security channel reads of more."""


def newest_record(world: World) -> int:
    """When the newest record was written, in UTC seconds. Raises StorageUnavailable."""
    with world.db.reading():
        return times.newest(world.db)


def check_start(world: World) -> int:
    """The moment from which time has to go on. Raises ClockBehind when that is more than an hour ahead."""
    newest = newest_record(world)
    if (behind := newest - world.now()) > MOST:
        raise ClockBehind(format_duration(behind))
    return newest


def tell_behind(world: World, behind: int) -> None:
    """Reports a clock that was behind by so many seconds: in the log, and to the security channel."""
    if behind <= USUAL:
        return
    log.warning("the clock is %s behind the newest record; time goes on from there", format_duration(behind))
    with unit(world) as u:
        u.tell_leads("clock_behind", seconds=behind)
