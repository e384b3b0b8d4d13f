"""Small things that Slack said once and every process should know: who we are, which id a channel's name stands for."""

from collections.abc import Mapping

from bot.operations._unit import World
from storage import facts


def known_fact(world: World, name: str) -> str | None:
    """What was kept under that name, or None. Raises StorageUnavailable."""
    with world.db.reading():
        return facts.get(world.db, name) or None


def keep_facts(world: World, found: Mapping[str, str]) -> None:
    """Keeps `{name: value}`; an empty value forgets the name."""
    with world.db.transaction():
        for name, value in found.items():
            facts.put(world.db, name, value)
