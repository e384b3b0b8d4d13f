"""Does the outbox: takes what commits left to do, calls the systems and Slack, and writes down what they answered.

Every queue has its own workers, so that an end never waits for a start, for a person or for Slack. It knows when to
try again, and nothing of what the work means: connectors, the messenger and operations do.
"""

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from bot.connectors.base import Connector
from bot.core.effects import Kind, Queue
from bot.core.errors import OutcomeUnknown, StorageUnavailable, SystemRefused, SystemUnavailable
from bot.core.model import Order
from bot.operations._unit import World
from bot.operations.count_usage import UsageMeter, sum_usage
from bot.operations.decide_press import decide_press, give_up_press
from bot.operations.record_delivery import (
    order_for,
    record_end_failed,
    record_ended,
    record_start_delayed,
    record_start_failed,
    record_started,
)
from bot.operations.record_people import record_people
from bot.operations.record_posted import record_undelivered, record_unposted
from bot.operations.take_work import Row, Work, finish_work, keep_claims, take_together, take_work
from bot.operations.try_start import try_start
from bot.slack.api import LOCKED_OUT
from bot.slack.messenger import POSTS, TOGETHER, Messenger
from bot.slack.people import SlackPeople

log = logging.getLogger(__name__)

Recording = Callable[[World], object]


@dataclass(frozen=True, slots=True)
class Lanes:
    """How one queue is worked: threads, rows in hand at most, how long a claim lasts if its process dies (seconds),
    and the longest pause between two tries (seconds)."""

    threads: int
    in_hand: int
    claim: int
    longest_pause: int


LANES: Mapping[Queue, Lanes] = {
    Queue.END: Lanes(threads=8, in_hand=64, claim=2, longest_pause=300),
    Queue.START: Lanes(threads=8, in_hand=64, claim=5, longest_pause=30),
    Queue.DECIDE: Lanes(threads=8, in_hand=32, claim=5, longest_pause=5),
    Queue.SLACK: Lanes(threads=8, in_hand=32, claim=15, longest_pause=20),
}

START_PATIENCE = 600
"""Seconds after which a grant whose system does not answer has failed to start."""

PRESS_PATIENCE = 120
"""Seconds after which a press that Slack doesn't confirm decides nothing any more."""


