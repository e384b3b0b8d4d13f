"""Which id a channel's name in roles.toml stands for, remembered for every process."""

from collections.abc import Mapping

from bot.operations._unit import World
from storage import facts


def known_channel(world: World, name: str) -> str | None:
    """The id behind `#name`, or None while nobody has asked Slack."""
    with world.db.reading():
        return facts.get(world.db, f"channel:{name}") or None


def keep_channels(world: World, channels: Mapping[str, str]) -> None:
    """Remembers `{name: id}`; an empty id forgets the name."""
    with world.db.transaction():
        for name, channel in channels.items():
            facts.put(world.db, f"channel:{name}", channel)
