"""How much of everything there is right now, for the metrics."""

from dataclasses import dataclass

from bot.operations._unit import World
from storage import grants, outbox


@dataclass(frozen=True, slots=True)
class Counts:
    """`outbox` by queue; `grants` by state, without what is over."""

    outbox: dict[str, int]
    grants: dict[str, int]


def count_state(world: World) -> Counts:
    """Raises StorageUnavailable."""
    with world.db.reading():
        return Counts(outbox.counts(world.db), grants.counts(world.db))
