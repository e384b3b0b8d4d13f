"""Does the outbox: takes what commits left to do, calls the systems and Slack, and writes down what they answered.

Every queue has its own workers, so that an end never waits for a start, for a person or for Slack. It knows when to
try again, and nothing of what the work means: connectors, the messenger and operations do.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from bot.connectors import Systems
from bot.core.effects import Kind, Queue
from bot.core.errors import OutcomeUnknown, Outdated, StorageUnavailable, SystemRefused, SystemUnavailable
from bot.health import Health
from bot.operations._unit import World
from bot.operations.answer_waiting import give_up_waiting
from bot.operations.count_usage import UsageMeter
from bot.operations.decide_press import give_up_press
from bot.operations.end_together import end_together
from bot.operations.record_delivery import (
    connectors_of,
    record_end_failed,
    record_start_delayed,
    record_start_failed,
    waits_for_person,
)
from bot.operations.record_posted import record_undelivered, record_unheard, record_unposted
from bot.operations.take_work import (
    Row,
    Work,
    finish_work,
    hurry_systems,
    keep_claims,
    next_work,
    put_back,
    take_together,
    take_work,
)
from bot.queues import LANES, Loop, pause
from bot.slack.api import LOCKED_OUT
from bot.slack.messenger import POSTS, TOGETHER, Messenger
from bot.slack.people import SlackPeople
from bot.works import OWN, Recording, Works

log = logging.getLogger(__name__)

START_PATIENCE = 600
"""Seconds after which a grant whose system does not answer has failed to start."""

PERSON_PATIENCE = 3600
"""Seconds after which it has failed where the person has to do something first."""

PRESS_PATIENCE = 120
"""Seconds after which a press that Slack doesn't confirm decides nothing any more."""

UNHEARD = 8
"""Messages in a row that Slack did not take, after which they are tried one at a time until it takes one: thousands
that wait would otherwise be tried and put off, each in transactions of its own, and ends would compete with them."""

BETWEEN = 0.05
"""Seconds between two of these."""

GIVES_WAY = 1
"""Seconds for which updates go on waiting after a pause that Slack asked for, so that decisions are shown first."""

ENDS_AT_ONCE = 256
"""Ends in hand at most while all that come can be done at once."""

HOLD = 3.0
"""Seconds for which ends wait at most until all that are due have been asked for."""


