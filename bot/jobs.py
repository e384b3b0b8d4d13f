"""What runs how often. APScheduler is the clock and holds no truth: deadlines are rows, and one sweep does what is due.

The sweep is set to the next deadline, and brought forward when a commit sets an earlier one, so nothing waits for a
tick. A job that is late runs late; none is dropped.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from bot.core.errors import AccessBotError
from bot.operations._unit import World
from bot.operations.expire_due import expire_due
from bot.operations.forget_old import forget_old
from bot.operations.lapse_due import lapse_due
from bot.operations.next_due import next_due
from bot.operations.remind_due import remind_due
from bot.operations.start_due import start_due

log = logging.getLogger(__name__)

LONGEST_SLEEP = 5
"""Seconds after which the sweep looks again without being called: a clock that was set, a deadline nobody told of."""

NEVER_DROPPED = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}

SWEEP: Sequence[Callable[[World], int]] = (expire_due, start_due, lapse_due, remind_due)
"""Ends come first, always."""


@dataclass(frozen=True, slots=True)
class Every:
    """A job beside the sweep: how often (seconds), and what."""

    seconds: float
    do: Callable[[], object]


class Jobs:
    """The clock of one process. `exact` gives UTC seconds with their fraction; `others` are jobs by name."""

    def __init__(self, world: World, exact: Callable[[], float], others: Mapping[str, Every]) -> None:
        self._world, self._exact = world, exact
        self._planned = 0.0
        self._lock = threading.Lock()
        self.swept = time.monotonic()
        pools = {"default": ThreadPoolExecutor(4), "sweep": ThreadPoolExecutor(1)}
        self._scheduler = BackgroundScheduler(timezone=UTC, executors=pools, job_defaults=NEVER_DROPPED)
        self._add_sweep(_date(time.time()))
        daily = Every(86400, lambda: forget_old(world))
        for name, job in {"forget_old": daily, **others}.items():
            self._scheduler.add_job(_guarded, "interval", (name, job.do), seconds=job.seconds, id=name, jitter=None)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Finishes the jobs under way."""
        self._scheduler.shutdown(wait=True)

    def expect(self, due: int | None) -> None:
        """A deadline was set, here or in another process: the sweep must not sleep past it."""
        if due is not None and due < self._planned:
            self._plan(due)

    def sweep_now(self) -> None:
        """The clock was changed, or a database came back."""
        self._plan(0)

    def well(self) -> bool:
        """Whether the sweep has run lately."""
        return time.monotonic() - self.swept < 4 * LONGEST_SLEEP

    def _sweep(self) -> None:
        """Does what is due and plans the next time; what fails is tried again in a second."""
        due: float | None
        with self._lock:
            self._planned = float("inf")  # what is set from here on is newer than what the sweep will see
        try:
            for step in SWEEP:
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
        """Sets the sweep to `due`, if that is earlier than what is planned; a sweep under way asks for its next."""
        with self._lock:
            if self._planned <= due:
                return
            self._planned = due
            run_at = _date(time.time() + max(0.0, due - self._exact()))
            try:
                self._scheduler.reschedule_job("sweep", trigger="date", run_date=run_at)
            except JobLookupError:
                self._add_sweep(run_at)

    def _add_sweep(self, run_at: datetime) -> None:
        """Its pool has one thread, so a sweep planned while another is under way follows it instead of being lost."""
        self._scheduler.add_job(
            self._sweep, "date", run_date=run_at, id="sweep", executor="sweep", max_instances=3
        )  # fmt: skip


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
