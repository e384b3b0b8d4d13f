"""Stores pre-approvals and which requests they decided."""

from collections.abc import Sequence

from bot.core.preapproval import PreApproval
from storage.database import Database, Reads

_COLUMNS = "id, giver, person, role, duration, until, reason, fingerprint, given_at"
_MARKS = ", ".join("?" * 9)


def add(db: Database, given: PreApproval) -> None:
    """Stores a pre-approval; one of the same people for this role must not hold."""
    people = (given.giver, given.person, given.role)
    db.run(
        "UPDATE preapprovals SET taken_at = until, taken_by = 'system' WHERE giver = ? AND person ="
        " ? AND role = ? AND taken_at IS NULL AND until <= ?",
        *people,
        given.given_at,
    )
    db.run(
        f"INSERT INTO preapprovals ({_COLUMNS}) VALUES ({_MARKS})",
        given.id,
        given.giver,
        given.person,
        given.role,
        given.duration,
        given.until,
        given.reason,
        given.fingerprint,
        given.given_at,
    )


def take(db: Database, id: str, at: int, by: str) -> bool:
    """Ends a pre-approval; returns False if it was ended before."""
    sql = "UPDATE preapprovals SET taken_at = ?, taken_by = ? WHERE id = ? AND taken_at IS NULL"
    return db.run(sql, at, by, id) == 1


def get(db: Database, id: str, now: int) -> PreApproval | None:
    """Returns a pre-approval that holds at `now`."""
    return next(iter(_many(db, "id = ?", id, now)), None)


def of(db: Database, person: str, role: str, now: int) -> list[PreApproval]:
    """Returns the pre-approvals of this person for this role at `now`."""
    return _many(db, "person = ? AND role = ?", person, role, now)


def shown_to(db: Database, person: str, now: int) -> list[PreApproval]:
    """Returns the pre-approvals that this person gave or has at `now`."""
    return _many(db, "(giver = ? OR person = ?)", person, person, now)


def every(db: Reads, now: int) -> list[PreApproval]:
    return _many(db, "1 = 1", now)


def givers(db: Reads, now: int) -> set[str]:
    """Returns the people whose pre-approvals hold at `now`."""
    return {given.giver for given in every(db, now)}


def _many(db: Reads, condition: str, *values: object) -> list[PreApproval]:
    sql = (
        f"SELECT {_COLUMNS} FROM preapprovals WHERE {condition} AND until > ? AND taken_at IS NULL"
        " ORDER BY given_at, id"
    )
    return [PreApproval(*row) for row in db.rows(sql, *values)]


def use(db: Database, request: str, given: Sequence[PreApproval]) -> None:
    """Stores that these pre-approvals decided a request."""
    sql = "INSERT INTO preapproval_uses (request_id, preapproval_id) VALUES (?, ?)"
    db.run_many(sql, ((request, each.id) for each in given))


def used_for(db: Database, request: str) -> list[PreApproval]:
    """Returns the pre-approvals that decided this request, also ended ones."""
    columns = ", ".join(f"p.{name}" for name in _COLUMNS.split(", "))
    sql = (
        f"SELECT {columns} FROM preapproval_uses u JOIN preapprovals p ON p.id = u.preapproval_id"
        " WHERE u.request_id = ? ORDER BY p.given_at, p.id"
    )
    return [PreApproval(*row) for row in db.rows(sql, request)]


def which_used(db: Reads, requests: Sequence[str]) -> set[str]:
    """Returns those of these requests that pre-approvals decided."""
    marks = ", ".join("?" * len(requests))
    sql = f"SELECT DISTINCT request_id FROM preapproval_uses WHERE request_id IN ({marks})"
    return {str(request) for (request,) in db.rows(sql, *requests)} if requests else set()


def recorded(db: Reads, given: PreApproval) -> list[tuple[str, str, str]]:
    """Returns event, actor and detail of the records about this person and role, newest first."""
    sql = (
        "SELECT event, actor, detail FROM audit WHERE event IN ('preapproval:access:given',"
        " 'preapproval:access:taken') AND subject = ? AND role = ? ORDER BY seq DESC"
    )
    return [(str(a), str(b), str(c)) for a, b, c in db.rows(sql, given.person, given.role)]
