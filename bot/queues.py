"""How the queues of the outbox are worked: one loop for each, which claims rows and hands them to its threads.

It doesn't know what the rows ask for; `bot/delivery.py` does that.
"""

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bot.core.effects import Queue
from bot.core.errors import StorageUnavailable
from bot.limits import Limits
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
    Queue.END: Lanes(threads=48, in_hand=64, claim=2, longest_pause=300),
    Queue.START: Lanes(threads=48, in_hand=48, claim=5, longest_pause=30),
    Queue.DECIDE: Lanes(threads=8, in_hand=32, claim=5, longest_pause=5),
    Queue.SLACK: Lanes(threads=8, in_hand=8, claim=15, longest_pause=20),
}
"""Starts and messages are not claimed before a thread is free for them: an end drops a start that nobody has begun,
and of a message that a killed process had in hand nobody knows whether it was posted."""

SHARED: Mapping[Queue, frozenset[Queue]] = {
    Queue.END: frozenset({Queue.END, Queue.START}),
    Queue.START: frozenset({Queue.END, Queue.START}),
    Queue.DECIDE: frozenset({Queue.DECIDE}),
    Queue.SLACK: frozenset({Queue.SLACK}),
}
"""Whose next row may have waited behind a row of that queue: a grant's starts and ends are in one lane."""


LOOK_AGAIN = 20.0
"""Seconds after which a queue with nothing in hand is looked at although neither a commit nor the watch rang for it."""


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
        self._in_hand: set[int] = set()
        self._lock = threading.Lock()
        self.bell = threading.Event()
        self.turned = self._kept = time.monotonic()

    def run(self) -> None:
        while not self._delivery.stopping:
            self.turned = time.monotonic()
            self.bell.clear()
            if not self._taken():
                self.bell.wait(self._lanes.keep if self._in_hand else LOOK_AGAIN)
        self._pool.shutdown(wait=True, cancel_futures=True)
        try:
            self._delivery.put_back(list(self._in_hand))
        except StorageUnavailable as error:
            log.warning("queue %s: %s rows stay claimed: %s", self._queue, len(self._in_hand), error)

    def _taken(self) -> int:
        try:
            return self._take()
        except StorageUnavailable as error:
            log.warning("queue %s: %s", self._queue, error)
        except Exception:  # whatever it is, the other queues and the next look must go on
            log.exception("queue %s could not be looked at", self._queue)
        return 0

    def _take(self) -> int:
        with self._lock:
            in_hand = list(self._in_hand)
        if not in_hand:
            self._kept = time.monotonic()
        elif time.monotonic() - self._kept >= self._lanes.keep:
            self._delivery.keep(self._queue, in_hand)
            self._kept = time.monotonic()
        room = self._delivery.room(self._queue) - len(in_hand)
        rows = self._delivery.take(self._queue, room, self._limits.full()) if room > 0 else []
        batches = self._delivery.batches(rows)  # if that fails, the claims run out and somebody takes them anew
        begun = [batch for batch in batches if self._limits.enter(_called(batch))]
        taken = {row.id for batch in begun for row in batch}
        with self._lock:
            self._in_hand.update(taken)
        for batch in begun:
            self._pool.submit(self._work, batch)
        self._delivery.put_back([row.id for row in rows if row.id not in taken])
        return len(taken)

    def _work(self, rows: Sequence[Row]) -> None:
        failed: Sequence[str] = _called(rows)
        try:
            failed = self._delivery.work_together(rows)
        finally:
            with self._lock:
                self._in_hand.difference_update(row.id for row in rows)
            if back := self._limits.leave(_called(rows), failed):
                self._delivery.answer_again(self._queue, back)
            self._delivery.wake(SHARED[self._queue])  # the next row of this lane may be free now


def _called(rows: Sequence[Row]) -> tuple[str, ...]:
    """The systems that a batch calls; what is done together is rows of ours, and calls none."""
    return rows[0].systems if len(rows) == 1 else ()
