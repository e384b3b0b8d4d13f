"""The time of the week at which a digest is due, and the days that it covers."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bot.core.weekly import Period, month_of, parse_weekly, week_of

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp())


WEEKS = {
    "at the minute": ("2026-11-30 09:00", "2026-11-23 09:00", "2026-11-30 09:00"),
    "a second before": ("2026-11-30 08:59:59", "2026-11-16 09:00", "2026-11-23 09:00"),
    "on a Sunday": ("2026-11-29 23:00", "2026-11-16 09:00", "2026-11-23 09:00"),
    "over the start of summer time": (
        "2026-03-30 09:00",
        "2026-03-23 09:00",
        "2026-03-30 09:00",
    ),
    "over the end of summer time": ("2026-10-26 12:00", "2026-10-19 09:00", "2026-10-26 09:00"),
}


@pytest.mark.parametrize(("now", "since", "until"), WEEKS.values(), ids=WEEKS)
def test_the_last_week_ends_at_the_latest_such_time(now: str, since: str, until: str) -> None:
    found = parse_weekly("Mon 09:00").last_week(at(now), BERLIN)
    assert found == Period(at(since), at(until))


def test_a_week_has_eight_days_of_which_two_are_parts() -> None:
    found = list(Period(at("2026-10-19 09:00"), at("2026-10-26 09:00")).days(BERLIN))
    assert [day.isoformat()[5:] for day, _ in found] == [f"10-{n}" for n in range(19, 27)]
    hours = [(part.until - part.since) / 3600 for _, part in found]
    assert hours == [15, 24, 24, 24, 24, 24, 25, 9], "Sunday was an hour longer"


def test_weeks_and_months_are_those_of_the_workspace() -> None:
    assert week_of(at("2027-01-01 00:30"), BERLIN) == "2026-W53"
    assert month_of(at("2027-01-01 00:30"), BERLIN) == "2027-01"


@pytest.mark.parametrize("text", ["Mon", "09:00", "Mon 9:00", "Mon 24:00", "Mo 09:00", "mon 09:00"])
def test_what_is_no_time_of_the_week_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="like Mon 09:00"):
        parse_weekly(text)
