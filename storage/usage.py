"""Stores use: checks by grant, system, source, minute, outcome and way in, and when each grant was
first used."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from storage.database import Database


class Count(NamedTuple):
    """`minute` is the UTC second at which the minute starts, `outcome` is `allowed` or the reason
    for a refusal, `how` is `token` or `browser`."""

    grant: str
    system: str
    source: str
    minute: int
    outcome: str
    how: str
    checks: int
    last_at: int


class Sum(NamedTuple):
    """Checks allowed and refused, the minute of the first and the second of the last allowed
    check."""

    allowed: int
    refused: int
    first: int | None
    last: int | None


def add(db: Database, counts: Iterable[Count]) -> None:
    """Adds to the stored counts."""
    sql = (
        "INSERT INTO usage (grant_id, system, source, minute, outcome, how, count, last_at) VALUES"
        " (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (grant_id, system, source, minute, outcome, how) DO"
        " UPDATE SET count = usage.count + excluded.count, last_at = CASE WHEN usage.last_at >"
        " excluded.last_at THEN usage.last_at ELSE excluded.last_at END"
    )
    db.run_many(sql, sorted(counts))


def first(db: Database, grant: str, system: str, at: int) -> bool:
    """Returns True the first time that the grant is used on the system."""
    sql = "INSERT INTO first_uses (grant_id, system, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    return db.run(sql, grant, system, at) == 1


def sums(db: Database, grants: Sequence[str]) -> dict[str, dict[str, Sum]]:
    """Returns the counts of these grants, by grant and system."""
    allowed = "CASE WHEN outcome = 'allowed' THEN {} END"
    marks = ", ".join("?" * len(grants))
    sql = (
        f"SELECT grant_id, system, COALESCE(SUM({allowed.format('count')}), 0), SUM(count),"
        f" MIN({allowed.format('minute')}), MAX({allowed.format('last_at')}) FROM usage WHERE"
        f" grant_id IN ({marks}) GROUP BY grant_id, system"
    )
    found: dict[str, dict[str, Sum]] = {grant: {} for grant in grants}
    for grant, system, through, checks, first_minute, last_at in db.rows(sql, *grants):
        found[grant][system] = Sum(int(through), int(checks) - int(through), first_minute, last_at)
    return found


def sources(db: Database, grant: str, system: str, limit: int) -> list[str]:
    """Returns the source addresses from which the grant was used on the system."""
    sql = (
        "SELECT DISTINCT source FROM usage WHERE grant_id = ? AND system = ? AND outcome ="
        " 'allowed' ORDER BY source LIMIT ?"
    )
    return [str(source) for (source,) in db.rows(sql, grant, system, limit)]


def ways_in(db: Database, grant: str, system: str) -> list[str]:
    """Returns how the grant was used on the system: `token`, `browser` or both."""
    sql = (
        "SELECT DISTINCT how FROM usage WHERE grant_id = ? AND system = ? AND outcome = 'allowed'"
        " AND how <> '' ORDER BY how"
    )
    return [str(how) for (how,) in db.rows(sql, grant, system)]


def listing(db: Database, grant: str | None, limit: int) -> list[Count]:
    """Returns counts, newest minutes first."""
    condition, values = ("WHERE grant_id = ?", [grant]) if grant else ("", [])
    sql = (
        "SELECT grant_id, system, source, minute, outcome, how, count, last_at FROM usage"
        f" {condition} ORDER BY minute DESC, grant_id, system, source, outcome, how LIMIT ?"
    )
    return [Count(*row) for row in db.rows(sql, *values, limit)]


def used_on(db: Database, grants: Sequence[str]) -> set[tuple[str, str]]:
    """Returns the pairs of grant and system with use, of these grants."""
    marks = ", ".join("?" * len(grants))
    sql = f"SELECT grant_id, system FROM first_uses WHERE grant_id IN ({marks})"
    return {(str(grant), str(system)) for grant, system in db.rows(sql, *grants)}


def was_used(db: Database, grant: str, system: str) -> bool:
    return (
        db.row("SELECT 1 FROM first_uses WHERE grant_id = ? AND system = ?", grant, system)
        is not None
    )


def old(db: Database, before: int) -> list[str]:
    """Returns the ended grants that were summed up in the log, were last used before that time, and
    have details of their use left."""
    sql = (
        f"SELECT g.id FROM grants g WHERE {_OVER} AND COALESCE(g.ended_at, g.ends_at) < ?"
        f" AND ({_DETAILED})"
        " AND NOT EXISTS (SELECT 1 FROM usage u WHERE u.grant_id = g.id AND u.last_at >= ?)"
        " AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.grant_id = g.id AND s.seen_at >= ?)"
        " ORDER BY g.id"
    )
    return [str(grant) for (grant,) in db.rows(sql, before, before, before)]


def detailed_of(db: Database, person: str) -> list[str]:
    """Returns the ended grants of a person that were summed up and have details left."""
    sql = f"SELECT g.id FROM grants g WHERE g.person = ? AND {_OVER} AND ({_DETAILED})"
    return [str(grant) for (grant,) in db.rows(sql, person)]


_OVER = (
    "g.state IN ('ended', 'failed') AND EXISTS (SELECT 1 FROM audit a WHERE a.\"grant\" = g.id AND"
    " a.event = 'grant:use:summed')"
)
_DETAILED = (
    "EXISTS (SELECT 1 FROM usage u WHERE u.grant_id = g.id AND u.source <> 'summed')"
    " OR EXISTS (SELECT 1 FROM sessions s WHERE s.grant_id = g.id)"
    " OR EXISTS (SELECT 1 FROM recorded_paths p WHERE p.grant_id = g.id)"
)


def forget(db: Database, grants: Sequence[str]) -> None:
    """Deletes the counts of these grants."""
    db.run(f"DELETE FROM usage WHERE grant_id IN ({', '.join('?' * len(grants))})", *grants)
