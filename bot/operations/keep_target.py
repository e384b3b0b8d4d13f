"""The place that access is made in: noted before it is made, so that nothing elsewhere is taken for its end."""

from bot.operations._unit import World
from storage import grants


def keep_target(world: World, grant: str, system: str, target: str) -> None:
    """The first one stays. Raises StorageUnavailable."""
    with world.db.transaction():
        grants.set_target(world.db, grant, system, target)
