"""That somebody had the audit log checked and it was found whole. A broken one is left as it was found."""

from bot.core.audit import Event
from bot.operations._unit import World, unit


def record_verified(world: World, by: str, records: int) -> None:
    """`records` is how many there were. Raises StorageUnavailable."""
    with unit(world) as u:
        u.note(Event.AUDIT_VERIFIED, by, records=records)
