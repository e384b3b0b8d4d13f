"""Rows of the outbox in hand: claimed, kept, finished together with what they came to, or given back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bot.core.effects import Kind, Queue
from bot.operations._unit import World
from storage import outbox
from storage.outbox import Row

__all__ = ["Row", "Work", "finish_work", "keep_claims", "leap", "next_work", "take_together", "take_work"]


def next_work(world: World) -> dict[Queue, int]:
    """When the first of each queue is due, in whoever's hands it is. Raises StorageUnavailable."""
    with world.db.reading():
        return outbox.next_due(world.db)


def take_work(world: World, queue: Queue, owner: str, claim: int, limit: int, without: Sequence[str] = ()) -> list[Row]:
    """Claims due rows of one queue for `claim` seconds, but none that calls a system of `without`. Raises
    StorageUnavailable."""
    with world.db.reading():
        if not outbox.any_due(world.db, queue, world.now()):
            return []
    with world.db.transaction():
        now = world.now()
        return outbox.claim(world.db, queue, owner, now, now + claim, limit, without)


def take_together(world: World, row: Row, owner: str, kinds: Sequence[Kind], at_least: int, at_most: int) -> list[Row]:
    """Claims rows behind `row` that may be done with it."""
    with world.db.reading():
        if not outbox.any_behind(world.db, row):
            return []
    with world.db.transaction():
        return outbox.next_in_lane(world.db, row, kinds, owner, at_least, at_most)


def keep_claims(world: World, owner: str, rows: Sequence[int], claim: int) -> None:
    """Holds on to rows that are still being worked on."""
    with world.db.transaction():
        outbox.extend_claims(world.db, owner, rows, world.now() + claim)


def finish_work(world: World, owner: str, rows: Sequence[int], recordings: Sequence[Callable[[World], object]]) -> None:
    """Removes the rows and writes down what they came to, in one transaction.

    A row that another worker has taken over meanwhile is left to it, but what happened is written down all the same:
    every recording is safe to repeat. Raises StorageUnavailable.
    """
    calls: list[tuple[frozenset[Queue], int | None]] = []
    quiet = replace(world, wake=lambda queues, due: calls.append((queues, due)))
    with world.db.transaction():
        for recording in recordings:
            recording(quiet)
        for row in rows:
            outbox.done(world.db, row, owner)
    for queues, due in calls:
        world.wake(queues, due)


@dataclass(frozen=True, slots=True)
class Work:
    """Rows in the hands of `owner`."""

    owner: str
    rows: Sequence[int]

    def give_back(self, world: World, pause: int, error: str, unsure: bool) -> None:
        """Leaves the rows for another try in `pause` seconds; `unsure` when this one may have succeeded."""
        with world.db.transaction():
            for row in self.rows:
                outbox.again(world.db, row, self.owner, world.now() + pause, error[:500], unsure)


def put_back(world: World, owner: str, rows: Sequence[int]) -> None:
    """Leaves rows that nobody has begun to whoever comes next."""
    with world.db.transaction():
        outbox.put_back(world.db, rows, owner)


def hurry_systems(world: World, queue: Queue, systems: Sequence[str]) -> None:
    """These systems answer again: what waits for its next try there is due now."""
    with world.db.transaction():
        outbox.hurry_systems(world.db, queue, systems, world.now())


def leap(world: World, move: Callable[[], float]) -> None:
    """Lets `move` set the clock of a sandbox ahead while nobody takes work, and gives how far that was in seconds.
    Claims go along: what is in hand stays there, and is not taken for lost and done twice."""
    with world.db.transaction():
        outbox.carry_claims(world.db, move())


def free_claims(world: World) -> None:
    """At the start of the only worker on a SQLite file: what a killed process had in hand is free again at once."""
    with world.db.transaction():
        outbox.free_claims(world.db)
