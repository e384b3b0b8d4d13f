"""Stores the renewals that nobody had to approve, so that they can be counted."""

from storage.database import Database


def add(db: Database, grant: str, number: int, person: str, role: str, at: int) -> None:
    """Stores the renewal of this number of the grant."""
    sql = "INSERT INTO renewals (grant_id, number, person, role, at) VALUES (?, ?, ?, ?, ?)"
    db.run(sql, grant, number, person, role, at)


def count(db: Database, person: str, role: str, since: int) -> int:
    """Counts the renewals of this role by this person at `since` or later."""
    sql = "SELECT COUNT(*) FROM renewals WHERE person = ? AND role = ? AND at >= ?"
    found = db.row(sql, person, role, since)
    return int(found[0]) if found else 0


def forget(db: Database, before: int) -> None:
    """Deletes the renewals before `before`, which no quota counts."""
    db.run("DELETE FROM renewals WHERE at < ?", before)
