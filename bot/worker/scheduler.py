"""Schedules the sweep and the periodic jobs with APScheduler. Deadlines are rows in the database,
and one sweep does everything that is due.

The sweep is scheduled for the next deadline, and moved when a commit sets an earlier one. A late
job runs late; none is dropped. APScheduler uses the machine's clock. When that is set, everything
is scheduled again; otherwise a clock that was set back would delay all jobs until it has caught up.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from bot.core.correlation import correlated
from bot.core.errors import AccessBotError
from bot.operations._unit_of_work import Context
from bot.operations.absence.end_absences import end_absences
from bot.operations.emergencies.ping_due_reviews import ping_due_reviews
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.remind_due import remind_due
from bot.operations.grants.start_due import start_due
from bot.operations.process.forget_old import forget_old
from bot.operations.process.next_due import Deadlines, deadlines, next_due
from bot.operations.requests.lapse_due import lapse_due
from bot.operations.requests.ping_due import ping_due
from bot.operations.systems.alert_due import send_due_alerts

log = logging.getLogger(__name__)

LONGEST_SLEEP = 10
"""Seconds after which the sweep runs even if nothing is due, to show that it works."""

SET_CLOCK = 0.1
"""If the machine's clock differs from the steady one by more than this many seconds, it was set."""

NEVER_DROPPED = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the sweep, and which deadline it is for."""

    do: Callable[[Context], int]
    due: Callable[[Deadlines], int | None]


SWEEP: Sequence[Step] = (
    Step(expire_due, lambda first: first.end),
    Step(start_due, lambda first: first.start),
    Step(lapse_due, lambda first: first.lapse),
    Step(end_absences, lambda first: first.absence),
    Step(ping_due, lambda first: first.ping),
    Step(remind_due, lambda first: first.reminder),
    Step(send_due_alerts, lambda first: first.alert),
    Step(ping_due_reviews, lambda first: first.review),
)
"""Runs the ends first."""


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """A periodic job: its interval in seconds, and its function."""

    seconds: float
    do: Callable[[], object]


class Scheduler:
    """The scheduler of one process. `exact` returns UTC seconds with their fraction; `others` are
    jobs by name; `wall` is the machine's clock, which APScheduler uses. Due ends are queued within
    `ending()`."""

    def __init__(
        self,
        world: Context,
        exact: Callable[[], float],
        others: Mapping[str, PeriodicJob],
        wall: Callable[[], float] = time.time,
        ending: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._world, self._exact, self._wall, self._ending = world, exact, wall, ending
        self._planned = 0.0
        self._lock, self._runs = threading.Lock(), Counter[tuple[str, str]]()
        self.swept = time.monotonic()
        pools = {"default": ThreadPoolExecutor(4), "sweep": ThreadPoolExecutor(1)}
        self._scheduler = BackgroundScheduler(
            timezone=UTC, executors=pools, job_defaults=NEVER_DROPPED
        )
        self._set_sweep(_date(wall()))
        self._others = {"forget_old": PeriodicJob(86400, lambda: forget_old(world)), **others}
        for name, job in self._others.items():
            self._scheduler.add_job(
                self._guarded, "interval", (name, job.do), seconds=job.seconds, id=name, jitter=None
            )
        self._stopping = threading.Event()
        self._ahead = wall() - time.monotonic()

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Finishes the running jobs."""
        with (
            self._lock
        ):  # nothing is scheduled now: APScheduler waits for jobs with a lock that scheduling needs
            self._stopping.set()
        self._scheduler.pause()
        # waits for a running round, because a shutdown in its middle breaks it
        self._scheduler.get_jobs()
        self._scheduler.shutdown(wait=True)

    def expect(self, due: int | None) -> None:
        """Moves the sweep to an earlier deadline, which this or another process has set."""
        if due is not None and due < self._planned:
            self._plan(due)

    def check(self) -> None:
        """Detects that the machine's clock was set, or that the sweep is late. Call it once a
        second."""
        was, self._ahead = self._ahead, self._wall() - time.monotonic()
        if abs(self._ahead - was) > SET_CLOCK or self._exact() > self._planned + 1:
            log.warning(
                "the clock was set by %+.1f s, or stood still: everything is scheduled again",
                self._ahead - was,
            )
            self._plan_again(self._ahead - was)

    def find_due(self) -> None:
        """Moves the sweep to a deadline that was not announced. Raises StorageUnavailable."""
        self.expect(next_due(self._world))

    def _plan_again(self, moved: float) -> None:
        """Schedules everything again after the clock was set: the sweep at once, the other jobs
        after their remaining time. On a busy machine this happens often, and must not delay them
        each time."""
        for name, job in self._others.items():
            planned = self._scheduler.get_job(name)
            latest = _date(self._wall() + job.seconds)
            planned.modify(
                next_run_time=min(planned.next_run_time + timedelta(seconds=moved), latest)
            )
        with self._lock:
            self._planned = float("inf")
        self._plan(0)

    def well(self) -> bool:
        """Whether the sweep has run recently."""
        return self.sweep_age() < 3 * LONGEST_SLEEP

    def sweep_age(self) -> float:
        """Seconds since the last sweep."""
        return time.monotonic() - self.swept

    def runs(self) -> Mapping[tuple[str, str], int]:
        """The number of successes and failures of each job and of the sweep."""
        return dict(self._runs)

    def _guarded(self, name: str, do: Callable[[], object]) -> None:
        """Runs a job. A failure is logged, and the job runs again at its next time."""
        result = "failed"
        try:
            with correlated():
                do()
            result = "ok"
        except AccessBotError as error:
            log.warning("job %s: %s", name, error)
        except Exception:
            log.exception("job %s failed unexpectedly", name)
        self._runs[name, result] += 1

    def _sweep(self) -> None:
        """Does everything that is due and schedules the next sweep; a failure is retried in a
        second."""
        due: float | None
        result = "failed"
        with self._lock:
            self._planned = float("inf")  # the sweep may miss a deadline set from here on
        try:
            with correlated():
                self._do_due()
            due = next_due(self._world)
            self.swept, result = time.monotonic(), "ok"
        except AccessBotError as error:
            log.warning("the sweep has to wait: %s", error)
            due = self._exact() + 1
        except Exception:
            log.exception("the sweep failed unexpectedly and is retried")
            due = self._exact() + 1
        self._runs["sweep", result] += 1
        self._plan(min(due if due is not None else float("inf"), self._exact() + LONGEST_SLEEP))

    def _do_due(self) -> None:
        """Runs the steps whose deadline has passed; the others would commit for nothing."""
        first, now = deadlines(self._world), self._world.now()
        for step in SWEEP:
            if (due := step.due(first)) is not None and due <= now:
                with self._ending() if step.do is expire_due else nullcontext():
                    step.do(self._world)

    def _plan(self, due: float) -> None:
        """Moves the sweep to `due`, if that is earlier. A running sweep reads its next deadline
        itself."""
        with self._lock:
            if self._planned <= due or self._stopping.is_set():
                return
            self._planned = due
            self._set_sweep(_date(self._wall() + max(0.0, due - self._exact())))

    def _set_sweep(self, run_at: datetime) -> None:
        """Moves the job of the sweep. A sweep that is due while another runs follows it, because
        the pool has one thread."""
        at = {"run_date": run_at, "id": "sweep", "replace_existing": True}
        self._scheduler.add_job(self._sweep, "date", executor="sweep", max_instances=3, **at)


def _date(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
