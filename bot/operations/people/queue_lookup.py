"""Queues a look-up of a person who joined the workspace, before anything depends on it."""

from bot.core import effects
from bot.operations._unit_of_work import Context, unit


def queue_lookup(world: Context, person: str) -> None:
    """Queues the look-up. Raises StorageUnavailable."""
    with unit(world) as u:
        u.do(effects.look_up_person(person))
