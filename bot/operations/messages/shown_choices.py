"""Stores the newest choice that each open modal shows, for choices that follow each other so fast
that Slack sends the second before it has the answer to the first."""

from bot.operations._unit_of_work import Context, UnitOfWork
from storage import key_values

_KEY = "choice "


def record_choice(world: Context, modal: str, at: str, hash: str) -> None:
    """Stores the hash that the modal has since it shows the choice made at `at`, Slack's
    `action_ts`."""
    with world.db.transaction():
        key_values.put_greater(world.db, _KEY + modal, f"{at} {hash}")


def shown_choice(world: Context, modal: str) -> tuple[str, str]:
    """Returns the time and the hash of the newest choice that the modal shows; two empty strings
    if it shows none."""
    with world.db.reading():
        at, _, hash = (key_values.get(world.db, _KEY + modal) or "").partition(" ")
    return at, hash


def forget_choices(u: UnitOfWork, before: int) -> None:
    """Deletes the choices made before that time."""
    key_values.drop_less(u.db, _KEY, str(before))
