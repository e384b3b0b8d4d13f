"""Stores where systems and our rows differed at the last comparison, and lists the leases to
compare."""

from collections.abc import Collection, Sequence
from dataclasses import astuple
from typing import Any

from bot.core.drift import Finding, What
from bot.core.model import GrantState, Lease
from storage.database import Database

_COLUMNS = "system, what, name, grant_id, detail, id"


def get(db: Database, finding: str) -> Finding | None:
    return next(
        iter(_many(db.rows(f"SELECT {_COLUMNS} FROM findings WHERE id = ?", finding))), None
    )


def of_system(db: Database, system: str) -> list[Finding]:
    return _many(
        db.rows(f"SELECT {_COLUMNS} FROM findings WHERE system = ? ORDER BY what, name, id", system)
    )


def every(db: Database) -> list[Finding]:
    return _many(db.rows(f"SELECT {_COLUMNS} FROM findings ORDER BY system, what, name, id"))


def add(db: Database, finding: Finding, at: int) -> bool:
    """Stores a finding; returns False if it was known."""
    sql = (
        f"INSERT INTO findings ({_COLUMNS}, found_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO"
        " NOTHING"
    )
    return db.run(sql, *astuple(finding), at) == 1


def drop(db: Database, ids: Collection[str]) -> None:
    db.run_many("DELETE FROM findings WHERE id = ?", [(finding,) for finding in ids])


def leases_at(db: Database, system: str, since: int, limit: int) -> list[Lease]:
    """Returns the leases on this system of grants that are not over, and the latest of those that
    ended since `since`."""
    live = f"{_LEASES} AND g.state NOT IN ('ended', 'failed')"
    over = f"{_LEASES} AND g.ended_at >= ? ORDER BY g.ended_at DESC LIMIT ?"
    return _leases([*db.rows(live, system), *db.rows(over, system, since, limit)])


def leases_of(db: Database, system: str, ids: Sequence[str]) -> list[Lease]:
    """Returns the leases of these grants on this system, however old."""
    marks = ", ".join("?" * len(ids))
    return _leases(db.rows(f"{_LEASES} AND g.id IN ({marks})", system, *ids)) if ids else []


def places(db: Database, since: int) -> list[tuple[str, str]]:
    """Returns every system, with its kind of connector, that has a grant which is not over or ended
    since `since`."""
    sql = (
        "SELECT DISTINCT l.system, l.connector FROM grants g JOIN leases l ON l.grant_id = g.id "
        "WHERE g.ended_at IS NULL OR g.ended_at >= ? ORDER BY l.system, l.connector"
    )
    return [(str(system), str(kind)) for system, kind in db.rows(sql, since)]


_LEASES = (
    "SELECT l.grant_id, l.system, l.connector, l.state, l.error FROM grants g JOIN leases l ON"
    " l.grant_id = g.id WHERE l.system = ?"
)


def _leases(rows: Sequence[tuple[Any, ...]]) -> list[Lease]:
    return [
        Lease(grant, system, kind, GrantState(state), error)
        for grant, system, kind, state, error in rows
    ]


def _many(rows: Sequence[tuple[Any, ...]]) -> list[Finding]:
    return [
        Finding(system, What(what), name, grant, detail, id)
        for system, what, name, grant, detail, id in rows
    ]
