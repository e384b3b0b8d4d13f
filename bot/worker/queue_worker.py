"""Runs a queue of the outbox: its loop claims rows, and runs them with `handle` on its threads."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from bot.core.backoff import Backoff
from bot.core.effects import Queue
from bot.core.errors import StorageUnavailable
from bot.operations.claim_work import ClaimedQueue, Row, Work
from bot.worker.concurrency import MOST, THREADS, ConcurrencyLimits

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """The settings of one queue: threads, the most claimed rows, the seconds until the claim of a
    dead process expires, the longest pause between attempts in seconds, the most claimed rows if
    they run together, and how many rows to claim ahead for a system that has no free call."""

    threads: int
    most_claimed: int
    claim: int
    longest_pause: int
    together: int = 0
    ahead: int = 0

    @property
    def keep(self) -> float:
        """Seconds after which the claims are extended: a third of their length."""
        return min(1.0, self.claim / 3)


SETTINGS: Mapping[Queue, QueueSettings] = {
    Queue.END: QueueSettings(
        threads=THREADS, most_claimed=192, claim=2, longest_pause=300, together=256, ahead=2 * MOST
    ),
    Queue.START: QueueSettings(threads=THREADS, most_claimed=48, claim=5, longest_pause=30),
    Queue.DECIDE: QueueSettings(threads=8, most_claimed=32, claim=5, longest_pause=5),
    Queue.SLACK: QueueSettings(threads=8, most_claimed=8, claim=15, longest_pause=20),
    Queue.UPDATE: QueueSettings(threads=2, most_claimed=2, claim=15, longest_pause=60),
}
"""Starts and messages are claimed only when a thread is free: an end drops a start that has not
begun, and after a crash it is unknown whether a claimed message was posted. Ends are claimed in
advance, because claiming one at a time takes longer than a call to a quick system."""

BEHIND: Mapping[Queue, frozenset[Queue]] = {Queue.START: frozenset({Queue.END})}
"""The other queues whose rows may wait behind a row of that queue: a grant's starts and ends share
an ordering key. A start behind an end finds its grant over, so it may wait for the next check."""

STOPS_WITHIN = 12.0
"""Seconds for which a stop waits for running work: longer than Slack takes to answer, so that no
message is in doubt. A system may take minutes; the next process calls it again."""

CHECK_AGAIN = 20.0
"""Seconds after which a queue is checked even if nothing wakes it."""

LONGEST_ASKED = 900
"""The longest pause in seconds that a system may ask for. An end is retried earlier."""

FAILED_IN_A_ROW = 8
"""Consecutive failed messages after which only one is sent at a time. Otherwise thousands would
fail and be rescheduled, in transactions that compete with those of ends."""

BETWEEN = 0.05
"""Seconds between two of these messages."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an attempt: the systems that did not answer, whether Slack accepted it (None if
    unknown), and the seconds that the rest of the queue waits."""

    failed: Sequence[str] = ()
    taken: bool | None = None
    others_wait: float = 0.0


Handle = Callable[[Work], Outcome]
Group = Callable[[Sequence[Work]], Sequence[Work]]


def pause(row: Row, error: Exception) -> int:
    """Seconds until the next attempt: the requested pause, else a growing one."""
    asked = 1 if isinstance(error, StorageUnavailable) else getattr(error, "retry_after", None)
    if asked is None:
        return max(1, round(Backoff(1, SETTINGS[row.queue].longest_pause).jittered(row.attempts)))
    is_slack = row.queue in (Queue.SLACK, Queue.UPDATE)
    return max(1, int(asked) if is_slack else min(int(asked), LONGEST_ASKED))


class QueueWorker(threading.Thread):
    """Claims the rows of one queue and runs them on its threads, until `stopping` is set.

    `handle` does the work and never raises; `wake` wakes other queues; `group` joins the claimed
    rows that are handled together.
    """

    def __init__(
        self,
        claimed: ClaimedQueue,
        handle: Handle,
        wake: Callable[[Iterable[Queue]], None],
        stopping: threading.Event,
        group: Group = list,
    ) -> None:
        super().__init__(name=f"delivery-{claimed.queue}", daemon=True)
        self.claimed, self._queue, self._settings = claimed, claimed.queue, SETTINGS[claimed.queue]
        self._handle_work, self._wake, self._group = handle, wake, group
        self._stopping = stopping
        self._pool = ThreadPoolExecutor(self._settings.threads, thread_name_prefix=f"{self._queue}")
        self._limits = ConcurrencyLimits()
        self._under_way: dict[int, Future[None] | None] = {}
        self._ahead: dict[tuple[str, ...], deque[Work]] = {}
        self._is_due, self._more = True, False
        self._answering: set[str] = set()
        self._lock = threading.Lock()
        self._wake_up = threading.Event()
        self._held_until, self._missed_signal = 0.0, False
        self._failed_in_a_row, self._waits_until, self._all_together = 0, 0.0, False
        self.turned = self._kept = time.monotonic()

    # --- for the dispatcher

    def wake(self) -> None:
        """Wakes the loop, because work may be due or the process stops."""
        self._signal(all_systems=True)

    def _signal(self, *, all_systems: bool) -> None:
        """Wakes the loop; with `all_systems` it also claims rows of systems that are not busy."""
        with self._lock:
            is_held = time.monotonic() < self._held_until and not self._stopping.is_set()
            self._missed_signal = is_held
            if not is_held:
                self._is_due = self._is_due or all_systems
                self._wake_up.set()

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Ignores wake-ups meanwhile, for at most that long."""
        with self._lock:
            self._held_until = time.monotonic() + seconds
        try:
            yield
        finally:
            with self._lock:
                missed, self._held_until, self._missed_signal = self._missed_signal, 0.0, False
            if missed:
                self.wake()

    def well(self) -> bool:
        """Whether the loop has turned in the last 30 seconds."""
        return self.is_alive() and time.monotonic() - self.turned < 30

    def drain(self) -> int:
        """Runs the due work on this thread, in a process without workers, and returns the number of
        rows. Raises StorageUnavailable."""
        done = 0
        while rows := self.claimed.take(self.room()):
            for work in self.works(rows):
                self._paced(self._handle_work(work))
            done += len(rows)
        return done

    def room(self) -> int:
        """The most rows that may be claimed now."""
        if time.monotonic() < self._waits_until:
            return 0
        if self._failed_in_a_row >= FAILED_IN_A_ROW:
            return 1
        return self._settings.together if self._all_together else self._settings.most_claimed

    def works(self, rows: Sequence[Row]) -> list[Work]:
        """The work that one thread handles at a time. Raises StorageUnavailable."""
        alone = [Work(self.claimed, [row], self._may_wait) for row in rows]
        works = list(self._group(alone))
        if len(rows) > 1:
            self._all_together = len(works) == 1
        return works

    # --- the thread

    def run(self) -> None:
        while not self._stopping.is_set():
            self.turned = time.monotonic()
            self._wake_up.clear()
            if not self._guarded(self._turn):
                is_busy = self._under_way or self._ahead
                if not self._wake_up.wait(self._settings.keep if is_busy else CHECK_AGAIN):
                    self._is_due = True
        self._end()

    def _end(self) -> None:
        """Releases rows that have not begun, and waits for the rest, up to a limit."""
        self._pool.shutdown(wait=False)
        with self._lock:
            left = [row for row, future in self._under_way.items() if future and future.cancel()]
            for row in left:
                del self._under_way[row]
        left += self._taken_back(float("inf"))
        until = time.monotonic() + STOPS_WITHIN
        self._guarded(lambda: self._release(left))
        while self._under_way and time.monotonic() < until:
            time.sleep(0.05)
            self._guarded(self._keep)
        if self._under_way:
            log.warning("queue %s: %s rows are left unfinished", self._queue, len(self._under_way))

    def _guarded(self, do: Callable[[], object]) -> bool:
        try:
            return bool(do())
        except StorageUnavailable as error:
            log.warning("queue %s: %s", self._queue, error)
        except Exception:  # the other queues and the next check must continue after any error
            log.exception("the check of queue %s failed", self._queue)
        return False

    def _turn(self) -> bool:
        """Starts all rows that can start, and returns whether there may be more."""
        self._keep()
        if self._ahead:
            self._begin()
            self._release(self._taken_back(self._too_old()))
        with self._lock:
            ahead = sum(map(len, self._ahead.values()))
            room = self.room() - len(self._under_way) - ahead
            is_time = self._is_due or not ahead or (self._more and bool(self._short()))
        return room > 0 and is_time and self._claim(room)

    def _claim(self, room: int) -> bool:
        """Claims no row of a system that is busy, unless it answers and is short of rows. Returns
        whether there may be more rows, and some were begun."""
        full = self._limits.full()
        with self._lock:
            busy = {system for systems in self._ahead for system in systems}.union(full)
            without = sorted(busy - self._short())
            self._is_due, self._answering = False, set()
        rows = self.claimed.take(room, without)
        self._more = len(rows) == room
        if not rows:
            return False
        works = self.works(rows)  # if that fails, the claims expire and the rows are claimed again
        with self._lock:
            for work in works:
                work.ahead_since = time.monotonic()
                self._ahead.setdefault(work.systems, deque()).append(work)
        self._begin()
        if not self._settings.ahead:
            self._release(left := self._taken_back(float("inf")))
            return self._more and len(left) < len(rows)
        with self._lock:
            self._is_due = self._is_due or (self._more and bool(self._ahead))
        return self._more

    def _short(self) -> set[str]:
        """The systems that answer and for which few rows are claimed ahead."""
        return {
            system
            for system in self._answering
            if len(self._ahead.get((system,), ())) < self._settings.ahead
        }

    def _too_old(self) -> float:
        """The time before which a claim is too old for work that was not begun. Its rows are
        released, because the claim runs out and another process may reach a system that is not
        called here."""
        return time.monotonic() - self._settings.keep

    def _taken_back(self, before: float) -> list[int]:
        """Takes back the rows that were claimed ahead before that time and not begun."""
        with self._lock:
            ahead = (work for works in self._ahead.values() for work in works)
            late = [work for work in ahead if work.ahead_since < before]
            for work in late:
                self._ahead[work.systems].remove(work)
            self._ahead = {systems: each for systems, each in self._ahead.items() if each}
        return [row.id for work in late for row in work.rows]

    def _begin(self) -> None:
        """Begins claimed work whose systems have a free call."""
        with self._lock:  # a row that finishes early waits until it was added
            for systems in list(self._ahead):
                while (work := self._next(systems)) is not None:
                    future = self._pool.submit(self._work, work)
                    self._under_way.update((row.id, future) for row in work.rows)

    def _next(self, systems: tuple[str, ...]) -> Work | None:
        """The next work for these systems, whose call is counted; None where there is none, or no
        free call. The caller has the lock."""
        works = self._ahead.get(systems)
        if not works or works[0].ahead_since < self._too_old() or self._stopping.is_set():
            return None
        if not self._limits.enter(systems):
            return None
        work = works.popleft()
        if not works:
            del self._ahead[systems]
        work.returned = self._returned
        self._under_way.update((row.id, None) for row in work.rows)
        return work

    def _keep(self) -> int:
        """Extends the claims when they are due, and returns the number of claimed rows."""
        with self._lock:
            rows = list(self._under_way)
        if not rows:
            self._kept = time.monotonic()
        elif time.monotonic() - self._kept >= self._settings.keep:
            self._kept = time.monotonic()
            self.claimed.keep(rows)
        return len(rows)

    def _release(self, rows: Sequence[int]) -> None:
        if rows:
            self.claimed.release(rows)

    # --- its workers

    def _work(self, work: Work) -> None:
        """Does the work, then the work that is claimed ahead for these systems."""
        following: Work | None = work
        while following is not None:
            work, systems = following, following.systems
            outcome = self._handle_work(work)
            self._paced(outcome)
            following = self._done(work, systems, outcome.failed)

    def _done(self, work: Work, systems: tuple[str, ...], failed: Sequence[str]) -> Work | None:
        """The call of these systems is over. Returns the work that this thread continues with."""
        if back := self._limits.leave(systems, failed):
            self._answer_again(back)
        if not work.is_handed_over:
            self._put_down(work)
        with self._lock:
            self._answering.update(set(systems).difference(failed))
            following = self._next(systems)
            is_short = self._more and bool(self._short())
        if following is None or is_short or back:
            self._signal(all_systems=bool(back))
        return following

    def _returned(self, work: Work) -> None:
        """Work that was handed over is finished, or is to be finished alone now."""
        if not work.is_recorded:
            self._handle_work(work)
        self._put_down(work)
        self._signal(all_systems=False)

    def _put_down(self, work: Work) -> None:
        with self._lock:
            for row in work.rows:
                self._under_way.pop(row.id, None)
        self._wake(BEHIND.get(self._queue, ()))

    def _paced(self, outcome: Outcome) -> None:
        """Slows the queue down while Slack accepts nothing."""
        if outcome.others_wait:  # thousands may wait: none is sent before Slack accepts one again
            self._waits_until = time.monotonic() + outcome.others_wait
        if outcome.taken:
            self._failed_in_a_row = 0
        elif outcome.taken is False:
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= FAILED_IN_A_ROW:
                self._stopping.wait(BETWEEN)

    def _answer_again(self, systems: Sequence[str]) -> None:
        """Retries the waiting rows of systems that answer again."""
        log.info("%s: %s answers again", self._queue, ", ".join(systems))
        try:
            self.claimed.run_now(systems)
        except StorageUnavailable as error:
            log.warning("what waits for %s keeps its pause: %s", ", ".join(systems), error)

    def _may_wait(self, seconds: float) -> bool:
        """Waits in a process whose loops run, and returns whether it continues."""
        return self.is_alive() and not self._stopping.wait(seconds)
