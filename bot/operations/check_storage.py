"""Whether the database takes a write, and whether the newest audit record was sealed by us. Changes nothing."""

from collections.abc import Callable

from bot.operations._unit import World
from storage import audit, facts


class _Undone(Exception):
    """Rolls the trial back."""


def check_writing(world: World) -> None:
    """Writes something and takes it back. Raises StorageUnavailable when the database doesn't take it."""
    try:
        with world.db.transaction():
            facts.put(world.db, "doctor", str(world.now()))
            raise _Undone
    except _Undone:
        return


def check_head(world: World, sealed: Callable[[str, int, str], bool]) -> tuple[int, str]:
    """The number of the newest audit record, and what is wrong with its seal, or ""."""
    with world.db.reading():
        head = audit.head(world.db)
    if head is None:
        return 0, "the head of the audit log is missing: restore the database from a backup"
    number, digest, seal = head
    if number and not sealed(seal, number, digest):
        return number, "none of ACCESS_SECRET_KEYS has sealed it: a key is missing, or the log was rewritten"
    return number, ""
