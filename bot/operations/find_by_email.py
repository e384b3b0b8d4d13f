"""Whom an e-mail address stands for, as Slack last described people."""

from bot.core.model import folded
from bot.operations._unit import World


def find_by_email(world: World, email: str) -> str | None:
    """The person's id, or None for an address that nobody here has. Raises StorageUnavailable."""
    with world.db.reading():
        return world.directory().emails.get(folded(email))
