"""Stores sessions by grant, system and the system's name for the session: one row each, however
many reports arrive."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from storage.database import Database

_COLUMNS = "grant_id, system, name, source, opened_at, closed_at, seen_at, watched, used_after_end"


class Row(NamedTuple):
    """Times are UTC seconds. `opened_at` or `closed_at` is None if it was not reported; `seen_at`
    is when the session was last known to be open."""

    grant: str
    system: str
    name: str
    source: str
    opened_at: int | None
    closed_at: int | None
    seen_at: int
    watched: bool
    used_after_end: bool


class Sum(NamedTuple):
    """The sessions of a grant on a system: all, the open ones, the start of the first, and the last
    sight of one."""

    sessions: int
    open: int
    first: int | None
    last: int | None


def open_(db: Database, grant: str, system: str, name: str, source: str, at: int) -> bool:
    """Records that a session was opened; returns False if that was known. Its close may have been
    reported before."""
    sql = (
        f"INSERT INTO sessions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, NULL, ?, 0, 0) ON CONFLICT"
        " (grant_id, system, name) DO UPDATE SET source = excluded.source, opened_at = CASE WHEN"
        " sessions.closed_at < excluded.opened_at THEN sessions.closed_at ELSE excluded.opened_at"
        " END WHERE sessions.opened_at IS NULL"
    )
    return db.run(sql, grant, system, name, source, at, at) == 1


def close(db: Database, grant: str, system: str, name: str, source: str, at: int) -> bool:
    """Records that a session was closed, never before it was opened; returns False if that was
    known."""
    later = (
        "CASE WHEN excluded.closed_at < sessions.{0} THEN sessions.{0} ELSE excluded.closed_at END"
    )
    sql = (
        f"INSERT INTO sessions ({_COLUMNS}) VALUES (?, ?, ?, ?, NULL, ?, ?, 0, 0) "
        "ON CONFLICT (grant_id, system, name) DO UPDATE SET "
        f"closed_at = {later.format('opened_at')}, seen_at = {later.format('seen_at')} "
        "WHERE sessions.closed_at IS NULL"
    )
    return db.run(sql, grant, system, name, source, at, at) == 1


def see(db: Database, rows: Iterable[tuple[str, str, str, str, int]], at: int) -> None:
    """Records that these (grant, system, name, source, opened_at) were open at `at`, also if they
    counted as closed."""
    sql = (
        f"INSERT INTO sessions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, NULL, ?, 1, 0) ON CONFLICT"
        " (grant_id, system, name) DO UPDATE SET watched = 1, opened_at ="
        " COALESCE(sessions.opened_at, excluded.opened_at), closed_at = CASE WHEN"
        " sessions.closed_at < excluded.seen_at THEN NULL ELSE sessions.closed_at END, seen_at ="
        " CASE WHEN sessions.seen_at < excluded.seen_at THEN excluded.seen_at ELSE"
        " sessions.seen_at END"
    )
    db.run_many(sql, [(*row, at) for row in sorted(rows)])


def miss(db: Database, keys: Iterable[tuple[str, str, str]], at: int) -> None:
    """Closes these (grant, system, name), which were not found at `at`."""
    sql = (
        "UPDATE sessions SET closed_at = ? WHERE grant_id = ? AND system = ? AND name = ? "
        "AND closed_at IS NULL AND seen_at < ?"
    )
    db.run_many(sql, [(at, *key, at) for key in sorted(keys)])


def watched_open(db: Database, system: str) -> dict[tuple[str, str], Row]:
    """Returns the sessions that the bot saw open on the system and has not missed yet, by grant and
    name."""
    sql = f"SELECT {_COLUMNS} FROM sessions WHERE system = ? AND closed_at IS NULL AND watched = 1"
    found = [_row(row) for row in db.rows(sql, system)]
    return {(row.grant, row.name): row for row in found}


def mark_used_after_end(db: Database, grant: str, system: str, name: str) -> bool:
    """Marks a session as used after the end of its grant; returns False if it was marked."""
    sql = (
        "UPDATE sessions SET used_after_end = 1 WHERE grant_id = ? AND system = ? AND name = ? AND"
        " used_after_end = 0"
    )
    return db.run(sql, grant, system, name) == 1


def sums(db: Database, grants: Sequence[str]) -> dict[str, dict[str, Sum]]:
    """Returns sums of the sessions of these grants, by grant and system."""
    marks = ", ".join("?" * len(grants))
    sql = (
        "SELECT grant_id, system, COUNT(*), SUM(CASE WHEN closed_at IS NULL THEN 1 ELSE 0 END), "
        "MIN(COALESCE(opened_at, closed_at)), MAX(COALESCE(closed_at, seen_at)) FROM sessions "
        f"WHERE grant_id IN ({marks}) GROUP BY grant_id, system"
    )
    found: dict[str, dict[str, Sum]] = {grant: {} for grant in grants}
    for grant, system, count, still, first, last in db.rows(sql, *grants):
        found[grant][system] = Sum(int(count), int(still), int(first), int(last))
    return found


def sources(db: Database, grant: str, system: str, limit: int) -> list[str]:
    """Returns the source addresses of the sessions, if they were reported."""
    sql = (
        "SELECT DISTINCT source FROM sessions WHERE grant_id = ? AND system = ? AND source <> '' "
        "ORDER BY source LIMIT ?"
    )
    return [str(source) for (source,) in db.rows(sql, grant, system, limit)]


def listing(db: Database, grant: str | None, limit: int) -> list[Row]:
    """Returns sessions, newest first."""
    condition, values = ("WHERE grant_id = ?", [grant]) if grant else ("", [])
    sql = (
        f"SELECT {_COLUMNS} FROM sessions {condition} ORDER BY seen_at DESC, grant_id, system, name"
        " LIMIT ?"
    )
    return [_row(row) for row in db.rows(sql, *values, limit)]


def _row(row: tuple[Any, ...]) -> Row:
    found = Row(*row)
    return found._replace(watched=bool(found.watched), used_after_end=bool(found.used_after_end))


def forget(db: Database, grants: Sequence[str]) -> None:
    """Deletes the sessions of these grants."""
    db.run(f"DELETE FROM sessions WHERE grant_id IN ({', '.join('?' * len(grants))})", *grants)
