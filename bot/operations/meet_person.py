"""Somebody joined the workspace: Slack is asked who they are before anything depends on it."""

from bot.core import effects
from bot.operations._unit import World, unit


def meet_person(world: World, person: str) -> None:
    """Raises StorageUnavailable."""
    with unit(world) as u:
        u.do(effects.look_up_person(person))
