"""Works the queues of the outbox: one loop for each, which claims rows and runs them on its
threads.

What the rows ask for is not known here; `handle` does that.
"""

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
    """How one queue is worked: threads, rows in hand at most, how long a claim lasts if its process
    dies (seconds), the longest pause between two tries (seconds), rows in hand while all of them
    are done together, and whether rows are claimed whose system has no free call yet."""

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
"""Starts and messages are not claimed before a thread is free: an end drops a start that nobody has
begun, and a message that a killed process had claimed may or may not have been posted. Ends are
claimed ahead: to claim each for itself takes longer than to call a quick system."""

BEHIND: Mapping[Queue, frozenset[Queue]] = {
    Queue.END: frozenset({Queue.START}),
    Queue.START: frozenset({Queue.END}),
}
"""The other queues whose rows may wait behind a row of that queue: a grant's starts and ends share
an ordering key."""

STOPS_WITHIN = 12.0
"""A stop waits this many seconds for what has been begun: longer than for an answer of Slack, so
that no message is in doubt. A system may take minutes; the next process calls it again."""

LOOK_AGAIN = 20.0
"""A queue that nothing wakes is looked at after this many seconds."""

LONGEST_ASKED = 900
"""The longest pause in seconds that a system may ask for: an end is retried before that."""

UNHEARD = 8
"""Messages in a row that Slack did not take, after which they are tried one at a time: thousands
would otherwise be tried and put off, in transactions that compete with those of ends."""

BETWEEN = 0.05
"""Seconds between two of these messages."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a try: the systems that did not answer, whether Slack took it (None where that
    is not known), and for how many seconds the rest of the queue waits."""

    failed: Sequence[str] = ()
    taken: bool | None = None
    others_wait: float = 0.0


Handle = Callable[[Work], Outcome]
Group = Callable[[Sequence[Row]], Sequence[Sequence[Row]]]


def one_by_one(rows: Sequence[Row]) -> Sequence[Sequence[Row]]:
    return [[row] for row in rows]


def pause(row: Row, error: Exception) -> int:
    """Seconds until the next try: what the other side asked for, else a growing pause."""
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
        """Something may be due, or the process stops."""
        self._ring(look=True)

    def _ring(self, *, look: bool) -> None:
        """The loop turns; with `look` it also looks for rows of systems that are not busy."""
        with self._lock:
            self._rung = time.monotonic() < self._held_until and not self._stopping.is_set()
            if not self._rung:
                self._look = self._look or look
                self._bell.set()

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Nothing wakes the queue meanwhile, for that long at most."""
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
        """Does what is due on this thread; for a process without workers. Gives the number of
        rows. Raises StorageUnavailable."""
        done = 0
        while rows := self.claimed.take(self.room()):
            for work in self.works(rows):
                self._paced(self._handle(work))
            done += len(rows)
        return done

    def room(self) -> int:
        """How many rows may be in hand now."""
        if time.monotonic() < self._waits_until:
            return 0
        if self._unheard >= UNHEARD:
            return 1
        return self._settings.together if self._all_together else self._settings.in_hand

    def works(self, rows: Sequence[Row]) -> list[Work]:
        """What is handled by one thread at a time. Raises StorageUnavailable."""
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
        """Releases what nobody has begun, and waits for the rest, up to a limit."""
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
        except Exception:  # whatever it is, the other queues and the next look must go on
            log.exception("queue %s could not be looked at", self._queue)
        return 0

    def _turn(self) -> int:
        """Begins what can be begun, and gives the number of newly claimed rows among it."""
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
        works = self.works(rows)  # if that fails, the claims run out and the rows are claimed again
        left = self._begin(works)
        if left and self._settings.ahead:
            self._ahead, self._claimed_ahead = [*self._ahead, *left], time.monotonic()
            self._look = self._look or len(rows) == room
        else:
            self._release(_rows(left))
        return len(rows) - len(_rows(left))

    def _begin(self, works: Sequence[Work]) -> list[Work]:
        """Gives those whose system has no free call."""
        left = []
        with self._lock:  # what is done before this is over waits for it
            for work in works:
                if not self._limits.enter(work.systems):
                    left.append(work)
                    continue
                future = self._pool.submit(self._work, work)
                self._in_hand.update((row.id, future) for row in work.rows)
        return left

    def _keep(self) -> int:
        """Extends the claims when it is time to, and gives the number of rows in hand."""
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
        """Slows the queue down while Slack takes nothing."""
        if outcome.others_wait:  # thousands may wait: none is tried before Slack takes one again
            self._waits_until = time.monotonic() + outcome.others_wait
        if outcome.taken:
            self._unheard = 0
        elif outcome.taken is False:
            self._unheard += 1
            if self._unheard >= UNHEARD:
                self._stopping.wait(BETWEEN)

    def _answer_again(self, systems: Sequence[str]) -> None:
        """These systems had failed again and again, and now did what they were asked."""
        log.info("%s: %s answers again", self._queue, ", ".join(systems))
        try:
            self.claimed.run_now(systems)
        except StorageUnavailable as error:
            log.warning("what waits for %s keeps its pause: %s", ", ".join(systems), error)

    def _may_wait(self, seconds: float) -> bool:
        """Waits, in a process whose loops run, and tells whether it goes on."""
        return self.is_alive() and not self._stopping.wait(seconds)


def _rows(works: Iterable[Work]) -> list[int]:
    return [row.id for work in works for row in work.rows]
