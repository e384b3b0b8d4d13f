"""How the queues of the outbox are worked: one loop for each, which claims rows and hands them to its threads.

It doesn't know what the rows ask for; `bot/delivery.py` does that.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bot.core.effects import Queue
from bot.core.errors import StorageUnavailable
from bot.limits import THREADS, Limits
from bot.operations.take_work import Row

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lanes:
    """How one queue is worked: threads, rows in hand at most, how long a claim lasts if its process dies (seconds),
    and the longest pause between two tries (seconds)."""

    threads: int
    in_hand: int
    claim: int
    longest_pause: int

    @property
    def keep(self) -> float:
        """Seconds after which what is in hand is claimed anew: a third of the claim, so that it is kept."""
        return min(1.0, self.claim / 3)


LANES: Mapping[Queue, Lanes] = {
    Queue.END: Lanes(threads=THREADS, in_hand=64, claim=2, longest_pause=300),
    Queue.START: Lanes(threads=THREADS, in_hand=48, claim=5, longest_pause=30),
    Queue.DECIDE: Lanes(threads=8, in_hand=32, claim=5, longest_pause=5),
    Queue.SLACK: Lanes(threads=8, in_hand=8, claim=15, longest_pause=20),
    Queue.UPDATE: Lanes(threads=2, in_hand=2, claim=15, longest_pause=60),
}
"""Starts and messages are not claimed before a thread is free for them: an end drops a start that nobody has begun,
and of a message that a killed process had in hand nobody knows whether it was posted."""

SHARED: Mapping[Queue, frozenset[Queue]] = {
    Queue.END: frozenset({Queue.END, Queue.START}),
    Queue.START: frozenset({Queue.END, Queue.START}),
    Queue.DECIDE: frozenset({Queue.DECIDE}),
    Queue.SLACK: frozenset({Queue.SLACK}),
    Queue.UPDATE: frozenset({Queue.UPDATE}),
}
"""Whose next row may have waited behind a row of that queue: a grant's starts and ends are in one lane."""


STOPS_WITHIN = 12.0
"""Seconds for which what has been begun is waited for at a stop: longer than Slack is waited for, so that no message is
in doubt. A system may take minutes; what it was told is told again by whoever comes next."""

LOOK_AGAIN = 20.0
"""Seconds after which a queue with nothing in hand is looked at although neither a commit nor the watch rang for it."""

LONGEST_ASKED = 900
"""Seconds for which a system may ask us to wait at most: an end is tried again before that, whatever it says."""


def pause(row: Row, error: Exception) -> int:
    """Seconds until the next try: what the other side asked for, else growing, with jitter so that many don't come
    back at the same moment."""
    asked = 1 if isinstance(error, StorageUnavailable) else getattr(error, "retry_after", None)
    if asked is not None:
        return max(1, int(asked) if row.queue in (Queue.SLACK, Queue.UPDATE) else min(int(asked), LONGEST_ASKED))
    longest = min(LANES[row.queue].longest_pause, 2 ** min(row.attempts - 1, 10))
    return max(1, round(random.uniform(longest / 2, longest)))  # noqa: S311, a pause is no secret


class Hands(Protocol):
    """What a loop needs of the delivery. Every method may raise StorageUnavailable, but `work_together`."""

    @property
    def stopping(self) -> bool: ...

    def room(self, queue: Queue) -> int: ...

    def take(self, queue: Queue, limit: int, without: Sequence[str] = ()) -> list[Row]: ...

    def batches(self, rows: Sequence[Row]) -> Sequence[Sequence[Row]]: ...

    def work_together(self, rows: Sequence[Row]) -> Sequence[str]: ...

    def keep(self, queue: Queue, rows: Sequence[int]) -> None: ...

    def put_back(self, rows: Sequence[int]) -> None: ...

    def answer_again(self, queue: Queue, systems: Sequence[str]) -> None: ...

    def wake(self, queues: Iterable[Queue]) -> None: ...


class Loop(threading.Thread):
    """Takes the rows of one queue and hands them to its threads, until the delivery stops."""

    def __init__(self, delivery: Hands, queue: Queue, lanes: Lanes) -> None:
        super().__init__(name=f"delivery-{queue}", daemon=True)
        self._delivery, self._queue, self._lanes = delivery, queue, lanes
        self._pool = ThreadPoolExecutor(lanes.threads, thread_name_prefix=f"{queue}")
        self._limits = Limits()
        self._in_hand: dict[int, Future[None]] = {}
        self._lock = threading.Lock()
        self.bell = threading.Event()
        self.turned = self._kept = time.monotonic()

    def run(self) -> None:
        while not self._delivery.stopping:
            self.turned = time.monotonic()
            self.bell.clear()
            if not self._guarded(self._take):
                self.bell.wait(self._lanes.keep if self._in_hand else LOOK_AGAIN)
        self._end()

    def _end(self) -> None:
        """Gives back what nobody has begun, and waits for the rest, but not for ever."""
        self._pool.shutdown(wait=False)
        with self._lock:
            left = [row for row, future in self._in_hand.items() if future.cancel()]
            for row in left:
                del self._in_hand[row]
        until = time.monotonic() + STOPS_WITHIN
        self._guarded(lambda: self._delivery.put_back(left))
        while self._in_hand and time.monotonic() < until:
            time.sleep(0.05)
            self._guarded(self._keep)
        if self._in_hand:
            log.warning("queue %s: %s rows are left to whoever comes next", self._queue, len(self._in_hand))

    def _guarded(self, do: Callable[[], int | None]) -> int:
        try:
            return do() or 0
        except StorageUnavailable as error:
            log.warning("queue %s: %s", self._queue, error)
        except Exception:  # whatever it is, the other queues and the next look must go on
            log.exception("queue %s could not be looked at", self._queue)
        return 0

    def _take(self) -> int:
        in_hand = self._keep()
        room = self._delivery.room(self._queue) - in_hand
        rows = self._delivery.take(self._queue, room, self._limits.full()) if room > 0 else []
        batches = self._delivery.batches(rows)  # if that fails, the claims run out and somebody takes them anew
        begun = [batch for batch in batches if self._limits.enter(_called(batch))]
        taken = {row.id for batch in begun for row in batch}
        with self._lock:  # who is done before this is over waits for it
            for batch in begun:
                self._in_hand.update(dict.fromkeys([row.id for row in batch], self._pool.submit(self._work, batch)))
        self._delivery.put_back([row.id for row in rows if row.id not in taken])
        return len(taken)

    def _keep(self) -> int:
        """Claims anew what is in hand, when it is time to, and gives its number."""
        with self._lock:
            in_hand = list(self._in_hand)
        is_time = time.monotonic() - self._kept >= self._lanes.keep
        if is_time or not in_hand:
            self._kept = time.monotonic()
        if is_time and in_hand:
            self._delivery.keep(self._queue, in_hand)
        return len(in_hand)

    def _work(self, rows: Sequence[Row]) -> None:
        failed: Sequence[str] = _called(rows)
        try:
            failed = self._delivery.work_together(rows)
        finally:
            with self._lock:
                for row in rows:
                    self._in_hand.pop(row.id, None)
            if back := self._limits.leave(_called(rows), failed):
                self._delivery.answer_again(self._queue, back)
            self._delivery.wake(SHARED[self._queue])  # the next row of this lane may be free now


def _called(rows: Sequence[Row]) -> tuple[str, ...]:
    """The systems that a batch calls; what is done together is rows of ours, and calls none."""
    return rows[0].systems if len(rows) == 1 else ()
