"""A clock that was set back over a start lengthens nothing."""

from __future__ import annotations

import pytest

from bot.clock import Clock
from bot.core.errors import ClockBehind
from bot.operations.continue_time import check_start, newest_record, tell_behind
from bot.operations.record_people import record_people
from tests.worlds import ANA, START, Made, a_person


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
    record_people(made.world, [a_person(ANA)])
    made.clock.at = START - 3601
    with pytest.raises(ClockBehind, match=r"1h 1s behind the newest record.*set the clock"):
        check_start(made.world)


def test_a_clock_ahead_of_the_newest_record_stays_as_it_is(made: Made) -> None:
    record_people(made.world, [a_person(ANA)])
    clock = Clock(lambda: float(START + 60), lambda: 100.0)
    assert clock.go_on_from(newest_record(made.world)) == 0
    assert clock() == START + 60
