"""Leaves word to show a person their App Home as things are then."""

from bot.core import effects
from bot.operations._unit import World, unit


def show_home(world: World, person: str) -> None:
    """Raises StorageUnavailable."""
    with unit(world) as u:
        u.do(effects.publish_home(person))
