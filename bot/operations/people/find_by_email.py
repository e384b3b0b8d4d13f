"""Finds the person with an e-mail address, as Slack last described people."""

from bot.core.model import folded
from bot.operations._unit_of_work import Context


def find_by_email(world: Context, email: str) -> str | None:
    """Returns the person's id, or None if nobody in the workspace has the address. Raises
    StorageUnavailable."""
    with world.db.reading():
        return world.directory().emails.get(folded(email))
