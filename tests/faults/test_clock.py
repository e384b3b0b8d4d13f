"""The machine's clock is set forward or back, is in another zone, or passes a change of daylight
saving: access ends on time, and never later."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from pathlib import Path

import apscheduler.schedulers.base
import apscheduler.triggers.interval
import pytest

import bot.worker.scheduler
from bot.clock import Clock
from bot.core.model import Grant, GrantState
from bot.operations.people.record_people import record_people
from bot.operations.usage.count_usage import UsageMeter
from bot.worker.dispatcher import Dispatcher
from bot.worker.scheduler import PeriodicJob, Scheduler
from bot.worker.ticker import Ticker
from tests.factories import ANA, Made, a_person, make_world
from tests.fakes import FakeMessenger, FakePeople, FakeSystem, FakeSystems
from tests.faults.running_bot import Company
from tests.waiting import until

HOUR = 3600


# --- the product's time


@dataclass
class SetClock:
    """Two clocks of a machine, moved by a test."""

    wall: float = 1_800_000_000.0
    steady: float = 100.0

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.steady)

    def go(self, seconds: float, wall: float | None = None) -> None:
        """Moves time on; `wall` says how far the wall clock moved, if not equally far."""
        self.steady += seconds
        self.wall += seconds if wall is None else wall


def test_time_follows_the_machine_s_clock() -> None:
    machine = SetClock()
    clock = machine.clock()
    assert (clock(), clock.exact()) == (1_800_000_000, 1_800_000_000.0)
    machine.go(2.75)
    assert (clock(), clock.exact()) == (1_800_000_002, 1_800_000_002.75)


def test_a_clock_set_back_does_not_stop_time() -> None:
    machine = SetClock()
    clock = machine.clock()
    machine.go(10, wall=-HOUR)
    assert clock() == 1_800_000_010
    machine.go(HOUR)
    assert clock() == 1_800_000_010 + HOUR


def test_a_clock_set_forward_is_believed() -> None:
    machine = SetClock()
    clock = machine.clock()
    machine.go(1, wall=HOUR)
    assert clock() == 1_800_000_000 + HOUR


def test_time_does_not_go_back_when_a_clock_set_forward_is_put_right() -> None:
    """Otherwise access that was given for an hour meanwhile would last longer."""
    machine = SetClock()
    clock = machine.clock()
    machine.go(1, wall=HOUR)
    assert clock() == 1_800_000_000 + HOUR
    machine.go(1, wall=-HOUR)
    assert clock() == 1_800_000_001 + HOUR


def test_a_thread_that_is_delayed_between_the_two_clocks_does_not_move_time_ahead() -> None:
    machine = SetClock()
    slow = [0.0, 0.0, 7.0, 0.0]

    def steady() -> float:
        machine.go(slow.pop(0) if slow else 0)
        return machine.steady

    clock = Clock(lambda: machine.wall, steady)
    for _ in range(4):
        assert clock.exact() <= machine.wall


def test_time_never_goes_back() -> None:
    machine = SetClock()
    clock = machine.clock()
    seen = [clock.exact()]
    for wall in (1, -5, 900, -900, 0, -10_000, 20_000, 0.5, -0.5):
        machine.go(0.25, wall=wall)
        seen.append(clock.exact())
    assert all(after - before >= 0.25 for before, after in pairwise(seen))


# --- jobs and delivery under a machine whose clock is set


class Machine:
    """The machine's clock as APScheduler and the bot read it: the real one, plus the offset of a
    test."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def set(self, at: float) -> None:
        self.ahead = at - time.time()

    def wall(self) -> float:
        return time.time() + self.ahead

    def as_datetime(self) -> type[datetime]:
        machine = self

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.fromtimestamp(machine.wall(), tz)

        return Shifted


@dataclass
class Working:
    """Scheduler and dispatcher at work on a real database, on a machine whose clock a test may
    set."""

    machine: Machine
    made: Made
    clock: Clock
    ticks: list[float]

    def wait(self, grant: Grant, state: GrantState, timeout: float = 60) -> None:
        until(lambda: self.made.grant(grant.id).state is state, timeout)

    def times(self, grant: Grant) -> tuple[int, int]:
        """The start and the end of the grant."""
        found = self.made.grant(grant.id)
        assert found.started_at is not None and found.ended_at is not None
        return found.started_at, found.ended_at


