"""Records that the audit log was checked and found intact."""

from bot.core.audit import Event
from bot.operations._unit_of_work import Context, unit


def record_verified(world: Context, by: str, records: int) -> None:
    """Records a check; `records` is the number of records in the log. Raises StorageUnavailable."""
    with unit(world) as u:
        u.note(Event.AUDIT_VERIFIED, by, records=records)
