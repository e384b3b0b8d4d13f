"""Stores the last answer about each ticket, by a digest of the ticket system and the ticket."""

import json
from dataclasses import dataclass

from storage.database import Database
from storage.states import HELD


@dataclass(frozen=True, slots=True)
class LookUp:
    """`error` says why the ticket system could not be asked at `checked_at`; then the rest means
    nothing."""

    ticket: str
    checked_at: int
    found: bool = False
    is_open: bool = False
    assignees: tuple[str, ...] = ()
    error: str = ""


def get(db: Database, source: str, ticket: str) -> LookUp | None:
    sql = (
        "SELECT checked_at, found, is_open, assignees, error FROM tickets"
        " WHERE source = ? AND ticket = ?"
    )
    found = db.row(sql, source, ticket)
    if found is None:
        return None
    checked_at, is_found, is_open, assignees, error = found
    people = tuple(json.loads(assignees))
    return LookUp(ticket, int(checked_at), bool(is_found), bool(is_open), people, str(error))


def keep(db: Database, source: str, it: LookUp) -> None:
    """Stores an answer, unless there is a later one."""
    sql = (
        "INSERT INTO tickets (source, ticket, checked_at, found, is_open, assignees, error)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, ticket) DO UPDATE SET"
        " checked_at = excluded.checked_at, found = excluded.found, is_open = excluded.is_open,"
        " assignees = excluded.assignees, error = excluded.error"
        " WHERE tickets.checked_at <= excluded.checked_at"
    )
    db.run(
        sql,
        source,
        it.ticket,
        it.checked_at,
        int(it.found),
        int(it.is_open),
        json.dumps(it.assignees),
        it.error,
    )


def of_live_grants(db: Database) -> list[tuple[str, str, str]]:
    """Returns grant, role and ticket of all access that has not begun to end and that has a
    ticket."""
    sql = (
        "SELECT grants.id, grants.role, requests.ticket FROM grants"
        " JOIN requests ON requests.id = grants.request_id"
        f" WHERE grants.{HELD} AND requests.ticket <> ''"
        " ORDER BY grants.id"
    )
    return [(str(grant), str(role), str(ticket)) for grant, role, ticket in db.rows(sql)]


def forget(db: Database, before: int) -> int:
    return db.run("DELETE FROM tickets WHERE checked_at < ?", before)
