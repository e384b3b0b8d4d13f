"""Runs a queue of the outbox: its loop claims rows, and runs them with `handle` on its threads."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from bot.core.backoff import Backoff
from bot.core.effects import Queue
from bot.core.errors import StorageUnavailable
from bot.operations.claim_work import ClaimedQueue, Row, Work
from bot.worker.concurrency import THREADS, ConcurrencyLimits

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """The settings of one queue: threads, the most claimed rows, the seconds until the claim of a
    dead process expires, the longest pause between attempts in seconds, the most claimed rows if
    they run together, and whether to claim rows whose system has no free call yet."""

    threads: int
    in_hand: int
    claim: int
    longest_pause: int
    together: int = 0
    ahead: bool = False

    @property
    def keep(self) -> float:
        """Seconds after which the claims are extended: a third of their length."""
        return min(1.0, self.claim / 3)


SETTINGS: Mapping[Queue, QueueSettings] = {
    Queue.END: QueueSettings(
        threads=THREADS, in_hand=64, claim=2, longest_pause=300, together=256, ahead=True
    ),
    Queue.START: QueueSettings(threads=THREADS, in_hand=48, claim=5, longest_pause=30),
    Queue.DECIDE: QueueSettings(threads=8, in_hand=32, claim=5, longest_pause=5),
    Queue.SLACK: QueueSettings(threads=8, in_hand=8, claim=15, longest_pause=20),
    Queue.UPDATE: QueueSettings(threads=2, in_hand=2, claim=15, longest_pause=60),
}
"""Starts and messages are claimed only when a thread is free: an end drops a start that has not
begun, and after a crash it is unknown whether a claimed message was posted. Ends are claimed in
advance, because claiming one at a time takes longer than a call to a quick system."""

BEHIND: Mapping[Queue, frozenset[Queue]] = {
    Queue.END: frozenset({Queue.START}),
    Queue.START: frozenset({Queue.END}),
}
"""The other queues whose rows may wait behind a row of that queue: a grant's starts and ends share
an ordering key."""

STOPS_WITHIN = 12.0
"""Seconds for which a stop waits for running work: longer than Slack takes to answer, so that no
message is in doubt. A system may take minutes; the next process calls it again."""

LOOK_AGAIN = 20.0
"""Seconds after which a queue is checked even if nothing wakes it."""

LONGEST_ASKED = 900
"""The longest pause in seconds that a system may ask for. An end is retried earlier."""

UNHEARD = 8
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
Group = Callable[[Sequence[Row]], Sequence[Sequence[Row]]]


def one_by_one(rows: Sequence[Row]) -> Sequence[Sequence[Row]]:
    return [[row] for row in rows]


def pause(row: Row, error: Exception) -> int:
    """Seconds until the next attempt: the requested pause, else a growing one."""
    asked = 1 if isinstance(error, StorageUnavailable) else getattr(error, "retry_after", None)
    if asked is None:
        return max(1, round(Backoff(1, SETTINGS[row.queue].longest_pause).jittered(row.attempts)))
    is_slack = row.queue in (Queue.SLACK, Queue.UPDATE)
    return max(1, int(asked) if is_slack else min(int(asked), LONGEST_ASKED))


class QueueWorker(threading.Thread):
    """Claims the rows of one queue and runs them on its threads, until `stopping` is set.

    `handle` does the work and never raises; `wake` wakes other queues; `group` says which claimed
    rows are handled together.
    """

    def __init__(
        self,
        claimed: ClaimedQueue,
        handle: Handle,
        wake: Callable[[Iterable[Queue]], None],
        stopping: threading.Event,
        group: Group = one_by_one,
    ) -> None:
        super().__init__(name=f"delivery-{claimed.queue}", daemon=True)
        self.claimed, self._queue, self._settings = claimed, claimed.queue, SETTINGS[claimed.queue]
        self._handle, self._wake, self._group = handle, wake, group
        self._stopping = stopping
        self._pool = ThreadPoolExecutor(self._settings.threads, thread_name_prefix=f"{self._queue}")
        self._limits = ConcurrencyLimits()
        self._in_hand: dict[int, Future[None]] = {}
        self._ahead: list[Work] = []
        self._claimed_ahead, self._look = 0.0, True
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._held_until, self._rung = 0.0, False
        self._unheard, self._waits_until, self._all_together = 0, 0.0, False
        self.turned = self._kept = time.monotonic()

    # --- for the dispatcher

    def wake(self) -> None:
        """Wakes the loop, because work may be due or the process stops."""
        self._ring(look=True)

    def _ring(self, *, look: bool) -> None:
        """Wakes the loop; with `look` it also looks for rows of systems that are not busy."""
        with self._lock:
            self._rung = time.monotonic() < self._held_until and not self._stopping.is_set()
            if not self._rung:
                self._look = self._look or look
                self._bell.set()

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Ignores wake-ups meanwhile, for at most that long."""
        with self._lock:
            self._held_until = time.monotonic() + seconds
        try:
            yield
        finally:
            with self._lock:
                rung, self._held_until, self._rung = self._rung, 0.0, False
            if rung:
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
                self._paced(self._handle(work))
            done += len(rows)
        return done

    def room(self) -> int:
        """The most rows that may be claimed now."""
        if time.monotonic() < self._waits_until:
            return 0
        if self._unheard >= UNHEARD:
            return 1
        return self._settings.together if self._all_together else self._settings.in_hand

    def works(self, rows: Sequence[Row]) -> list[Work]:
        """The groups of rows that one thread handles at a time. Raises StorageUnavailable."""
        batches = self._group(rows)
        if len(rows) > 1:
            self._all_together = len(batches) == 1
        return [Work(self.claimed, batch, self._may_wait) for batch in batches]

    # --- the thread

    def run(self) -> None:
        while not self._stopping.is_set():
            self.turned = time.monotonic()
            self._bell.clear()
            if not self._guarded(self._turn):
                is_busy = self._in_hand or self._ahead
                if not self._bell.wait(self._settings.keep if is_busy else LOOK_AGAIN):
                    self._look = True
        self._end()

    def _end(self) -> None:
        """Releases rows that have not begun, and waits for the rest, up to a limit."""
        self._pool.shutdown(wait=False)
        with self._lock:
            left = [row for row, future in self._in_hand.items() if future.cancel()]
            for row in left:
                del self._in_hand[row]
        left += _rows(self._ahead)
        until = time.monotonic() + STOPS_WITHIN
        self._guarded(lambda: self._release(left))
        while self._in_hand and time.monotonic() < until:
            time.sleep(0.05)
            self._guarded(self._keep)
        if self._in_hand:
            log.warning("queue %s: %s rows are left unfinished", self._queue, len(self._in_hand))

    def _guarded(self, do: Callable[[], int | None]) -> int:
        try:
            return do() or 0
        except StorageUnavailable as error:
            log.warning("queue %s: %s", self._queue, error)
        except Exception:  # the other queues and the next check must continue after any error
            log.exception("the check of queue %s failed", self._queue)
        return 0

    def _turn(self) -> int:
        """Starts all rows that can start, and returns how many of them were newly claimed."""
        self._keep()
        self._ahead = self._begin(self._ahead)
        if self._ahead and time.monotonic() - self._claimed_ahead > self._settings.keep:
            left, self._ahead = _rows(self._ahead), []  # another process may reach the system
            self._release(left)
        if self._ahead and not self._look:
            return 0
        room = self.room() - len(self._in_hand)
        return self._claim(room) if room > 0 else 0

    def _claim(self, room: int) -> int:
        self._look = False
        busy = {system for work in self._ahead for system in work.systems}
        rows = self.claimed.take(room, [*busy.union(self._limits.full())])
        works = self.works(rows)  # if that fails, the claims expire and the rows are claimed again
        left = self._begin(works)
        if left and self._settings.ahead:
            self._ahead, self._claimed_ahead = [*self._ahead, *left], time.monotonic()
            self._look = self._look or len(rows) == room
        else:
            self._release(_rows(left))
        return len(rows) - len(_rows(left))

    def _begin(self, works: Sequence[Work]) -> list[Work]:
        """Returns the rows whose system has no free call."""
        left = []
        with self._lock:  # work that finishes before this is done waits for it
            for work in works:
                if not self._limits.enter(work.systems):
                    left.append(work)
                    continue
                future = self._pool.submit(self._work, work)
                self._in_hand.update((row.id, future) for row in work.rows)
        return left

    def _keep(self) -> int:
        """Extends the claims when they are due, and returns the number of claimed rows."""
        with self._lock:
            in_hand = list(self._in_hand)
        is_time = time.monotonic() - self._kept >= self._settings.keep
        if is_time or not in_hand:
            self._kept = time.monotonic()
        if is_time and in_hand:
            self.claimed.keep(in_hand)
        return len(in_hand)

    def _release(self, rows: Sequence[int]) -> None:
        if rows:
            self.claimed.release(rows)

    # --- its workers

    def _work(self, work: Work) -> None:
        rows, systems = [row.id for row in work.rows], work.systems
        outcome = Outcome(failed=systems)
        try:
            outcome = self._handle(work)
            self._paced(outcome)
        finally:
            with self._lock:
                for row in rows:
                    self._in_hand.pop(row, None)
            if back := self._limits.leave(systems, outcome.failed):
                self._answer_again(back)
            if systems or len(rows) > 1:
                self._wake(BEHIND.get(self._queue, ()))
            self._ring(look=bool(back))

    def _paced(self, outcome: Outcome) -> None:
        """Slows the queue down while Slack accepts nothing."""
        if outcome.others_wait:  # thousands may wait: none is sent before Slack accepts one again
            self._waits_until = time.monotonic() + outcome.others_wait
        if outcome.taken:
            self._unheard = 0
        elif outcome.taken is False:
            self._unheard += 1
            if self._unheard >= UNHEARD:
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


def _rows(works: Iterable[Work]) -> list[int]:
    return [row.id for work in works for row in work.rows]
