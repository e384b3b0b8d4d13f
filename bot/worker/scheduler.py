"""What runs how often. APScheduler is the clock and holds no truth: deadlines are rows, and one
sweep does what is due.

The sweep is set to the next deadline, and brought forward when a commit sets an earlier one, so
nothing waits for a tick. A job that is late runs late; none is dropped. APScheduler plans by the
machine's clock: when that is set, all is planned again, because set back it would make everything
wait until it has caught up.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from bot.core.errors import AccessBotError
from bot.operations._unit_of_work import Context
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.remind_due import remind_due
from bot.operations.grants.start_due import start_due
from bot.operations.process.forget_old import forget_old
from bot.operations.process.next_due import next_due
from bot.operations.requests.lapse_due import lapse_due
from bot.operations.systems.alert_due import send_due_alerts

log = logging.getLogger(__name__)

LONGEST_SLEEP = 10
"""Seconds after which the sweep runs again although nothing is due, to show that it can."""

SET_CLOCK = 0.1
"""Seconds by which the machine's clock must have moved against the steady one to have been set."""

NEVER_DROPPED = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}

SWEEP: Sequence[Callable[[Context], int]] = (
    expire_due,
    start_due,
    lapse_due,
    remind_due,
    send_due_alerts,
)
"""Ends come first, always."""


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """A job beside the sweep: how often (seconds), and what."""

    seconds: float
    do: Callable[[], object]


class Scheduler:
    """The clock of one process. `exact` gives UTC seconds with their fraction; `others` are jobs by
    name; `wall` is the machine's clock, by which APScheduler goes. What is due to end is asked for
    within `ending()`."""

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
        self._lock = threading.Lock()
        self.swept = time.monotonic()
        pools = {"default": ThreadPoolExecutor(4), "sweep": ThreadPoolExecutor(1)}
        self._scheduler = BackgroundScheduler(
            timezone=UTC, executors=pools, job_defaults=NEVER_DROPPED
        )
        self._set_sweep(_date(wall()))
        self._others = {"forget_old": PeriodicJob(86400, lambda: forget_old(world)), **others}
        for name, job in self._others.items():
            self._scheduler.add_job(
                _guarded, "interval", (name, job.do), seconds=job.seconds, id=name, jitter=None
            )
        self._stopping = threading.Event()
        self._ahead = wall() - time.monotonic()

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Finishes the jobs under way."""
        with (
            self._lock
        ):  # nobody plans now: APScheduler waits for its jobs with a lock that planning needs
            self._stopping.set()
        self._scheduler.pause()
        # waits for a round under way: a shutdown in its middle makes it stumble
        self._scheduler.get_jobs()
        self._scheduler.shutdown(wait=True)

    def expect(self, due: int | None) -> None:
        """A deadline was set, here or in another process: the sweep must not sleep past it."""
        if due is not None and due < self._planned:
            self._plan(due)

    def look(self) -> None:
        """Notices that the machine's clock was set, or that the sweep is late for whatever reason;
        to be called once a second."""
        was, self._ahead = self._ahead, self._wall() - time.monotonic()
        if abs(self._ahead - was) > SET_CLOCK or self._exact() > self._planned + 1:
            log.warning(
                "the clock was set by %+.1f s, or stood still: everything is planned again",
                self._ahead - was,
            )
            self._plan_again(self._ahead - was)

    def find_due(self) -> None:
        """Sets the sweep to a deadline that nobody told of. Raises StorageUnavailable."""
        self.expect(next_due(self._world))

    def _plan_again(self, moved: float) -> None:
        """What is planned for a time that may be far off now: the sweep at once, the others when
        they would have come. On a busy machine this happens again and again, and must not put them
        off each time."""
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
        """Whether the sweep has run lately."""
        return time.monotonic() - self.swept < 3 * LONGEST_SLEEP

    def _sweep(self) -> None:
        """Does what is due and plans the next time; what fails is tried again in a second."""
        due: float | None
        with self._lock:
            self._planned = float(
                "inf"
            )  # what is set from here on is newer than what the sweep will see
        try:
            for step in SWEEP:
                with self._ending() if step is expire_due else nullcontext():
                    step(self._world)
            due = next_due(self._world)
            self.swept = time.monotonic()
        except AccessBotError as error:
            log.warning("the sweep has to wait: %s", error)
            due = self._exact() + 1
        except Exception:
            log.exception("the sweep failed unexpectedly and is tried again")
            due = self._exact() + 1
        self._plan(min(due if due is not None else float("inf"), self._exact() + LONGEST_SLEEP))

    def _plan(self, due: float) -> None:
        """Sets the sweep to `due`, if that is earlier than what is planned; a sweep under way asks
        for its next."""
        with self._lock:
            if self._planned <= due or self._stopping.is_set():
                return
            self._planned = due
            self._set_sweep(_date(self._wall() + max(0.0, due - self._exact())))

    def _set_sweep(self, run_at: datetime) -> None:
        """Moves the one job of the sweep. A sweep that is due while another runs follows it,
        because the pool has one thread."""
        at = {"run_date": run_at, "id": "sweep", "replace_existing": True}
        self._scheduler.add_job(self._sweep, "date", executor="sweep", max_instances=3, **at)


def _guarded(name: str, do: Callable[[], object]) -> None:
    """A job that fails has a next time; that it failed is in the log."""
    try:
        do()
    except AccessBotError as error:
        log.warning("job %s: %s", name, error)
    except Exception:
        log.exception("job %s failed unexpectedly", name)


def _date(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
