"""What was really used: checks by grant, system, source, minute and outcome, and when each grant was first used."""

from collections.abc import Iterable
from typing import NamedTuple

from storage.database import Database


class Count(NamedTuple):
    """`minute` is UTC seconds of the minute's start, `outcome` is `allowed` or why it was refused."""

    grant: str
    system: str
    source: str
    minute: int
    outcome: str
    checks: int
    last_at: int


def add(db: Database, counts: Iterable[Count]) -> None:
    """Adds to what is counted already."""
    sql = (
        "INSERT INTO usage (grant_id, system, source, minute, outcome, count, last_at) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (grant_id, system, source, minute, outcome) DO UPDATE SET "
        "count = usage.count + excluded.count, "
        "last_at = CASE WHEN usage.last_at > excluded.last_at THEN usage.last_at ELSE excluded.last_at END"
    )
    db.run_many(sql, sorted(counts))


def first(db: Database, grant: str, system: str, at: int) -> bool:
    """True the first time ever that the grant is used on the system."""
    sql = "INSERT INTO first_uses (grant_id, system, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    return db.run(sql, grant, system, at) == 1


def of_grant(db: Database, grant: str) -> list[Count]:
    return listing(db, grant, 10_000)


def listing(db: Database, grant: str | None, limit: int) -> list[Count]:
    """Newest minutes first."""
    condition, values = ("WHERE grant_id = ?", [grant]) if grant else ("", [])
    sql = (
        f"SELECT grant_id, system, source, minute, outcome, count, last_at FROM usage {condition} "
        "ORDER BY minute DESC, grant_id, system, source, outcome LIMIT ?"
    )
    return [Count(*row) for row in db.rows(sql, *values, limit)]


def was_used(db: Database, grant: str, system: str) -> bool:
    return db.row("SELECT 1 FROM first_uses WHERE grant_id = ? AND system = ?", grant, system) is not None