class Delivery:
    """All queues of this process. `now` is the world's clock."""

    def __init__(
        self,
        world: World,
        connectors: Mapping[str, Connector],
        messenger: Messenger,
        people: SlackPeople,
        meter: UsageMeter,
    ) -> None:
        self._world, self._connectors, self._messenger = world, connectors, messenger
        self._people, self._meter = people, meter
        self._owner = secrets.token_hex(8)
        self._stopping = threading.Event()
        self._loops = {queue: _Loop(self, queue, lanes) for queue, lanes in LANES.items()}

    def start(self) -> None:
        for loop in self._loops.values():
            loop.start()

    def wake(self, queues: Sequence[Queue] | frozenset[Queue]) -> None:
        """Something was left to do, by this process or another one."""
        for queue in queues:
            self._loops[queue].bell.set()

    def stop(self) -> None:
        """Finishes what is in hand and takes nothing new; what is left stays in the outbox."""
        self._stopping.set()
        self.wake(list(Queue))
        for loop in self._loops.values():
            loop.join()

    def well(self) -> bool:
        """Whether every queue's loop has turned lately."""
        return all(loop.is_alive() and time.monotonic() - loop.turned < 30 for loop in self._loops.values())

    def drain(self, queue: Queue) -> int:
        """Does what is due of one queue on this thread; for a process without workers. Gives the number of rows."""
        done = 0
        while rows := take_work(self._world, queue, self._owner, LANES[queue].claim, 64):
            for row in rows:
                self.work(row)
            done += len(rows)
        return done

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def take(self, queue: Queue, limit: int) -> list[Row]:
        return take_work(self._world, queue, self._owner, LANES[queue].claim, limit)

    def keep(self, queue: Queue, rows: Sequence[int]) -> None:
        keep_claims(self._world, self._owner, rows, LANES[queue].claim)

    def work(self, row: Row) -> None:
        """Does one row, and what may be done together with it; nothing that it raises is lost."""
        rows = [row]
        try:
            if row.kind in TOGETHER:
                rows += take_together(self._world, row, self._owner, *TOGETHER[row.kind])
            self._finish(rows, self._do(rows))
        except (SystemUnavailable, StorageUnavailable) as error:
            self._later(rows, error)
        except SystemRefused as error:
            self._refused(rows, error)
        except Exception as error:
            log.exception("work %s of kind %s failed unexpectedly", row.id, row.kind)
            self._later(rows, SystemUnavailable(f"unexpected {type(error).__name__}"))

    def _do(self, rows: Sequence[Row]) -> Sequence[Recording]:
        if rows[0].kind in _OWN:
            return _OWN[rows[0].kind](self, rows[0])
        if rows[0].unsure >= 2 and rows[0].kind in POSTS:
            raise SystemRefused("answer_lost", "sent twice without an answer, so not a third time")
        return self._messenger.deliver(rows[0].kind, [(row.kind, row.data) for row in rows])

    def _finish(self, rows: Sequence[Row], recordings: Sequence[Recording]) -> None:
        finish_work(self._world, self._owner, [row.id for row in rows], recordings)

    def _later(self, rows: Sequence[Row], error: SystemUnavailable | StorageUnavailable) -> None:
        """Gives the rows back for another try, unless this kind of work has its own end of patience."""
        row = rows[0]
        giving_up = _PATIENCE.get(row.kind)
        try:
            if giving_up and isinstance(error, SystemUnavailable) and giving_up(self, row, error):
                return
            unsure = isinstance(error, OutcomeUnknown)
            work = Work(self._owner, [r.id for r in rows])
            work.give_back(self._world, _pause(row, error), str(error), unsure)
        except StorageUnavailable as lost:
            log.warning("work %s stays claimed until the database is back: %s", row.id, lost)

    def _refused(self, rows: Sequence[Row], error: SystemRefused) -> None:
        """A final no: on record once, and out of the way of what comes after."""
        row = rows[0]
        if error.code in LOCKED_OUT:  # as long as our token is not accepted, nothing can be said, nor given up
            log.warning("%s waits until Slack accepts the bot's token: %s", row.kind, error.code)
            self._later(rows, SystemUnavailable(str(error)))
            return
        log.error("%s can't be done: %s", row.kind, error)
        if row.kind is Kind.START_GRANT:
            self._finish(rows, [partial(_fail_start, row=row, error=str(error))])
            return
        if row.kind in (Kind.END_LEASE, Kind.EXTEND_LEASE):  # never given up: access would stay, or end too early
            self._later(rows, SystemUnavailable(str(error)))
            return
        if row.kind is Kind.DECIDE:
            self._finish(rows, [lambda world: give_up_press(world, row.data)])
            return
        if row.kind is Kind.POST_APPROVAL:
            self._finish(
                rows, [lambda world: record_unposted(world, row.data["request"], row.data["channel"], str(error))]
            )
            return
        to = str(row.data.get("channel") or row.data.get("person") or "")
        self._finish(rows, [lambda world: record_undelivered(world, row.kind, to, str(error))])

    # What each kind of work does. It gives what to write down when it is done.

    def start_grant(self, row: Row) -> Sequence[Recording]:
        orders = try_start(self._world, row.data["grant"])
        for order in orders:
            self._make(order)
        return [lambda world: record_started(world, row.data["grant"])] if orders else []

    def extend_lease(self, row: Row) -> Sequence[Recording]:
        if (order := order_for(self._world, row.data["grant"], row.data["system"], still_active=True)) is not None:
            self._make(order)
        return []

    def _make(self, order: Order) -> None:
        connector = self._connectors[order.connector]
        connector.grant(order)
        if not connector.read_back(order):
            raise SystemUnavailable(f"{order.system} has not got the access yet")

    def end_lease(self, row: Row) -> Sequence[Recording]:
        grant, system = row.data["grant"], row.data["system"]
        order = order_for(self._world, grant, system)
        if order is None:
            return []
        connector = self._connectors[order.connector]
        connector.revoke(order)
        if connector.read_back(order):
            raise SystemUnavailable(f"{system} still has the access")
        return [lambda world: record_ended(world, grant, system)]

    def sum_usage(self, row: Row) -> Sequence[Recording]:
        self._meter.flush()
        return [lambda world: sum_usage(world, row.data["grant"])]

    def decide(self, row: Row) -> Sequence[Recording]:
        voter = self._people.look_up(row.data["voter"])
        return [lambda world: decide_press(world, row.data, voter)]

    def look_up_person(self, row: Row) -> Sequence[Recording]:
        person = self._people.look_up(row.data["person"])
        return [lambda world: record_people(world, [person])]

    def refresh_groups(self, row: Row) -> Sequence[Recording]:
        self._people.refresh_groups()
        return []

    def refresh_people(self, row: Row) -> Sequence[Recording]:
        self._people.refresh_people()
        return []

    # What each kind does when a try failed: True when the row is finished by it.

    def start_again(self, row: Row, error: SystemUnavailable) -> bool:
        if self._world.now() - row.created_at < START_PATIENCE:
            if row.attempts == 1:
                record_start_delayed(self._world, row.data["grant"])
            return False
        self._finish([row], [partial(_fail_start, row=row, error=str(error))])
        return True

    def end_again(self, row: Row, error: SystemUnavailable) -> bool:
        record_end_failed(self._world, row.data["grant"], row.data["system"], str(error), row.attempts)
        return False

    def decide_again(self, row: Row, error: SystemUnavailable) -> bool:
        if self._world.now() - row.created_at < PRESS_PATIENCE:
            return False
        self._finish([row], [lambda world: give_up_press(world, row.data)])
        return True


