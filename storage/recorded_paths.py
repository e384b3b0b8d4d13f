"""Stores the paths of checked requests, by grant, system, method and path, up to a limit for each
grant."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from bot.core.audit import Event
from bot.core.recorded_paths import beyond_limit
from storage.database import Database, Reads

UNKNOWN = "unknown"
"""Stands for requests without a common method."""


class PathCount(NamedTuple):
    """Checks allowed and refused, and the first and last of them. Method and path are those of
    `core/recorded_paths.py`."""

    grant: str
    system: str
    method: str
    path: str
    allowed: int
    refused: int
    first_at: int
    last_at: int


def add(db: Database, counts: Iterable[PathCount], most: int) -> None:
    """Adds to the stored counts in the running transaction. A grant keeps at most `most` paths,
    however many processes count: checks of further ones count together, by method."""
    for grant, found in groupby(sorted(counts), key=lambda count: count.grant):
        db.lock(f"paths of {grant}")
        new = list(found)
        db.run_many(_ADD, new if _number(db, grant) + len(new) <= most else _within(db, new, most))


def _within(db: Database, new: Sequence[PathCount], most: int) -> Iterator[PathCount]:
    """Yields these counts of one grant, those of paths beyond the limit together, by method."""
    known = _known(db, new[0].grant)
    for count in new:
        key = count.system, count.method, count.path
        if key in known or len(known) < most:
            known.add(key)
            yield count
        else:
            method, path = beyond_limit(count.method)
            yield count._replace(method=method, path=path)


_ADD = (
    "INSERT INTO recorded_paths (grant_id, system, method, path, allowed, refused, first_at,"
    " last_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (grant_id, system, method, path) DO"
    " UPDATE SET allowed = recorded_paths.allowed + excluded.allowed,"
    " refused = recorded_paths.refused + excluded.refused,"
    " first_at = CASE WHEN recorded_paths.first_at < excluded.first_at THEN recorded_paths.first_at"
    " ELSE excluded.first_at END, last_at = CASE WHEN recorded_paths.last_at > excluded.last_at"
    " THEN recorded_paths.last_at ELSE excluded.last_at END"
)


def _number(db: Database, grant: str) -> int:
    found = db.row("SELECT COUNT(*) FROM recorded_paths WHERE grant_id = ?", grant)
    return int(found[0]) if found else 0


def _known(db: Database, grant: str) -> set[tuple[str, str, str]]:
    sql = "SELECT system, method, path FROM recorded_paths WHERE grant_id = ?"
    return {(system, method, path) for system, method, path in db.rows(sql, grant)}


def listing(db: Database, grant: str, limit: int) -> list[PathCount]:
    """Returns the paths of a grant, last used first."""
    sql = (
        "SELECT grant_id, system, method, path, allowed, refused, first_at, last_at FROM"
        " recorded_paths WHERE grant_id = ? ORDER BY last_at DESC, system, path, method LIMIT ?"
    )
    return [PathCount(*row) for row in db.rows(sql, grant, limit)]


def numbers(db: Database, grants: Sequence[str]) -> dict[tuple[str, str], dict[str, int]]:
    """Returns how many allowed checks these grants had with each method, by grant and system."""
    marks = ", ".join("?" * len(grants))
    sql = (
        "SELECT grant_id, system, method, SUM(allowed) FROM recorded_paths WHERE grant_id IN"
        f" ({marks}) GROUP BY grant_id, system, method ORDER BY method"
    )
    found: dict[tuple[str, str], dict[str, int]] = {}
    for grant, system, method, allowed in db.rows(sql, *grants):
        found.setdefault((grant, system), {})[method or UNKNOWN] = int(allowed)
    return found


def used(db: Reads, grant: str, system: str) -> list[tuple[str, str, int]]:
    """Returns method, path and number of allowed checks of each path that the grant used there."""
    sql = (
        "SELECT method, path, allowed FROM recorded_paths WHERE grant_id = ? AND system = ? AND"
        " allowed > 0"
    )
    return [(str(row[0]), str(row[1]), int(row[2])) for row in db.rows(sql, grant, system)]


def are_kept(db: Reads, grant: str, summed: str) -> bool:
    """Returns whether the details of the grant's use were neither archived nor replaced by sums,
    whose source is `summed`."""
    sql = (
        "SELECT 1 FROM grants g WHERE g.id = ? AND NOT EXISTS"
        " (SELECT 1 FROM usage u WHERE u.grant_id = g.id AND u.source = ?)"
    )
    return db.row(sql, grant, summed) is not None


def summed(db: Reads) -> Iterator[tuple[int, str, str, str]]:
    """Yields number, grant, system and detail of each record that sums up use with paths."""
    sql = (
        'SELECT seq, "grant", system, detail FROM audit WHERE event = ? AND detail LIKE ?'
        " ORDER BY at, seq"
    )
    for seq, grant, system, detail in db.stream(sql, Event.USE_SUMMED, '%"paths"%'):
        yield int(seq), str(grant), str(system), str(detail)


def forget(db: Database, grants: Sequence[str]) -> None:
    """Deletes the paths of these grants."""
    marks = ", ".join("?" * len(grants))
    db.run(f"DELETE FROM recorded_paths WHERE grant_id IN ({marks})", *grants)
