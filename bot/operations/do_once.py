"""Makes any operation, or several together, one transaction; and a redelivered payload harmless for operations that
take no key of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bot.core.effects import Queue
from bot.operations._unit import World
from bot.operations.request_access import Repeated
from storage import facts

T = TypeVar("T")


@dataclass(slots=True)
class _Wakes:
    """What the operations inside would have woken before their work was there to be seen."""

    queues: set[Queue] = field(default_factory=set)
    due: list[int] = field(default_factory=list)

    def note(self, queues: frozenset[Queue], due: int | None) -> None:
        self.queues |= queues
        self.due += [due] if due is not None else []


def do_together(world: World, act: Callable[[World], T]) -> T:
    """Runs `act` with a world whose operations are all committed at its end, or not at all."""
    wakes = _Wakes()
    with world.db.transaction():
        outcome = act(replace(world, wake=wakes.note))
    if wakes.queues or wakes.due:
        world.wake(frozenset(wakes.queues), min(wakes.due, default=None))
    return outcome


def do_once(world: World, key: str, act: Callable[[World], T]) -> T | Repeated:
    """The same, unless `key` has been through here before; the key is taken in the same transaction."""

    def once(inner: World) -> T | Repeated:
        return act(inner) if facts.claim_key(inner.db, key, inner.now()) else Repeated()

    return do_together(world, once)
