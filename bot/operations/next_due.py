"""When the clock has to act next."""

from bot.operations._unit import World
from storage import grants


def next_due(world: World) -> int | None:
    """The earliest deadline of all rows in UTC seconds, None when nothing waits. Raises StorageUnavailable."""
    with world.db.reading():
        return grants.next_due(world.db)
