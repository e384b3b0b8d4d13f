"""Records that the audit log was checked and found intact, and anchors the checked head."""

from bot.core.anchors import Anchor
from bot.core.audit import Event
from bot.operations._unit_of_work import Context, unit
from bot.operations.audit.anchor_head import anchor_head


def record_verified(world: Context, by: str, records: int, head: str) -> None:
    """Records a check; `records` is the number of records in the log, `head` the hash of the last.
    Raises StorageUnavailable."""
    with unit(world) as u:
        u.note(Event.AUDIT_VERIFIED, by, records=records)
        if records:
            anchor_head(u, Anchor(records, head, u.now), by, "verify")
