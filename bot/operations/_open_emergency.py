"""Returns whether a person has an open emergency, which stops auto-approval for them."""

from bot.operations._unit_of_work import Snapshot
from storage import emergencies


def has_open_emergency(u: Snapshot, person: str) -> bool:
    """Whether the review of an emergency of this person is not signed yet."""
    return bool(emergencies.open_of(u.db, person))
