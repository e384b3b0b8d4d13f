"""Finds where the audit log may be cut, and deletes records that were archived, with the rows of
their requests."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bot.core.audit import Event, parsed_detail
from bot.core.audit_ramps import RAMP_EVENTS
from bot.core.retention import Archived, archived_in
from storage.audit import COLUMN_LIST
from storage.database import Database, Reads
from storage.ramps import IS_OPEN

_OF_REQUESTS = (
    "votes",
    "judgements",
    "preapproval_uses",
    "pings",
    "emergencies",
    "messages",
    "direct_notes",
)
_OF_GRANTS = (
    "leases",
    "gates",
    "tokens",
    "browser_codes",
    "browser_sessions",
    "renewals",
    "feedback",
    "ramp_grants",
    "usage",
    "recorded_paths",
    "first_uses",
    "sessions",
    "memberships",
    "ssh_access",
    "ssh_certificates",
    "alerts",
    "alert_messages",
    "direct_notes",
)


class Span(NamedTuple):
    """The first record that exists, the hash before it, and the last one."""

    first: int
    prev: str
    last: int


def span(db: Reads) -> Span | None:
    """Returns the records that the log has now; None for an empty log."""
    found = db.row("SELECT seq, prev, (SELECT MAX(seq) FROM audit) FROM audit ORDER BY seq LIMIT 1")
    return Span(int(found[0]), str(found[1]), int(found[2])) if found else None


def newest(db: Reads) -> Archived | None:
    """Returns the part of the log that the newest archive took out, according to its record."""
    found = db.row(
        "SELECT seq, detail FROM audit WHERE event = ? ORDER BY at DESC, seq DESC LIMIT 1",
        Event.AUDIT_ARCHIVED,
    )
    return archived_in(int(found[0]), str(found[1])) if found else None


def policy_at(db: Reads, last: int) -> dict[str, Any]:
    """Returns the roles.toml that was in force at record `last`, as `Archived.policy`."""
    found = db.row(
        "SELECT seq, at, detail FROM audit WHERE event = ? AND seq <= ? AND detail LIKE ? ORDER BY"
        " at DESC, seq DESC LIMIT 1",
        Event.POLICY_LOADED,
        last,
        '%"text":%',
    )
    if found is None:
        return dict(before.policy) if (before := newest(db)) else {}
    seq, at, detail = found
    content = parsed_detail(detail)
    kept = {name: content[name] for name in ("text", "sha256", "revision") if name in content}
    return {"seq": int(seq), "at": int(at), **kept}


def last_before(db: Reads, at: int) -> int:
    """Returns the last record of which it and all records before it are older than that time."""
    found = db.row("SELECT MIN(seq) FROM audit WHERE at >= ?", at)
    if found and found[0] is not None:
        return int(found[0]) - 1
    here = span(db)
    return here.last if here else 0


def first_needed(db: Reads, last: int, since: int) -> int | None:
    """Returns the first record up to `last` that is about a request that is not over, or that has a
    record from `since` on; also the record of a delegation that holds, and those of onboardings
    since the first one that is not over was planned. None if there is none."""
    needed = [
        db.row(f"SELECT MIN(seq) FROM audit WHERE seq <= ? AND request IN ({sql})", last, *values)
        for sql, values in (
            ("SELECT id FROM requests WHERE state = 'pending'", []),
            ("SELECT request_id FROM grants WHERE state NOT IN ('ended', 'failed')", []),
            ("SELECT request_id FROM emergencies WHERE signed_at IS NULL", []),
            ("SELECT request FROM audit WHERE at >= ? AND request > ''", [since]),
        )
    ]
    needed.append(
        db.row(
            "SELECT MIN(seq) FROM (SELECT MAX(a.seq) AS seq FROM delegations d JOIN audit a ON"
            " a.actor = d.giver AND a.event = ? GROUP BY d.giver) AS given WHERE seq <= ?",
            Event.DELEGATION_GIVEN,
            last,
        )
    )
    since_plan = ", ".join("?" * len(RAMP_EVENTS))
    needed.append(
        db.row(
            f"SELECT MIN(seq) FROM audit WHERE seq <= ? AND event IN ({since_plan}) AND at >="
            f" (SELECT MIN(planned_at) FROM ramps WHERE {IS_OPEN})",
            last,
            *RAMP_EVENTS,
        )
    )
    found = [int(row[0]) for row in needed if row and row[0] is not None]
    return min(found, default=None)


def begun(db: Reads, last: int) -> list[str]:
    """Returns the requests that have records up to `last` and later ones."""
    sql = (
        "SELECT DISTINCT request FROM audit WHERE seq <= ? AND request > '' AND request IN"
        " (SELECT request FROM audit WHERE seq > ?) ORDER BY request"
    )
    return [str(request) for (request,) in db.rows(sql, last, last)]


def begun_since(db: Reads, last: int, head: int) -> list[str]:
    """Returns the requests of records after `head` that have records up to `last`, too."""
    sql = (
        "SELECT DISTINCT a.request FROM audit a WHERE a.seq > ? AND a.request > '' AND EXISTS"
        " (SELECT 1 FROM audit b WHERE b.request = a.request AND b.seq <= ?)"
    )
    return [str(request) for (request,) in db.rows(sql, head, last)]


def still_named(db: Reads, requests: Sequence[str], last: int) -> list[str]:
    """Returns those of these requests that records after `last` are about."""
    return [
        request
        for request in requests
        if db.row("SELECT 1 FROM audit WHERE request = ? AND seq > ? LIMIT 1", request, last)
    ]


def records(db: Reads, last: int) -> Iterator[tuple[Any, ...]]:
    """Yields the records up to `last`, oldest first."""
    return db.stream(f"SELECT {COLUMN_LIST} FROM audit WHERE seq <= ? ORDER BY seq", last)


def delete_some(db: Database, last: int, limit: int) -> int:
    """Deletes the oldest records up to `last`, at most `limit`, and the rows of their requests;
    returns their number. The log allows that only for records that are on record as archived."""
    found = db.rows(
        "SELECT seq, request FROM audit WHERE seq <= ? ORDER BY seq LIMIT ?", last, limit
    )
    if not found:
        return 0
    requests = sorted({str(request) for _, request in found if request})
    if requests:
        _delete_requests(db, requests)
    db.run("DELETE FROM audit WHERE seq <= ?", int(found[-1][0]))
    return len(found)


def _delete_requests(db: Database, requests: Sequence[str]) -> None:
    some = ", ".join("?" * len(requests))
    grants = f"SELECT id FROM grants WHERE request_id IN ({some})"
    for table in _OF_GRANTS:
        db.run(f"DELETE FROM {table} WHERE grant_id IN ({grants})", *requests)
    for table in _OF_REQUESTS:
        db.run(f"DELETE FROM {table} WHERE request_id IN ({some})", *requests)
    db.run(f"DELETE FROM grants WHERE request_id IN ({some})", *requests)
    db.run(f"DELETE FROM requests WHERE id IN ({some})", *requests)
