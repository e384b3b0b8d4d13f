"""Stores where access is created before it is created, so that a revocation elsewhere does not
count."""

from bot.operations._unit_of_work import Context
from storage import grants


def record_target(world: Context, grant: str, system: str, target: str) -> None:
    """Stores the target; the first one stays. Raises StorageUnavailable."""
    with world.db.transaction():
        grants.set_target(world.db, grant, system, target)
