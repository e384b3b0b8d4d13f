"""A clock that was set back before a start does not lengthen access."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.clock import Clock
from bot.core.approval import Refused
from bot.core.errors import ClockBehind
from bot.operations.grants.record_results import record_ended
from bot.operations.people.record_people import record_groups, warn_of_old_groups
from bot.operations.process.continue_time import (
    accept_clock,
    check_start,
    mark_time,
    newest_record,
    report_clock_behind,
)
from bot.operations.requests.request_access import MOST_REQUESTS, Submitted
from bot.operations.requests.withdraw_request import withdraw_request
from bot.operations.systems.reconcile_nightly import reconcile_nightly
from storage import key_values
from tests.factories import ANA, CARA, START, Made, a_person


def test_time_continues_from_the_newest_record_and_the_leads_are_notified(made: Made) -> None:
    made.a_started(made.a_request())
    assert newest_record(made.world) == START
    clock = Clock(lambda: float(START - 60), lambda: 100.0)
    made.clock.at = START - 60
    assert clock.go_on_from(check_start(made.world)) == 60
    assert clock() == START
    report_clock_behind(made.world, 60)
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


def test_each_corrected_start_is_recorded_and_reported_once_in_ten_minutes(
    made: Made,
) -> None:
    def notes_and_records() -> tuple[int, int]:
        with made.world.db.reading():
            notes = made.world.db.rows("SELECT id FROM outbox WHERE data LIKE '%clock_behind%'")
            records = made.world.db.rows(
                "SELECT seq FROM audit WHERE event = 'process:clock:corrected'"
            )
        return len(notes), len(records)

    report_clock_behind(made.world, 60)
    made.clock.at += 599
    report_clock_behind(made.world, 60)
    assert notes_and_records() == (1, 2)
    made.clock.at += 1
    report_clock_behind(made.world, 60)
    report_clock_behind(made.world, 5)
    assert notes_and_records() == (2, 3)


class TestAccepted:
    """The clock was once far ahead and is right now."""

    MONTHS = 90 * 86400

    def _put_right(self, made: Made) -> None:
        made.clock.at = START - self.MONTHS
        with pytest.raises(ClockBehind, match=r"start `run` or `worker` once with --accept-clock"):
            check_start(made.world)
        assert accept_clock(made.world, "os:eve")

    def test_the_start_is_no_longer_refused_and_the_log_stays_intact(self, made: Made) -> None:
        made.a_grant()
        mark_time(made.world)
        self._put_right(made)
        assert check_start(made.world) == made.clock.at
        assert made.log("process:clock:accepted", "actor, at") == [("os:eve", made.clock.at)]
        ((data,),) = made.rows("SELECT data FROM outbox WHERE data LIKE '%clock_accepted%'")
        assert json.loads(data)["ended"] == 1
        made.clock.at += 60
        mark_time(made.world)
        assert newest_record(made.world) == made.clock.at
        assert made.verdict().broken is None
        assert not accept_clock(made.world, "os:eve")

    def test_all_access_ends_and_requests_are_withdrawn(self, made: Made) -> None:
        active, scheduled = (
            made.a_grant(),
            made.a_started(made.a_request(person=CARA, start_at=START + 7200)),
        )
        pending = made.a_request("reports-read")
        self._put_right(made)
        for grant in (active, scheduled):
            assert made.state("grants", grant.id) == "ending"
            for system in grant.systems:
                record_ended(made.world, grant.id, system)
            assert made.state("grants", grant.id) == "ended"
        assert made.state("requests", pending.id) == "withdrawn"
        assert made.verdict().broken is None

    def test_nothing_waits_for_that_future(self, made: Made) -> None:
        made.a_grant()
        with made.world.db.transaction():
            key_values.claim_key(made.world.db, "key", START + 60)
        made.clock.at = START
        self._put_right(made)
        now = made.clock.at
        assert made.count("outbox", f"created_at > {now} OR due_at > {now + 60}") == 0
        assert made.count("seen", f"at > {now}") == 0
        assert made.count("people", f"checked_at > {now}") == 0
        made.know(replace(a_person(deleted=True), checked_at=now))
        assert made.rows("SELECT deleted FROM people WHERE id = ?", ANA) == [(1,)]

    def test_the_nightly_check_runs_in_the_nights_of_that_future(self, made: Made) -> None:
        night = START - START % 86400 + 12 * 3600
        made.clock.at = night
        assert reconcile_nightly(made.world)
        self._put_right(made)
        made.clock.at = night
        assert reconcile_nightly(made.world)

    def test_the_leads_read_since_when_groups_cannot_be_read(self, made: Made) -> None:
        record_groups(made.world, [], START)
        self._put_right(made)
        started = made.clock.at
        made.forget_work()
        made.clock.at += 601
        warn_of_old_groups(made.world, started)
        ((data,),) = made.rows("SELECT data FROM outbox WHERE data LIKE '%groups_unread%'")
        assert json.loads(data)["since"] == started

    def test_the_limit_of_requests_ignores_requests_of_that_future(self, made: Made) -> None:
        for _ in range(MOST_REQUESTS):
            withdraw_request(made.world, made.a_request().id, ANA)
        assert isinstance(made.ask_again(), Refused)
        self._put_right(made)
        made.know(replace(a_person(), checked_at=made.clock.at))
        assert isinstance(made.ask_again(), Submitted)

    def test_nothing_ends_if_the_start_would_not_be_refused(self, made: Made) -> None:
        grant = made.a_grant()
        made.clock.at = START - 3600
        assert not accept_clock(made.world, "os:eve")
        assert made.state("grants", grant.id) == "active"
