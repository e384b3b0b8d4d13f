"""Compares the clock with the newest record at a start, because a clock that was set back extends
access."""

import logging

from bot.core import effects
from bot.core.audit import Event
from bot.core.durations import format_duration
from bot.core.errors import ClockBehind
from bot.operations._end_grant import withdraw
from bot.operations._unit_of_work import SYSTEM, Context, unit
from bot.operations.grants.panic import end_all
from storage import requests, times

log = logging.getLogger(__name__)

MOST = 3600
"""Seconds behind the newest record from which a start is refused."""

USUAL = 5
"""Seconds by which clocks of replicas usually differ; the security channel is notified of more."""

WRONG_TIME = "It was made while the bot's clock was wrong, so it was withdrawn. Please ask again."

REPORTED_EVERY = 600
"""Seconds between two notifications of the security channel, however many processes start."""


def newest_record(world: Context) -> int:
    """Returns when the newest record was written, in UTC seconds. Raises StorageUnavailable."""
    with world.db.reading():
        return times.newest(world.db)


def check_start(world: Context) -> int:
    """Returns the moment from which time continues. Raises ClockBehind if it is more than an hour
    ahead."""
    newest = newest_record(world)
    if (behind := newest - world.now()) > MOST:
        raise ClockBehind(format_duration(behind))
    return newest


def accept_clock(world: Context, by: str) -> bool:
    """Accepts the machine's clock where a start would be refused because it is behind the newest
    record: ends all access, withdraws requests made in that future, and drops times that are ahead.
    All other processes must be stopped. Returns False if there is nothing to accept. Raises
    StorageUnavailable."""
    if (behind := newest_record(world) - world.now()) <= MOST:
        log.warning(
            "--accept-clock had nothing to do: the clock is not more than an hour behind the newest"
            " record"
        )
        return False
    with unit(world) as u:
        times.accept(u.db, u.now)
        ended = end_all(u, by, "the clock was accepted")
        asked = requests.asked_after(u.db, u.now)
        for request in asked:
            withdraw(u, request, SYSTEM, WRONG_TIME)
            u.do(
                effects.answer(
                    request.requester,
                    "",
                    "text",
                    text=f"Your request for {request.role}: {WRONG_TIME}",
                )
            )
        u.note(Event.CLOCK_ACCEPTED, by, seconds=behind, ended=ended, withdrawn=len(asked))
        u.notify_leads("clock_accepted", by=by, seconds=behind, ended=ended, withdrawn=len(asked))
    log.warning(
        "the clock was accepted, %s behind the newest record: all access ends",
        format_duration(behind),
    )
    return True


def report_clock_behind(world: Context, behind: int) -> None:
    """Reports the seconds by which the clock was behind: in both logs and to the security
    channel."""
    if behind <= USUAL:
        return
    log.warning(
        "the clock is %s behind the newest record; time continues from there",
        format_duration(behind),
    )
    with unit(world) as u:
        u.note(Event.CLOCK_CORRECTED, SYSTEM, seconds=behind)
        if times.claim_clock_report(u.db, u.now, REPORTED_EVERY):
            u.notify_leads("clock_behind", seconds=behind)


def mark_time(world: Context) -> None:
    """Stores the current time, so that a start with a clock that was set back gains less than a
    minute. Raises StorageUnavailable."""
    with world.db.transaction():
        times.mark(world.db, world.now())