@pytest.fixture
def make_working(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Working]]:
    stops: list[Callable[[], None]] = []

    def make(at: float | None = None) -> Working:
        """The sweep does not wake on its own while a test waits: it has to notice the change."""
        machine, made = Machine(), make_world(tmp_path)
        monkeypatch.setattr(bot.worker.scheduler, "LONGEST_SLEEP", 3600)
        for module in (apscheduler.schedulers.base, apscheduler.triggers.interval):
            monkeypatch.setattr(module, "datetime", machine.as_datetime())
        if at is not None:
            machine.set(at)
        clock = Clock(wall=machine.wall)
        ticks: list[float] = []
        system, world = FakeSystem(), replace(made.world, now=clock)
        delivery = Dispatcher(
            world, FakeSystems(system), FakeMessenger(), FakePeople(), UsageMeter(world)
        )  # type: ignore[arg-type]
        jobs = Scheduler(
            world,
            clock.exact,
            {"tick": PeriodicJob(1, lambda: ticks.append(time.monotonic()))},
            machine.wall,
        )
        made.world = replace(
            world, wake=lambda queues, due: (delivery.wake(queues), jobs.expect(due))
        )  # type: ignore[arg-type,return-value]
        checks = {
            "clock": jobs.check,
            "jobs": jobs.find_due,
            "rows": delivery.find_due,
            "due": delivery.wake_due,
        }
        watch = Ticker(clock.exact, checks)
        jobs.start()
        delivery.start()
        watch.start()
        stops.extend([made.world.db.close, delivery.stop, jobs.stop, watch.stop])
        return Working(machine, made, clock, ticks)

    yield make
    for stop in reversed(stops):
        stop()


@pytest.fixture
def working(make_working: Callable[..., Working]) -> Working:
    return make_working()


def started(working: Working, duration: int, person: str = ANA) -> Grant:
    """An active grant that the dispatcher has started."""
    record_people(working.made.world, [a_person(person)])
    grant = working.made.a_started(working.made.a_request(person=person, duration=duration))
    working.wait(grant, GrantState.ACTIVE)
    return grant


def test_a_clock_set_forward_ends_due_access_at_once(working: Working) -> None:
    grants = [started(working, HOUR, person) for person in ("U0A", "U0B")]
    longer = started(working, 3 * HOUR)
    working.machine.ahead += 2 * HOUR
    for grant in grants:
        working.wait(grant, GrantState.ENDED)
    assert working.made.grant(longer.id).state is GrantState.ACTIVE


def test_a_clock_set_back_lengthens_no_access(working: Working) -> None:
    grant = started(working, 4)
    working.machine.ahead -= HOUR
    working.wait(grant, GrantState.ENDED)
    start, end = working.times(grant)
    assert end - start >= 4


def test_a_clock_set_back_stops_none_of_the_other_jobs(working: Working) -> None:
    until(lambda: working.ticks)
    working.machine.ahead -= HOUR
    seen = len(working.ticks)
    until(lambda: len(working.ticks) >= seen + 3)


def test_a_grant_given_while_the_clock_was_wrong_lasts_as_long_as_it_was_given_for(
    working: Working,
) -> None:
    working.machine.ahead += HOUR
    until(lambda: working.clock() > time.time() + HOUR / 2)
    grant = started(working, 3)
    working.machine.ahead -= HOUR
    working.wait(grant, GrantState.ENDED)


def test_a_scheduled_start_is_not_earlier_after_a_clock_set_back(working: Working) -> None:
    request = working.made.a_request(start_at=working.clock() + 3)
    grant = working.made.a_started(request)
    assert grant.state is GrantState.SCHEDULED
    working.machine.ahead -= HOUR
    working.wait(grant, GrantState.ACTIVE)
    assert working.made.grant(grant.id).started_at >= grant.starts_at  # type: ignore[operator]


CHANGES = {
    "Berlin falls back": ("Europe/Berlin", datetime(2026, 10, 25, 1, 0, tzinfo=UTC)),
    "New York springs forward": ("America/New_York", datetime(2027, 3, 14, 7, 0, tzinfo=UTC)),
}


@pytest.mark.parametrize(("zone", "change"), CHANGES.values(), ids=CHANGES)
def test_daylight_saving_and_the_machines_zone_change_no_end(
    zone: str,
    change: datetime,
    make_working: Callable[..., Working],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Granted a second before the change, over just after it."""
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        working = make_working(change.timestamp() - 1.5)
        grant = started(working, 3)
        working.wait(grant, GrantState.ENDED)
        start, end = working.times(grant)
        assert start <= change.timestamp() < end
        assert 3 <= end - start < HOUR / 2
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


# --- a process that stood still


def test_work_that_became_due_while_the_machine_slept_is_done_when_it_wakes(
    make_company: Callable[..., Company],
) -> None:
    company = make_company(environment={"TZ": "Asia/Kolkata"})
    bot = company.start()
    who = company.newcomer()
    grant = company.hold(who, "brief", "6s before the lid is closed")
    token = company.token(who, "brief")
    due = company.rows("SELECT ends_at FROM grants WHERE id = ?", grant)[0][0]
    bot.process.send_signal(signal.SIGSTOP)
    try:
        until(lambda: time.time() > due + 2)
    finally:
        bot.process.send_signal(signal.SIGCONT)
    woke = time.time()
    assert company.check(token) == 401
    until(lambda: company.grant(who, "brief")[1] == "ended")
    (ended,) = company.rows("SELECT ended_at FROM grants WHERE id = ?", grant)[0]
    assert due <= ended <= woke + 2
    who.wait_dm("expired")
