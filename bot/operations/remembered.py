"""Stores small values from Slack that every process needs, such as the bot's identity or a
channel's id."""

from collections.abc import Mapping

from bot.operations._unit_of_work import Context
from storage import key_values


def recall(world: Context, name: str) -> str | None:
    """Returns the value stored under that name, or None. Raises StorageUnavailable."""
    with world.db.reading():
        return key_values.get(world.db, name) or None


def remember(world: Context, found: Mapping[str, str]) -> None:
    """Stores `{name: value}`; an empty value deletes the name."""
    with world.db.transaction():
        for name, value in found.items():
            key_values.put(world.db, name, value)
