"""Finds the newest time that any process stored while it was running."""

from storage import key_values, people
from storage.database import Database

MARK = "clock_mark"
CLOCK_REPORTED = "clock_reported"
OUTAGE_REPORTED = "outage_reported"
ACCEPTED = "clock_accepted"
"""Stores the number of the newest audit record at the moment when the clock was accepted although
records were ahead of it."""

_PUT_BACK = (
    "UPDATE seen SET at = ? WHERE at > ?",
    "UPDATE outbox SET due_at = ? WHERE due_at > ?",
    "UPDATE outbox SET created_at = ? WHERE created_at > ?",
    "UPDATE outbox SET claimed_until = ? WHERE claimed_until > ?",
    "UPDATE alerts SET next_at = ? WHERE next_at > ?",
    "UPDATE streams SET moved_at = ? WHERE moved_at > ?",
    "UPDATE streams SET claimed_until = ? WHERE claimed_until > ?",
    "UPDATE repeats SET since = ? WHERE since > ?",
    "UPDATE repeats SET last = ? WHERE last > ?",
    "UPDATE private_answers SET at = ? WHERE at > ?",
    "UPDATE open_homes SET at = ? WHERE at > ?",
)
"""Times that something is measured from, or waits for."""

_ONCE_IN_A_TIME = ("reconcile:", "channels:", "undelivered:")
"""Begin the idempotency keys that name a time; taken in a future that never was, they would be
taken when it comes."""


def newest(db: Database) -> int:
    """Returns the newest UTC second of the mark, the audit records, the idempotency keys and the
    outbox rows; 0 for none. Records older than an accepted clock do not count, because the log
    cannot be changed."""
    found = db.row(
        "SELECT MAX(at) FROM (SELECT (SELECT at FROM audit WHERE +seq > ? ORDER BY at DESC LIMIT 1)"
        " AS at UNION ALL SELECT MAX(at) FROM seen UNION ALL SELECT created_at FROM outbox WHERE id"
        " = (SELECT MAX(id) FROM outbox) UNION ALL SELECT CAST(value AS BIGINT) FROM key_values"
        " WHERE key = ?) AS times",
        int(key_values.get(db, ACCEPTED) or 0),
        MARK,
    )
    return int(found[0] or 0) if found else 0


def mark(db: Database, at: int) -> bool:
    """Stores the time; returns False if a later one is stored."""
    return _forward(db, MARK, at, 1)


def accept(db: Database, at: int) -> None:
    """Accepts `at` as the time although records are later: no stored time that something waits for,
    or is measured from, stays ahead of it. People and groups count as not looked up."""
    found = db.row("SELECT COALESCE(MAX(seq), 0) FROM audit")
    key_values.put(db, ACCEPTED, str(found[0] if found else 0))
    key_values.put(db, MARK, str(at))
    for key in (CLOCK_REPORTED, OUTAGE_REPORTED):
        key_values.drop(db, key)
    for prefix in _ONCE_IN_A_TIME:
        db.run("DELETE FROM seen WHERE at > ? AND substr(key, 1, ?) = ?", at, len(prefix), prefix)
    for statement in _PUT_BACK:
        db.run(statement, at, at)
    people.forget_after(db, at)


def claim_clock_report(db: Database, at: int, within: int) -> bool:
    """Claims the right to report a wrong clock; returns False if it was claimed within `within`
    seconds."""
    return _forward(db, CLOCK_REPORTED, at, within)


def claim_outage_report(db: Database, at: int, since: int) -> bool:
    """Claims the right to report that an outage is over; returns False if that was reported after
    `since`."""
    return _forward(db, OUTAGE_REPORTED, at, max(1, at - since))


def _forward(db: Database, key: str, at: int, least: int) -> bool:
    sql = (
        "INSERT INTO key_values (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value ="
        " excluded.value WHERE CAST(key_values.value AS BIGINT) <= CAST(excluded.value AS BIGINT)"
        " - ?"
    )
    return db.run(sql, key, str(at), least) == 1
