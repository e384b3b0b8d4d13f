"""Hours of the week and of the day, and the periods of quotas, on the clocks of a workspace."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bot.core.rules import Quota, parse_quota
from bot.core.working_hours import parse_daily, parse_hours

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = "Mon-Fri 08:00-19:00, Sat 22:00-02:00"


def at(text: str, zone: ZoneInfo = BERLIN) -> int:
    """UTC seconds of a local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


TIMES = {
    "as they begin": (WEEK, "2026-11-23 08:00", True),
    "a minute before": (WEEK, "2026-11-23 07:59", False),
    "the last minute": (WEEK, "2026-11-27 18:59", True),
    "as they end": (WEEK, "2026-11-27 19:00", False),
    "a day between": ("Mon-Wed 09:00-10:00", "2026-11-24 09:30", True),
    "a day after": ("Mon-Wed 09:00-10:00", "2026-11-26 09:30", False),
    "days over the weekend": ("Sat-Mon 09:00-10:00", "2026-11-29 09:30", True),
    "days over the weekend, not Tuesday": ("Sat-Mon 09:00-10:00", "2026-11-24 09:30", False),
    "before midnight": (WEEK, "2026-11-28 23:30", True),
    "after midnight": (WEEK, "2026-11-29 01:59", True),
    "after midnight of another day": (WEEK, "2026-11-28 01:00", False),
    "until midnight": ("Sun 20:00-24:00", "2026-11-29 23:59", True),
    "past Sunday's midnight": ("Sun 22:00-02:00", "2026-11-30 01:00", True),
    "the hour that comes twice": ("Sun 02:00-03:00", "2026-10-25 02:30", True),
}


@pytest.mark.parametrize(("hours", "time", "inside"), TIMES.values(), ids=TIMES)
def test_a_time_lies_in_hours_or_not(hours: str, time: str, inside: bool) -> None:
    assert parse_hours(hours).include(at(time), BERLIN) is inside


def test_hours_hold_on_the_clocks_of_the_workspace() -> None:
    nine_in_tokyo = at("2026-11-23 09:00", ZoneInfo("Asia/Tokyo"))
    assert parse_hours(WEEK).include(nine_in_tokyo, ZoneInfo("Asia/Tokyo"))
    assert not parse_hours(WEEK).include(nine_in_tokyo, BERLIN)


def test_both_hours_count_when_the_clocks_go_back() -> None:
    first = int(datetime(2026, 10, 25, 0, 30, tzinfo=ZoneInfo("UTC")).timestamp())
    hours = parse_hours("Sun 02:00-03:00")
    assert hours.include(first, BERLIN) and hours.include(first + 3600, BERLIN)
    assert not hours.include(first + 7200, BERLIN)


@pytest.mark.parametrize(
    ("time", "quiet"), [("19:00", True), ("03:00", True), ("08:00", False), ("12:00", False)]
)
def test_quiet_hours_hold_every_day_and_may_pass_midnight(time: str, quiet: bool) -> None:
    quiet_hours = parse_daily("19:00-08:00")
    for day in range(23, 30):
        assert quiet_hours.include(at(f"2026-11-{day} {time}"), BERLIN) is quiet


@pytest.mark.parametrize(
    "text", ["", "Mon", "Mon 8-9", "Mon 08:00-08:00", "08:00-09:00", "Mo 08:00-09:00"]
)
def test_other_texts_are_no_hours_of_the_week(text: str) -> None:
    with pytest.raises(ValueError, match="is not hours like"):
        parse_hours(text)


def test_hours_of_every_minute_are_always() -> None:
    assert parse_hours("Mon-Sun 00:00-24:00").are_always
    assert parse_hours("Mon-Sun 12:00-24:00, Mon-Sun 00:00-12:00").are_always
    assert not parse_hours("Mon-Sun 00:00-23:59").are_always


PERIODS = {
    "day": ("2026-11-29 00:00", "2026-11-29 00:00"),
    "day, a second before midnight": ("2026-11-28 23:59:59", "2026-11-28 00:00"),
    "day of 25 hours": ("2026-10-25 23:00", "2026-10-25 00:00"),
    "week": ("2026-11-29 12:00", "2026-11-23 00:00"),
    "week that begins now": ("2026-11-23 00:00", "2026-11-23 00:00"),
    "month": ("2026-11-29 12:00", "2026-11-01 00:00"),
}


@pytest.mark.parametrize(("name", "times"), PERIODS.items(), ids=PERIODS)
def test_a_quota_counts_from_midnight_of_the_workspace(name: str, times: tuple[str, str]) -> None:
    now, since = times
    assert Quota(3, name.split()[0].strip(",")).since(at(now), BERLIN) == at(since)


def test_a_quota_is_read_as_it_is_written() -> None:
    assert parse_quota("3/week") == Quota(3, "week") and str(Quota(3, "week")) == "3/week"
