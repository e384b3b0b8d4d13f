"""The newest time that any process has stored, as far as it shows when that process was running."""

from storage.database import Database


def newest(db: Database) -> int:
    """UTC seconds of the newest audit record, idempotency key, outbox row or look-up of a person; 0 for none."""
    found = db.row(
        "SELECT MAX(at) FROM (SELECT MAX(at) AS at FROM audit UNION ALL SELECT MAX(at) FROM seen "
        "UNION ALL SELECT MAX(created_at) FROM outbox UNION ALL SELECT MAX(checked_at) FROM people) AS times"
    )
    return int(found[0] or 0) if found else 0
