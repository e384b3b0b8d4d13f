"""A time of the week, as `Mon 09:00`, and the seven days that end at it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.core.working_hours import DAYS

_WEEKLY = re.compile(rf"({'|'.join(DAYS)}) ([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` up to, and without, `until`, in UTC seconds."""

    since: int
    until: int

    def has(self, at: int | None) -> bool:
        return at is not None and self.since <= at < self.until

    def days(self, zone: ZoneInfo) -> Iterator[tuple[date, Period]]:
        """Each day on the clocks of `zone` with the part of it that lies in this period."""
        day = datetime.fromtimestamp(self.since, zone).date()
        start = self.since
        while start < self.until:
            day += timedelta(days=1)
            end = min(_at(day, time(), zone), self.until)
            yield day - timedelta(days=1), Period(start, end)
            start = end


@dataclass(frozen=True, slots=True)
class WeeklyTime:
    """`day` is 0 for Monday, `text` is how roles.toml writes it."""

    text: str
    day: int
    clock: time

    def last_week(self, now: int, zone: ZoneInfo) -> Period:
        """The seven days that ended at the latest such time on the clocks of `zone`."""
        local = datetime.fromtimestamp(now, zone)
        day = local.date() - timedelta(days=(local.weekday() - self.day) % 7)
        if _at(day, self.clock, zone) > now:
            day -= timedelta(days=7)
        begin = day - timedelta(days=7)
        return Period(_at(begin, self.clock, zone), _at(day, self.clock, zone))


def week_of(at: int, zone: ZoneInfo) -> str:
    """The week of ISO 8601 on the clocks of `zone`: `2026-W48`."""
    year, week, _ = datetime.fromtimestamp(at, zone).isocalendar()
    return f"{year}-W{week:02}"


def month_of(at: int, zone: ZoneInfo) -> str:
    """The month on the clocks of `zone`: `2026-11`."""
    return f"{datetime.fromtimestamp(at, zone):%Y-%m}"


def parse_weekly(text: str) -> WeeklyTime:
    """A time of the week. Raises ValueError with the rest of a sentence about the text."""
    found = _WEEKLY.fullmatch(text)
    if found is None:
        raise ValueError("is not a time of the week like Mon 09:00")
    return WeeklyTime(text, DAYS.index(found[1]), time(int(found[2]), int(found[3])))


def _at(day: date, clock: time, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, clock, zone).timestamp())
