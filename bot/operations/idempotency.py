"""Runs operations in one transaction, and once for each payload of Slack however often it is
delivered."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bot.core.effects import Queue
from bot.operations._unit_of_work import Context
from storage import key_values

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Repeated:
    """The payload arrived before and has had its effect."""


@dataclass(slots=True)
class _Wakes:
    """Collects the wake-ups of the inner operations, whose work is visible only after the
    commit."""

    queues: set[Queue] = field(default_factory=set)
    due: list[int] = field(default_factory=list)

    def note(self, queues: frozenset[Queue], due: int | None) -> None:
        self.queues |= queues
        self.due += [due] if due is not None else []


def do_together(world: Context, act: Callable[[Context], T]) -> T:
    """Runs `act` with a world whose operations all commit together at its end, or not at all."""
    wakes = _Wakes()
    with world.db.transaction():
        outcome = act(replace(world, wake=wakes.note, in_transaction=True))
    if wakes.queues or wakes.due:
        world.wake(frozenset(wakes.queues), min(wakes.due, default=None))
    return outcome


def do_once(world: Context, key: str, act: Callable[[Context], T]) -> T | Repeated:
    """Like `do_together`, but does nothing if `key` was used before. The key is stored in the same
    transaction."""

    def once(inner: Context) -> T | Repeated:
        return act(inner) if key_values.claim_key(inner.db, key, inner.now()) else Repeated()

    return do_together(world, once)
