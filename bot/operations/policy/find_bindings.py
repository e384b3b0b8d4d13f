"""Reads the ids to which handles and e-mails of roles.toml are bound."""

from collections.abc import Mapping

from bot.operations._unit_of_work import Context
from storage import people


def find_bindings(world: Context) -> Mapping[str, str]:
    """Returns the bindings; e-mails are `folded`. Raises StorageUnavailable."""
    with world.db.reading():
        return people.bindings(world.db)
