"""Counts repeats of audit records, by the key of the first."""

from dataclasses import dataclass

from storage.database import Database


@dataclass(frozen=True, slots=True)
class Repeats:
    """`times` counts the repeats of `entry` between `since` (its first record) and `last`."""

    entry: str
    since: int
    last: int
    times: int


def count(db: Database, key: str, since: int, now: int) -> bool:
    """Counts a repeat; returns False if no record with this key started after `since`."""
    sql = "UPDATE repeats SET times = times + 1, last = ? WHERE key = ? AND since > ?"
    return db.run(sql, now, key, since) == 1


def of_caller(db: Database, caller: str, since: int) -> int:
    """Returns how many keys of this caller started after `since`."""
    found = db.row("SELECT COUNT(*) FROM repeats WHERE caller = ? AND since > ?", caller, since)
    return int(found[0]) if found else 0


def take(db: Database, key: str) -> Repeats | None:
    """Removes and returns the count of this key."""
    sql = f"SELECT entry, since, last, times FROM repeats WHERE key = ?{db.lock_row}"
    found = db.row(sql, key)
    db.run("DELETE FROM repeats WHERE key = ?", key)
    return Repeats(*found) if found else None


def begin(db: Database, key: str, caller: str, entry: str, now: int) -> bool:
    """Starts a count; returns False if another transaction has started one with the same key
    meanwhile."""
    sql = (
        "INSERT INTO repeats (key, caller, since, last, times, entry) VALUES (?, ?, ?, ?, 0, ?) "
        "ON CONFLICT (key) DO NOTHING"
    )
    return db.run(sql, key, caller, now, now, entry) == 1


def take_before(db: Database, since: int, limit: int) -> list[Repeats]:
    """Removes and returns counts that started by `since`, oldest first."""
    sql = (
        "SELECT key, entry, since, last, times FROM repeats WHERE since <= ? "
        f"ORDER BY since, key LIMIT ?{db.skip_locked}"
    )
    found = db.rows(sql, since, limit)
    if found:
        marks = ", ".join("?" * len(found))
        db.run(f"DELETE FROM repeats WHERE key IN ({marks})", *(row[0] for row in found))
    return [Repeats(*row[1:]) for row in found]


def any_before(db: Database, since: int) -> bool:
    """Returns whether a count started by `since`."""
    return db.row("SELECT 1 FROM repeats WHERE since <= ? LIMIT 1", since) is not None
