"""A clock that was set back over a start lengthens nothing."""

from __future__ import annotations

import pytest

from bot.clock import Clock
from bot.core.errors import ClockBehind
from bot.operations.continue_time import check_start, mark_time, newest_record, tell_behind
from tests.worlds import START, Made


def test_time_goes_on_from_the_newest_record_and_the_leads_read_of_it(made: Made) -> None:
    made.a_started(made.a_request())
    assert newest_record(made.world) == START
    clock = Clock(lambda: float(START - 60), lambda: 100.0)
    made.clock.at = START - 60
    assert clock.go_on_from(check_start(made.world)) == 60
    assert clock() == START
    tell_behind(made.world, 60)
    with made.world.db.reading():
        (found,) = made.world.db.rows("SELECT data FROM outbox WHERE data LIKE '%clock_behind%'")
    assert '"seconds": 60' in found[0] or '"seconds":60' in found[0]


def test_more_than_an_hour_behind_the_start_is_refused_and_says_what_to_do(made: Made) -> None:
    mark_time(made.world)
    made.clock.at = START - 3601
    with pytest.raises(ClockBehind, match=r"1h 1s behind the newest record.*set the clock"):
        check_start(made.world)


def test_a_clock_ahead_of_the_newest_record_stays_as_it_is(made: Made) -> None:
    mark_time(made.world)
    clock = Clock(lambda: float(START + 60), lambda: 100.0)
    assert clock.go_on_from(newest_record(made.world)) == 0
    assert clock() == START + 60


def test_the_mark_of_the_time_only_goes_forward(made: Made) -> None:
    mark_time(made.world)
    made.clock.at = START - 60
    mark_time(made.world)
    assert newest_record(made.world) == START
    made.clock.at = START + 60
    mark_time(made.world)
    assert newest_record(made.world) == START + 60


def test_each_corrected_start_is_on_record_and_the_channel_reads_of_it_once_in_ten_minutes(made: Made) -> None:
    def told() -> tuple[int, int]:
        with made.world.db.reading():
            notes = made.world.db.rows("SELECT id FROM outbox WHERE data LIKE '%clock_behind%'")
            records = made.world.db.rows("SELECT seq FROM audit WHERE event = 'process:clock:corrected'")
        return len(notes), len(records)

    tell_behind(made.world, 60)
    made.clock.at += 599
    tell_behind(made.world, 60)
    assert told() == (1, 2)
    made.clock.at += 1
    tell_behind(made.world, 60)
    tell_behind(made.world, 5)
    assert told() == (2, 3)
