"""The clock of a process: what is due is done on time, whatever else is going on, and nothing late
is dropped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import bot.worker.scheduler
from bot.clock import Clock
from bot.core.errors import StorageUnavailable
from bot.core.model import Grant, GrantState
from bot.operations._unit_of_work import Context
from bot.operations.grants.expire_due import expire_due
from bot.worker.scheduler import SWEEP, PeriodicJob, Scheduler
from bot.worker.ticker import Ticker
from storage.database import Database
from tests.factories import Made, make_world
from tests.waiting import until


@dataclass
class Running:
    """Jobs over a real database by the real time, set going by what the world commits."""

    made: Made
    clock: Clock
    jobs: Scheduler
    watch: Ticker
    others: dict[str, PeriodicJob] = field(default_factory=dict)

    def state(self, grant: Grant) -> GrantState:
        return self.made.grant(grant.id).state

    def asked_at(self, grant: Grant) -> float:
        """The moment at which the end was asked for."""
        until(lambda: self.state(grant) is GrantState.ENDING)
        return self.clock.exact()


@pytest.fixture
def others() -> dict[str, PeriodicJob]:
    """Jobs beside the sweep; a test adds its own before it asks for `running`."""
    return {}


@pytest.fixture
def make_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Running]]:
    """No sweep is going to look for itself while a test waits: it has to be called."""
    monkeypatch.setattr(bot.worker.scheduler, "LONGEST_SLEEP", 3600)
    started: list[Running] = []

    def make(**others: PeriodicJob) -> Running:
        made, clock = make_world(tmp_path), Clock()
        made.world = replace(made.world, now=clock)
        jobs = Scheduler(made.world, clock.exact, others)
        made.world = replace(made.world, wake=lambda queues, due: jobs.expect(due))
        watch = Ticker(clock.exact, {"the clock": jobs.check, "deadlines": jobs.find_due})
        started.append(Running(made, clock, jobs, watch))
        jobs.start()
        watch.start()
        return started[-1]

    yield make
    for running in started:
        running.watch.stop()
        running.jobs.stop()
        running.made.world.db.close()


@pytest.fixture
def running(make_running: Callable[..., Running]) -> Running:
    return make_running()


@dataclass
class Step:
    """A step of the sweep that counts, waits on request, and fails as long as there is something to
    raise."""

    ran: int = 0
    inside: bool = False
    errors: list[Exception] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    def __call__(self, world: Context) -> int:
        self.ran += 1
        self.inside = True
        assert self.open.wait(30)
        self.inside = False
        if self.errors:
            raise self.errors.pop()
        return 0


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Step:
    step = Step()
    step.open.set()
    always = bot.worker.scheduler.Step(step, lambda first: 0)
    monkeypatch.setattr(bot.worker.scheduler, "SWEEP", (always, *SWEEP))
    return step


def test_an_end_is_asked_for_when_it_is_due(running: Running) -> None:
    grant = running.made.a_grant(duration=2)
    assert running.asked_at(grant) >= grant.ends_at


def test_a_deadline_that_another_process_set_brings_the_sweep_forward(running: Running) -> None:
    elsewhere = replace(
        running.made, world=replace(running.made.world, wake=lambda queues, due: None)
    )
    grant = elsewhere.a_grant(duration=1)
    running.jobs.expect(grant.ends_at)
    assert running.asked_at(grant) >= grant.ends_at


def test_a_deadline_without_a_wake_up_is_found_by_the_periodic_check(running: Running) -> None:
    elsewhere = replace(
        running.made, world=replace(running.made.world, wake=lambda queues, due: None)
    )
    grant = elsewhere.a_grant(duration=1)
    assert running.asked_at(grant) >= grant.ends_at


def test_a_sweep_planned_while_one_is_under_way_follows_it(
    step: Step, make_running: Callable[..., Running]
) -> None:
    step.open.clear()
    running = make_running()
    until(lambda: step.inside)
    running.jobs.expect(running.clock())
    running.jobs.expect(running.clock() - 1)
    running.jobs.expect(running.clock() - 2)
    running.jobs.expect(running.clock() - 3)
    step.open.set()
    until(lambda: step.ran >= 2)


def test_a_sweep_that_fails_is_tried_again_after_a_second(
    step: Step, make_running: Callable[..., Running]
) -> None:
    step.errors += [StorageUnavailable("locked"), RuntimeError("a bug")]
    running = make_running()
    until(lambda: step.ran >= 3)
    assert running.jobs.well()


def test_a_sweep_that_hangs_shows_in_the_readiness(
    step: Step, make_running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.worker.scheduler, "LONGEST_SLEEP", 0.1)
    step.open.clear()
    running = make_running()
    until(lambda: not running.jobs.well())
    step.open.set()
    until(running.jobs.well)


def test_ends_come_first() -> None:
    assert SWEEP[0].do is expire_due


def test_a_sweep_commits_nothing_when_nothing_is_due(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.made.a_grant(duration=3600)
    began: list[str] = []
    real = Database.transaction

    def transaction(db: Database) -> AbstractContextManager[None]:
        began.append(threading.current_thread().name)
        return real(db)

    monkeypatch.setattr(Database, "transaction", transaction)
    swept = running.jobs.swept
    running.jobs.expect(0)
    until(lambda: running.jobs.swept > swept)
    assert began == []


def test_what_is_due_is_asked_for_while_the_work_on_ends_is_held(tmp_path: Path) -> None:
    made, clock = make_world(tmp_path), Clock()
    made.world = replace(made.world, now=clock)
    grant = made.a_grant(duration=1)
    seen: list[GrantState] = []

    @contextmanager
    def ending() -> Iterator[None]:
        seen.append(made.grant(grant.id).state)
        yield
        seen.append(made.grant(grant.id).state)

    until(lambda: clock() >= grant.ends_at)
    jobs = Scheduler(made.world, clock.exact, {}, ending=ending)
    jobs.start()
    until(lambda: len(seen) >= 2)
    jobs.stop()
    assert seen[:2] == [GrantState.ACTIVE, GrantState.ENDING]
    made.world.db.close()


def test_a_job_that_fails_has_a_next_time(make_running: Callable[..., Running]) -> None:
    ran: list[float] = []

    def fail() -> None:
        ran.append(time.monotonic())
        raise StorageUnavailable("locked") if len(ran) % 2 else RuntimeError("a bug")

    make_running(failing=PeriodicJob(0.1, fail))
    until(lambda: len(ran) >= 4)


def test_on_a_machine_too_busy_to_keep_time_every_job_has_its_turn(tmp_path: Path) -> None:
    """A process that is held up between reading two clocks may take that for a changed clock."""
    made, clock, ran, ahead = make_world(tmp_path), Clock(), list[float](), [0.0]
    every = PeriodicJob(0.5, lambda: ran.append(time.monotonic()))
    jobs = Scheduler(
        replace(made.world, now=clock),
        clock.exact,
        {"often": every},
        lambda: time.time() + ahead[0],
    )

    def look_held_up() -> bool:
        ahead[0] = 0.3 - ahead[0]
        jobs.check()
        return len(ran) >= 3

    jobs.start()
    until(look_held_up)
    jobs.stop()
    made.world.db.close()


def test_a_job_that_is_late_runs_late_and_once(make_running: Callable[..., Running]) -> None:
    """It takes longer than its interval: what was missed meanwhile is one run, not many and not
    none."""
    ran: list[float] = []
    go_on = threading.Event()

    def slow() -> None:
        ran.append(time.monotonic())
        assert len(ran) > 1 or go_on.wait(30)

    running = make_running(slow=PeriodicJob(0.2, slow))
    until(lambda: ran)
    swept = running.jobs.swept
    running.jobs.expect(0)
    until(lambda: running.jobs.swept > swept)  # the sweep does not wait for it
    assert len(ran) == 1
    go_on.set()
    until(lambda: len(ran) >= 3)


def test_a_stop_finishes_what_is_under_way_and_nothing_runs_afterwards(
    tmp_path: Path, step: Step
) -> None:
    made, clock = make_world(tmp_path), Clock()
    jobs = Scheduler(replace(made.world, now=clock), clock.exact, {})
    step.open.clear()
    jobs.start()
    until(lambda: step.inside)
    stopper = threading.Thread(target=jobs.stop)
    stopper.start()
    assert step.inside
    step.open.set()
    stopper.join(10)
    assert not stopper.is_alive() and not step.inside
    ran = step.ran
    jobs.expect(0)
    assert step.ran == ran
    made.world.db.close()
