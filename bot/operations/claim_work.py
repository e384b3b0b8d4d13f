"""Claims outbox rows; extends, acknowledges, retries or releases the claims.

The handlers of the worker do the work of a row.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec

from bot.core.effects import Kind, Queue
from bot.core.errors import StorageUnavailable
from bot.core.model import ProvisionOrder
from bot.operations._unit_of_work import Context
from bot.operations.idempotency import do_together
from storage import outbox
from storage.outbox import Row

__all__ = [
    "Batch",
    "ClaimedQueue",
    "Row",
    "Work",
    "advance_clock",
    "finish_together",
    "free_claims",
    "next_work",
]

log = logging.getLogger(__name__)

Given = ParamSpec("Given")

NEXT_TRY = 1
"""Seconds between two tries to record finished work."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows that may be done together with a row that they follow in order: their kinds, the
    fewest waiting rows for which it is worth it, and the most that it takes."""

    kinds: Sequence[Kind]
    at_least: int
    at_most: int


class ClaimedQueue:
    """The rows of one queue that `owner` has claimed, each for `claim` seconds at a time.

    Every method is one transaction of its own, and raises StorageUnavailable.
    """

    def __init__(self, world: Context, queue: Queue, owner: str, claim: int) -> None:
        self.world, self.queue = world, queue
        self._owner, self._claim = owner, claim

    def take(self, limit: int, without: Sequence[str] = ()) -> list[Row]:
        """Claims up to `limit` due rows, but none that calls a system of `without`."""
        with self.world.db.reading():
            if not outbox.any_due(self.world.db, self.queue, self.world.now(), without):
                return []
        with self._transaction() as now:
            until = now + self._claim
            return outbox.claim(self.world.db, self.queue, self._owner, now, until, limit, without)

    def take_behind(self, row: Row, batch: Batch) -> list[Row]:
        """Claims rows behind `row` that may be done with it."""
        db, terms = self.world.db, (row, batch.kinds, batch.at_least, batch.at_most)
        with db.reading():
            if not outbox.followers(db, *terms):
                return []
        with self._transaction():
            return outbox.claim_followers(db, row, outbox.followers(db, *terms), self._owner)

    def keep(self, rows: Sequence[int]) -> None:
        """Extends the claims of rows that are still being worked on."""
        with self._transaction() as now:
            outbox.extend_claims(self.world.db, self._owner, rows, now + self._claim)

    def release(self, rows: Sequence[int]) -> None:
        """Returns rows that nobody has begun."""
        with self._transaction():
            outbox.release(self.world.db, rows, self._owner)

    def retry(self, rows: Sequence[int], pause: int, error: str, outcome_unknown: bool) -> None:
        """Returns rows for another try in `pause` seconds. `outcome_unknown`: this try may have
        succeeded."""
        with self._transaction() as now:
            for row in rows:
                outbox.retry_later(
                    self.world.db, row, self._owner, now + pause, error[:500], outcome_unknown
                )

    def ack(self, rows: Sequence[int], record: Callable[[Context], object]) -> None:
        """Removes the rows and records their results, in one transaction.

        A row that another worker has claimed meanwhile is left to that worker. Its result is
        recorded anyway, so `record` must be safe to repeat.
        """

        def act(world: Context) -> None:
            record(world)
            outbox.ack(world.db, rows, self._owner)

        do_together(self.world, act)

    def run_now(self, systems: Sequence[str]) -> None:
        """Makes rows that wait for their next try on these systems due at once."""
        with self._transaction() as now:
            outbox.run_systems_now(self.world.db, self.queue, systems, now)

    @contextmanager
    def _transaction(self) -> Iterator[int]:
        with self.world.db.transaction():
            yield self.world.now()


class Work:
    """Rows that are done together.

    `wait` waits for a number of seconds and returns whether there is time left. `order` is the
    order for its system, if it was read for many rows at once. Work that was done may be handed
    over to another thread, which finishes it and then calls `returned`.
    """

    def __init__(
        self,
        queue: ClaimedQueue,
        rows: Sequence[Row],
        wait: Callable[[float], bool] = lambda seconds: False,
    ) -> None:
        self.queue, self._wait, self.ahead_since = queue, wait, 0.0
        self.rows, self.row = list(rows), rows[0]
        self.data: Mapping[str, Any] = self.row.data
        self.order: ProvisionOrder | None = None
        self.returned: Callable[[Work], None] | None = None
        self.is_done = self.is_recorded = self.is_handed_over = False

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems that the work calls; ends that are done together call none."""
        return self.row.systems if len(self.rows) == 1 else ()

    def alone(self) -> list["Work"]:
        """Splits the work: each row alone."""
        return [Work(self.queue, [row], self._wait) for row in self.rows]

    def take_behind(self, batch: Batch) -> None:
        """Adds the rows that may be done together with the first one."""
        self.rows += self.queue.take_behind(self.row, batch)

    def finish(
        self,
        record: Callable[Concatenate[Context, Given], object],
        *args: Given.args,
        **kwargs: Given.kwargs,
    ) -> None:
        """Removes the rows and records their results, in one transaction.

        The work must not be repeated only because the database is unavailable, so this waits for
        the database, and raises StorageUnavailable when there is no time left. That is why `record`
        is a function and not the body of a `with` statement: it may run several times.
        """
        self.is_done = True
        while True:
            try:
                self.finish_once(record, *args, **kwargs)
                return
            except StorageUnavailable as error:
                log.warning("work %s is done but can't be recorded yet: %s", self.row.id, error)
                self.note_ends()
                if not self._wait(NEXT_TRY):
                    raise

    def finish_once(
        self,
        record: Callable[Concatenate[Context, Given], object],
        *args: Given.args,
        **kwargs: Given.kwargs,
    ) -> None:
        """Like `finish`, but does not wait for the database."""
        self.queue.ack([row.id for row in self.rows], lambda world: record(world, *args, **kwargs))
        self.is_recorded = True

    def retry(self, pause: int, error: str, *, outcome_unknown: bool) -> None:
        """Returns the rows for another try in `pause` seconds. `outcome_unknown`: this try may have
        succeeded. Raises StorageUnavailable."""
        self.queue.retry([row.id for row in self.rows], pause, error, outcome_unknown)

    def note_ends(self) -> None:
        """A confirmed end is recorded with its own time, however late the record is written."""
        world = self.queue.world
        for row in self.rows:
            if row.kind is Kind.END_LEASE:
                world.unwritten.note(row.data["grant"], row.data["system"], world.now())


def finish_together(works: Sequence[Work], record: Callable[[Context], object]) -> None:
    """Removes the rows of all these and records their results, in one transaction, without waiting
    for the database. All or nothing: raises the errors of `record`, and StorageUnavailable."""
    Work(works[0].queue, [row for work in works for row in work.rows]).finish_once(record)
    for work in works:
        work.is_done = work.is_recorded = True


def next_work(world: Context) -> dict[Queue, int]:
    """The time at which the first row of each queue is due, claimed or not. Raises
    StorageUnavailable."""
    with world.db.reading():
        return outbox.next_due(world.db)


def advance_clock(world: Context, move: Callable[[], float]) -> None:
    """Lets `move` set the clock of a sandbox ahead while nobody claims work, and gives how far that
    was in seconds. Claims move along, so that no claimed row is taken for lost and done twice."""
    with world.db.transaction():
        outbox.carry_claims(world.db, move())


def free_claims(world: Context) -> None:
    """Frees the claims of a killed process, at the start of the only worker on a SQLite file."""
    with world.db.transaction():
        outbox.free_claims(world.db)