class Delivery:
    """All queues of this process. `now` is the world's clock."""

    def __init__(
        self,
        world: World,
        systems: Systems,
        messenger: Messenger,
        people: SlackPeople,
        meter: UsageMeter,
    ) -> None:
        self._world, self._messenger, self._meter = world, messenger, meter
        self.health = Health(world.now)
        self._works = Works(world, systems, people, meter, self.health)
        self._owner = secrets.token_hex(8)
        self._stopping, self._waits = threading.Event(), False
        self._unheard, self._at_once = 0, False
        self._updates_from = 0.0
        self._due_at: dict[Queue, int] = {}
        self._lock, self._held_until, self._rung = threading.Lock(), 0.0, False
        self._loops = {queue: Loop(self, queue, lanes) for queue, lanes in LANES.items()}

    def start(self) -> None:
        self._waits = True
        for loop in self._loops.values():
            loop.start()

    def wake(self, queues: Iterable[Queue]) -> None:
        """Something was left to do, by this process or another one."""
        for queue in queues:
            if queue is not Queue.END or self._may_end():
                self._loops[queue].bell.set()

    def _may_end(self) -> bool:
        with self._lock:
            self._rung = time.monotonic() < self._held_until
            return not self._rung

    @contextmanager
    def ends_held(self) -> Iterator[None]:
        """Meanwhile the ends that were asked for are left where they are, for HOLD seconds at most: while thousands are
        asked for, the work on the first would hold up the last, for whom every gate is still open."""
        with self._lock:
            self._held_until = time.monotonic() + HOLD
        try:
            yield
        finally:
            with self._lock:
                rung, self._held_until, self._rung = self._rung, 0.0, False
            if rung:
                self.wake([Queue.END])

    def stop(self) -> None:
        """Finishes what has been begun and takes nothing new; what is left stays in the outbox."""
        self.begin_stop()
        for loop in self._loops.values():
            loop.join()

    def begin_stop(self) -> None:
        """The same without waiting for it."""
        self._stopping.set()
        self._works.stop()
        self.health.stop()
        for loop in self._loops.values():
            loop.bell.set()

    def well(self) -> bool:
        """Whether every queue's loop has turned lately."""
        return all(loop.is_alive() and time.monotonic() - loop.turned < 30 for loop in self._loops.values())

    def ask_systems(self) -> None:
        """Asks every system of roles.toml whether it is well; takes some seconds at most."""
        self.health.ask(self._works.systems, self._world.policy().systems)

    def drain(self, queue: Queue) -> int:
        """Does what is due of one queue on this thread; for a process without workers. Gives the number of rows."""
        done = 0
        while rows := self.take(queue, self.room(queue)):
            for batch in self.batches(rows):
                self.work_together(batch)
            done += len(rows)
        return done

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def find_due(self) -> None:
        """Looks when something is due in each queue, whoever left it there. Raises StorageUnavailable."""
        self._due_at = next_work(self._world)

    def wake_due(self) -> None:
        """Wakes the queues in which something is due by now; to be called once a second."""
        now = self._world.now()
        self.wake([queue for queue, due in self._due_at.items() if due <= now])

    def room(self, queue: Queue) -> int:
        """How many rows of this queue may be in hand now."""
        if queue is Queue.UPDATE and time.monotonic() < self._updates_from:
            return 0
        if queue is Queue.SLACK and self._unheard >= UNHEARD:
            return 1
        return ENDS_AT_ONCE if queue is Queue.END and self._at_once else LANES[queue].in_hand

    def take(self, queue: Queue, limit: int, without: Sequence[str] = ()) -> list[Row]:
        return take_work(self._world, queue, self._owner, LANES[queue].claim, limit, without)

    def keep(self, queue: Queue, rows: Sequence[int]) -> None:
        keep_claims(self._world, self._owner, rows, LANES[queue].claim)

    def put_back(self, rows: Sequence[int]) -> None:
        """Leaves rows that nobody has begun to whoever comes next."""
        if rows:
            put_back(self._world, self._owner, rows)

    def answer_again(self, queue: Queue, systems: Sequence[str]) -> None:
        """These systems had failed again and again, and now did what they were asked. Never raises."""
        log.info("%s: %s answers again", queue, ", ".join(systems))
        try:
            hurry_systems(self._world, queue, systems)
        except StorageUnavailable as error:
            log.warning("what waits for %s is tried when its pause is over: %s", ", ".join(systems), error)
        self.wake([queue])

    def work(self, row: Row) -> Sequence[str]:
        """Does one row, and what may be done together with it. Gives the systems that did not answer. Never raises:
        what can't even be put off comes back when its claim has run out."""
        try:
            return self._work(row)
        except StorageUnavailable as error:
            log.warning("work %s stays claimed until the database is back: %s", row.id, error)
        except Exception:
            log.exception("work %s of kind %s stays claimed", row.id, row.kind)
        return ()

    def batches(self, rows: Sequence[Row]) -> list[list[Row]]:
        """What is done by one thread at a time: ends of one kind in our own rows together, everything else alone."""
        ends = [row for row in rows if row.kind is Kind.END_LEASE]
        if len(ends) < 2:
            return [[row] for row in rows]
        kinds = connectors_of(self._world, [(row.data["grant"], row.data["system"]) for row in ends])
        kind_of = {row.id: kind for row, kind in zip(ends, kinds, strict=True)}
        ours = [kind for kind in set(kinds) if self._works.systems.ends_together(kind)]
        together = [[row for row in ends if kind_of[row.id] == kind] for kind in ours]
        self._at_once = len(together) == 1 and len(together[0]) == len(rows)
        return together + [[row] for row in rows if kind_of.get(row.id) not in ours]

    def work_together(self, rows: Sequence[Row]) -> Sequence[str]:
        """Does one of the `batches`, and gives the systems that did not answer. Never raises."""
        try:
            if len(rows) > 1:
                end_together(self._world, self._owner, rows, self._works.revoke_all)
                return ()
        except StorageUnavailable as error:  # it would not do them one by one either
            log.warning("the work of %s rows stays claimed until the database is back: %s", len(rows), error)
            return ()
        except Exception as error:
            log.warning("%s ends could not be confirmed together (%r), so it is one by one", len(rows), error)
        return [system for row in rows for system in self.work(row)]

    def _work(self, row: Row) -> Sequence[str]:
        rows, done = [row], False
        try:
            if row.kind in TOGETHER and row.unsure < 2:
                rows += take_together(self._world, row, self._owner, *TOGETHER[row.kind])
            recordings = self._do(rows)
            done = True
            if row.queue is Queue.SLACK:
                self._unheard = 0
            self._finish(rows, recordings)
        except (SystemUnavailable, StorageUnavailable) as error:
            if done:
                raise
            self._later(rows, error)
            if isinstance(error, SystemUnavailable) and error.system and not error.to_person:
                return [error.system]
            return ()
        except SystemRefused as error:
            self._refused(rows, error)
        except Exception as error:  # perhaps after the post: a third one would be worse than a missing one
            log.exception("work %s of kind %s failed unexpectedly", row.id, row.kind)
            self._later(rows, OutcomeUnknown(f"unexpected {type(error).__name__}"))
            return row.systems
        return ()

    def _do(self, rows: Sequence[Row]) -> Sequence[Recording]:
        row = rows[0]
        if row.kind in OWN:
            return OWN[row.kind](self._works, row)
        if self._meter.has_counts and any(r.data.get("note") == "ended" for r in rows):
            self._meter.flush()  # what is said of an end says how it was used
        if row.unsure and row.kind in POSTS:
            if row.unsure >= 2:
                raise SystemRefused("answer_lost", "sent twice without an answer, so not a third time")
            self._messenger.expect_answers()
        return self._messenger.deliver(row.kind, [(r.kind, r.data) for r in rows])

    def _finish(self, rows: Sequence[Row], recordings: Sequence[Recording]) -> None:
        """Writes down what was done. It must not be done again only because the database is away just now, so this
        waits for it, the rows in hand, until the delivery stops."""
        while True:
            try:
                return finish_work(self._world, self._owner, [row.id for row in rows], recordings)
            except StorageUnavailable as error:
                log.warning("work %s is done but can't be written down yet: %s", rows[0].id, error)
                self._note_end(rows[0])
                if not self._waits or self._stopping.wait(1):
                    raise

    def _note_end(self, row: Row) -> None:
        """An end that was confirmed is recorded with the time of that, however long writing takes."""
        if row.kind is Kind.END_LEASE:
            self._world.unwritten.note(row.data["grant"], row.data["system"], self._world.now())

    def _later(self, rows: Sequence[Row], error: SystemUnavailable | StorageUnavailable) -> None:
        """Gives the rows back for another try, unless this kind of work has its own end of patience."""
        row = rows[0]
        giving_up = _PATIENCE.get(row.kind)
        if giving_up and isinstance(error, SystemUnavailable) and giving_up(self, row, error):
            return
        work = Work(self._owner, [r.id for r in rows])
        wait = pause(row, error)
        work.give_back(self._world, wait, str(error), isinstance(error, OutcomeUnknown))
        if (
            row.queue is Queue.UPDATE and row.kind is not Kind.UPDATE_ANSWER
        ):  # thousands may wait: none of them is tried before Slack takes one again
            self._updates_from = time.monotonic() + wait + GIVES_WAY
        if row.queue is Queue.SLACK and isinstance(error, SystemUnavailable) and error.retry_after is None:
            self._unheard += 1
            if self._unheard >= UNHEARD:
                self._stopping.wait(BETWEEN)

    def _refused(self, rows: Sequence[Row], error: SystemRefused) -> None:
        """A final no: on record once, and out of the way of what comes after."""
        row = rows[0]
        if error.code in LOCKED_OUT:  # as long as our token is not accepted, nothing can be said, nor given up
            log.warning("%s waits until Slack accepts the bot's token: %s", row.kind, error.code)
            self._later(rows, SystemUnavailable(str(error)))
            return
        log.error("%s can't be done: %s", row.kind, error)
        if row.kind is Kind.START_GRANT:
            self._finish(rows, [partial(_fail_start, row=row, error=error)])
            return
        if row.kind in (Kind.END_LEASE, Kind.EXTEND_LEASE):  # never given up: access would stay, or end too early
            self._later(rows, SystemUnavailable(str(error)))
            return
        if row.kind is Kind.DECIDE:
            self._finish(rows, [lambda world: give_up_press(world, row.data)])
            return
        if row.kind is Kind.ASK:
            self._finish(rows, [lambda world: give_up_waiting(world, row.data, str(error))])
            return
        if row.kind is Kind.POST_APPROVAL:
            data, again = row.data, bool(row.data.get("again"))
            unposted = partial(
                record_unposted, request_id=data["request"], channel=data["channel"], error=str(error), again=again
            )
            self._finish(rows, [unposted])
            return
        if row.kind in (Kind.TELL_SECURITY, Kind.ALARM):
            work = [(each.kind, each.data) for each in rows]
            self._finish(rows, [lambda world: record_unheard(world, work, row.data["channel"], str(error))])
            return
        to = str(row.data.get("channel") or row.data.get("person") or "")
        self._finish(rows, [lambda world: record_undelivered(world, row.kind, to, str(error))])

    # What each kind does when a try failed: True when the row is finished by it.

    def start_again(self, row: Row, error: SystemUnavailable) -> bool:
        waits = error.to_person or waits_for_person(self._world, row.data["grant"])
        patience = PERSON_PATIENCE if waits else START_PATIENCE
        if self._world.now() - row.created_at < patience:
            if (row.attempts == 1 or error.to_person) and not isinstance(error, Outdated):
                until = row.created_at + patience
                record_start_delayed(self._world, row.data["grant"], error.to_person, until)
            return False
        self._finish([row], [partial(_fail_start, row=row, error=error)])
        return True

    def end_again(self, row: Row, error: SystemUnavailable) -> bool:
        record_end_failed(self._world, row.data["grant"], row.data["system"], str(error), row.attempts)
        return False

    def decide_again(self, row: Row, error: SystemUnavailable) -> bool:
        if self._world.now() - row.created_at < PRESS_PATIENCE:
            return False
        why = str(error) if isinstance(error, Outdated) else ""
        self._finish([row], [lambda world: give_up_press(world, row.data, why)])
        return True

    def ask_again(self, row: Row, error: SystemUnavailable) -> bool:
        if self._world.now() < row.data["until"]:
            return False
        outdated = isinstance(error, Outdated)
        self._finish([row], [lambda world: give_up_waiting(world, row.data, str(error), outdated=outdated)])
        return True


def _fail_start(world: World, row: Row, error: SystemUnavailable | SystemRefused) -> None:
    record_start_failed(world, row.data["grant"], str(error), error.to_person)


_PATIENCE: Mapping[Kind, Callable[[Delivery, Row, SystemUnavailable], bool]] = {
    Kind.START_GRANT: Delivery.start_again,
    Kind.END_LEASE: Delivery.end_again,
    Kind.DECIDE: Delivery.decide_again,
    Kind.ASK: Delivery.ask_again,
}
