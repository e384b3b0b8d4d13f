"""Reads the rows for the folder of evidence, one by one, as they were at one moment."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from bot.core.audit import COLUMNS, Event, Record
from storage import archives
from storage.database import Reads

Rows = Iterator[tuple[Any, ...]]

_RECORD = ", ".join(f'a."{name}"' if name == "grant" else f"a.{name}" for name in COLUMNS)

REQUESTS = (
    "a.seq, a.at, r.id, r.requester, r.role, r.systems, r.actions, r.duration, r.reason, r.ticket,"
    " r.renews, r.state, r.decided_at, r.decided_by, r.decision_reason, r.urgency, r.program,"
    " r.parameters"
)
_APPROVED = (
    "(SELECT MIN(a.seq) FROM audit a WHERE a.request = r.id AND a.at = r.decided_at AND a.event IN"
    f" ('{Event.APPROVAL_GIVEN}', '{Event.EMERGENCY_STARTED}'))"
)
GRANTS = (
    f"{_APPROVED}, g.id, g.request_id, g.person, g.role, g.systems, g.actions, g.state,"
    f" g.starts_at, g.ends_at,"
    " g.started_at, g.ended_at, g.renewals, g.end_reason, g.end_by, r.decided_at, r.decided_by,"
    " r.reason, r.ticket, g.urgency, g.parameters"
)
_FROM_GRANTS = "FROM grants g JOIN requests r ON r.id = g.request_id"
_IN_FORCE = "r.decided_at < ? AND (g.ended_at IS NULL OR g.ended_at >= ?)"


def requests(db: Reads, start: int, end: int) -> Rows:
    """The requests that were made from `start` until before `end`, in the order of the log, in the
    columns REQUESTS."""
    return db.stream(
        f"SELECT {REQUESTS} FROM audit a JOIN requests r ON r.id = a.request WHERE a.event = ?"
        " AND a.at >= ? AND a.at < ? ORDER BY a.at, a.seq",
        Event.REQUEST_ASKED,
        start,
        end,
    )


def grants(db: Reads, start: int, end: int) -> Rows:
    """The grants that had been approved before `end` and had not ended before `start`, in the
    columns GRANTS."""
    sql = f"SELECT {GRANTS} {_FROM_GRANTS} WHERE {_IN_FORCE} ORDER BY r.decided_at, g.id"
    return db.stream(f"{sql}{db.collate_bytes}", end, start)


def grants_of(db: Reads, start: int, end: int, roles: Sequence[str]) -> Rows:
    """Those of these roles, in the same columns and order."""
    marks = ", ".join("?" * len(roles))
    sql = f"SELECT {GRANTS} {_FROM_GRANTS} WHERE {_IN_FORCE} AND g.role IN ({marks})"
    return db.stream(f"{sql} ORDER BY r.decided_at, g.id{db.collate_bytes}", end, start, *roles)


def held_at(db: Reads, at: int) -> Rows:
    """The grants that somebody had at this moment, in the columns GRANTS."""
    return db.stream(
        f"SELECT {GRANTS} {_FROM_GRANTS} WHERE g.started_at <= ? AND"
        " (g.ended_at IS NULL OR g.ended_at > ?) ORDER BY g.person, g.role, g.id",
        at,
        at,
    )


def ends(db: Reads, start: int, end: int) -> Rows:
    """The ends that began, were confirmed, or were due in the period: grant, person, role, system,
    the record that asked for the end (number, time, actor, reason, detail) and the last record that
    confirms it (number, time, detail; empty if there is none, or if the access is there again)."""
    return db.stream(
        "SELECT l.grant_id, g.person, g.role, l.system, a.seq, a.at, a.actor, a.reason, a.detail,"
        " e.seq, e.at, e.detail FROM audit a"
        ' JOIN leases l ON l.grant_id = a."grant" JOIN grants g ON g.id = l.grant_id'
        " LEFT JOIN audit e ON l.state = 'ended' AND e.seq = (SELECT MAX(x.seq) FROM audit x WHERE"
        ' x."grant" = l.grant_id AND x.event = ? AND x.system = l.system)'
        " WHERE a.event = ? AND a.at < ? AND (e.at IS NULL OR e.at >= ?)"
        " ORDER BY a.at, a.seq, l.system",
        Event.GRANT_ENDED,
        Event.END_ASKED,
        end,
        start,
    )


def leavers(db: Reads, start: int, end: int) -> Rows:
    """The people whose accounts were found deactivated in the period: id, name, e-mail, that time,
    the end of their last access, the number of their grants that have not ended, and whether the
    account is active again. Access after they came back does not count."""
    theirs = "g.person = p.id AND (p.deleted = 1 OR g.started_at <= p.left_at)"
    return db.stream(
        "SELECT p.id, p.name, p.email, p.left_at,"
        f" (SELECT MAX(g.ended_at) FROM grants g WHERE {theirs}),"
        f" (SELECT COUNT(*) FROM grants g WHERE {theirs} AND g.started_at IS NOT NULL"
        " AND (g.ended_at IS NULL OR EXISTS (SELECT 1 FROM leases l WHERE l.grant_id = g.id AND"
        " l.state = 'ending'))), p.deleted = 0 FROM people p"
        " WHERE p.left_at >= ? AND p.left_at < ? ORDER BY p.left_at, p.id",
        start,
        end,
    )


def emergencies(db: Reads, start: int, end: int) -> Rows:
    """The emergencies that started in the period, or whose review was signed in it."""
    return db.stream(
        "SELECT e.request_id, e.grant_id, e.person, e.role, e.urgency, e.declared_by, e.alone,"
        " e.started_at, g.ended_at, r.reason, e.signed_at, e.signed_by, e.conclusion"
        " FROM emergencies e JOIN requests r ON r.id = e.request_id"
        " LEFT JOIN grants g ON g.id = e.grant_id"
        " WHERE e.started_at < ? AND (e.started_at >= ? OR e.signed_at >= ? OR e.signed_at IS NULL)"
        " ORDER BY e.started_at, e.request_id",
        end,
        start,
        start,
    )


def uses(db: Reads, grant: str) -> dict[str, str]:
    """The detail of the last record that sums up the use of a grant, by system."""
    sql = 'SELECT system, detail FROM audit WHERE "grant" = ? AND event = ? ORDER BY at, seq'
    return {str(system): str(detail) for system, detail in db.rows(sql, grant, Event.USE_SUMMED)}


def sums_of_use(db: Reads, grant: str, system: str) -> list[tuple[int, str]]:
    """Number and detail of the records that sum up the use of a grant on a system, oldest first."""
    sql = (
        'SELECT seq, detail FROM audit WHERE "grant" = ? AND event = ? AND system = ?'
        " ORDER BY at, seq"
    )
    return [(int(seq), str(text)) for seq, text in db.rows(sql, grant, Event.USE_SUMMED, system)]


def paths(db: Reads, start: int, end: int) -> Rows:
    """The recorded paths that were requested in the period: grant, person, role, system, method,
    path, checks allowed and refused, the first and the last of them."""
    return db.stream(
        "SELECT p.grant_id, g.person, g.role, p.system, p.method, p.path, p.allowed, p.refused,"
        " p.first_at, p.last_at FROM recorded_paths p JOIN grants g ON g.id = p.grant_id"
        " WHERE p.first_at < ? AND p.last_at >= ?"
        f" ORDER BY p.grant_id{db.collate_bytes}, p.system, p.first_at, p.path, p.method",
        end,
        start,
    )


def decisions(db: Reads, start: int, end: int) -> Rows:
    """The votes and approvals of the period whose record has the requester as its actor or in its
    detail: number, time, event, actor, requester, role, request, reason, detail."""
    return db.stream(
        "SELECT a.seq, a.at, a.event, a.actor, r.requester, a.role, a.request, a.reason, a.detail"
        " FROM audit a JOIN requests r ON r.id = a.request"
        " WHERE a.event IN (?, ?) AND a.at >= ? AND a.at < ?"
        " AND (a.actor = r.requester OR a.detail LIKE '%' || r.requester || '%')"
        " ORDER BY a.at, a.seq",
        Event.VOTE_GIVEN,
        Event.APPROVAL_GIVEN,
        start,
        end,
    )


def policies(db: Reads) -> Rows:
    """Number, time and detail of every roles.toml that was loaded, oldest first. Of those that were
    archived, the last one is known."""
    if (archived := archives.newest(db)) and (policy := archived.policy):
        yield int(policy["seq"]), int(policy["at"]), json.dumps(policy)
    sql = "SELECT seq, at, detail FROM audit WHERE event = ? AND seq > ? ORDER BY at, seq"
    yield from db.stream(sql, Event.POLICY_LOADED, archived.last if archived else 0)


def story(db: Reads, request: str, grant: str) -> list[Record]:
    """Every record about a request and its grant, with those of the renewals."""
    rows = db.rows(
        f"SELECT {_RECORD} FROM audit a WHERE a.request = ? UNION SELECT {_RECORD} FROM audit a"
        ' WHERE a."grant" = ? ORDER BY 1',
        request,
        grant,
    )
    return [Record(*row) for row in rows]


def names(db: Reads) -> dict[str, tuple[str, str]]:
    """Name and e-mail of every person, by id."""
    return {
        str(id): (str(name), str(email))
        for id, name, email in db.stream("SELECT id, name, email FROM people")
    }


def campaigns(db: Reads, start: int, end: int) -> list[str]:
    """The review campaigns that ran in the period, oldest first."""
    rows = db.rows(
        "SELECT id FROM campaigns WHERE started_at < ? AND (finished_at IS NULL OR finished_at >="
        " ?)"
        " ORDER BY started_at, id",
        end,
        start,
    )
    return [str(id) for (id,) in rows]


def bounds(db: Reads, start: int, end: int) -> tuple[int, int, int]:
    """Number of the records of the period, and the numbers of the first and the last of them."""
    row = db.row(
        "SELECT COUNT(*), COALESCE(MIN(seq), 0), COALESCE(MAX(seq), 0) FROM audit"
        " WHERE at >= ? AND at < ?",
        start,
        end,
    )
    count, first, last = row or (0, 0, 0)
    return int(count), int(first), int(last)


def operator_votes(db: Reads, start: int, end: int) -> int:
    """The number of decisions of the period that were given on the command line."""
    row = db.row(
        "SELECT COUNT(*) FROM audit WHERE event = ? AND at >= ? AND at < ? AND substr(actor, 1, 3)"
        " = 'os:'",
        Event.VOTE_GIVEN,
        start,
        end,
    )
    return int(row[0]) if row else 0
