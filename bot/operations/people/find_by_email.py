"""Finds the person with an e-mail address, as Slack last described people."""

from bot.core.model import folded
from bot.operations._unit_of_work import Context
from storage import people


def find_by_email(world: Context, email: str) -> str | None:
    """Returns the person's id, or None if nobody with the address may be named in roles.toml.
    Raises StorageUnavailable."""
    with world.db.reading():
        return world.directory().emails.get(folded(email))


def find_anybody_by_email(world: Context, email: str) -> str | None:
    """Like `find_by_email`; if there is nobody, the only one with the address among guests, bots
    and people who have left."""
    if (found := find_by_email(world, email)) is not None:
        return found
    with world.db.reading():
        every = people.addresses(world.db)
    others = [id for id, address in every if folded(address) == folded(email)]
    return others[0] if len(others) == 1 else None
