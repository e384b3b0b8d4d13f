"""The newest time that any process has stored, as far as it shows when that process was running."""

from storage.database import Database

MARK = "clock_mark"
TOLD = "clock_told"
WRITING_TOLD = "writing_told"


def newest(db: Database) -> int:
    """UTC seconds of the mark, or of the newest audit record, idempotency key or outbox row; 0 for none."""
    found = db.row(
        "SELECT MAX(at) FROM (SELECT MAX(at) AS at FROM audit UNION ALL SELECT MAX(at) FROM seen "
        "UNION ALL SELECT created_at FROM outbox WHERE id = (SELECT MAX(id) FROM outbox) "
        "UNION ALL SELECT CAST(value AS BIGINT) FROM facts WHERE key = ?) AS times",
        MARK,
    )
    return int(found[0] or 0) if found else 0


def mark(db: Database, at: int) -> bool:
    """Keeps the time; False when a later one is kept."""
    return _forward(db, MARK, at, 1)


def claim_told(db: Database, at: int, within: int) -> bool:
    """Takes the right to tell of the clock; False when it was taken within so many seconds."""
    return _forward(db, TOLD, at, within)


def claim_writing_told(db: Database, at: int, since: int) -> bool:
    """Takes the right to tell that an outage is over; False when somebody told it after `since`."""
    return _forward(db, WRITING_TOLD, at, max(1, at - since))


def _forward(db: Database, key: str, at: int, least: int) -> bool:
    sql = (
        "INSERT INTO facts (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value "
        "WHERE CAST(facts.value AS BIGINT) <= CAST(excluded.value AS BIGINT) - ?"
    )
    return db.run(sql, key, str(at), least) == 1