class _Loop(threading.Thread):
    """Takes the rows of one queue and hands them to its threads, until the delivery stops."""

    def __init__(self, delivery: Delivery, queue: Queue, lanes: Lanes) -> None:
        super().__init__(name=f"delivery-{queue}", daemon=True)
        self._delivery, self._queue, self._lanes = delivery, queue, lanes
        self._pool = ThreadPoolExecutor(lanes.threads, thread_name_prefix=f"{queue}")
        self._in_hand: set[int] = set()
        self._lock = threading.Lock()
        self.bell = threading.Event()
        self.turned = time.monotonic()

    def run(self) -> None:
        while not self._delivery.stopping:
            self.turned = time.monotonic()
            self.bell.clear()
            try:
                taken = self._take()
            except StorageUnavailable as error:
                log.warning("queue %s: %s", self._queue, error)
                taken = 0
            if not taken:
                self.bell.wait(self._lanes.claim / 3 if self._in_hand else 1.0)
        self._pool.shutdown(wait=True)

    def _take(self) -> int:
        with self._lock:
            in_hand = list(self._in_hand)
        if in_hand:
            self._delivery.keep(self._queue, in_hand)
        room = self._lanes.in_hand - len(in_hand)
        rows = self._delivery.take(self._queue, room) if room > 0 else []
        with self._lock:
            self._in_hand.update(row.id for row in rows)
        for row in rows:
            self._pool.submit(self._work, row)
        return len(rows)

    def _work(self, row: Row) -> None:
        try:
            self._delivery.work(row)
        finally:
            with self._lock:
                self._in_hand.discard(row.id)
            self.bell.set()  # the next row of this lane may be free now


def _fail_start(world: World, row: Row, error: str) -> None:
    record_start_failed(world, row.data["grant"], error)


def _pause(row: Row, error: Exception) -> int:
    """Seconds until the next try: what the other side asked for, else growing, with jitter so that many don't come
    back at the same moment."""
    asked = getattr(error, "retry_after", None)
    if asked is not None:
        return max(1, int(asked))
    longest = min(LANES[row.queue].longest_pause, 2 ** min(row.attempts - 1, 10))
    return max(1, round(random.uniform(longest / 2, longest)))  # noqa: S311, a pause is no secret


_OWN: Mapping[Kind, Callable[[Delivery, Row], Sequence[Recording]]] = {
    Kind.START_GRANT: Delivery.start_grant,
    Kind.EXTEND_LEASE: Delivery.extend_lease,
    Kind.END_LEASE: Delivery.end_lease,
    Kind.SUM_USAGE: Delivery.sum_usage,
    Kind.DECIDE: Delivery.decide,
    Kind.LOOK_UP_PERSON: Delivery.look_up_person,
    Kind.REFRESH_GROUPS: Delivery.refresh_groups,
    Kind.REFRESH_PEOPLE: Delivery.refresh_people,
}
_PATIENCE: Mapping[Kind, Callable[[Delivery, Row, SystemUnavailable], bool]] = {
    Kind.START_GRANT: Delivery.start_again,
    Kind.END_LEASE: Delivery.end_again,
    Kind.DECIDE: Delivery.decide_again,
}
