"""Stores small values from Slack that every process needs, such as the bot's identity or a
channel's id."""

from collections.abc import Mapping

from bot.operations._unit import World
from storage import facts


def known_fact(world: World, name: str) -> str | None:
    """Returns the value stored under that name, or None. Raises StorageUnavailable."""
    with world.db.reading():
        return facts.get(world.db, name) or None


def keep_facts(world: World, found: Mapping[str, str]) -> None:
    """Stores `{name: value}`; an empty value deletes the name."""
    with world.db.transaction():
        for name, value in found.items():
            facts.put(world.db, name, value)
