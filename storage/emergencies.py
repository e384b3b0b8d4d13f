"""Stores emergencies and their reviews."""

from collections.abc import Iterable, Sequence
from typing import Any

from bot.core.emergency import EmergencyReview
from bot.core.model import Urgency
from storage.database import Database, Reads

_COLUMNS = (
    "request_id, grant_id, person, role, urgency, declared_by, alone, started_at, ping_at,"
    " signed_at, signed_by, conclusion"
)
_MARKS = ", ".join("?" * 12)


def insert(db: Database, e: EmergencyReview) -> bool:
    """Stores an emergency; returns False and stores nothing if it starts alone while another one of
    this person, which did too, is open. Waits for a transaction that stores such a one now."""
    sql = f"INSERT INTO emergencies ({_COLUMNS}) VALUES ({_MARKS}) ON CONFLICT DO NOTHING"
    values = (
        e.request,
        e.grant,
        e.person,
        e.role,
        e.urgency,
        e.declared_by,
        int(e.alone),
        e.started_at,
        e.ping_at,
        e.signed_at,
        e.signed_by,
        e.conclusion,
    )
    return db.run(sql, *values) == 1


def get(db: Database, request: str) -> EmergencyReview | None:
    found = db.row(f"SELECT {_COLUMNS} FROM emergencies WHERE request_id = ?", request)
    return _one(found) if found else None


def of_grant(db: Database, grant: str) -> EmergencyReview | None:
    found = db.row(f"SELECT {_COLUMNS} FROM emergencies WHERE grant_id = ?", grant)
    return _one(found) if found else None


def open_of(db: Database, person: str) -> list[EmergencyReview]:
    """Returns this person's emergencies whose review is not signed, oldest first."""
    sql = (
        f"SELECT {_COLUMNS} FROM emergencies WHERE person = ? AND signed_at IS NULL ORDER BY"
        " started_at, request_id"
    )
    return _many(db.rows(sql, person))


def open_now(db: Database, limit: int) -> list[EmergencyReview]:
    """Returns the emergencies of everybody whose review is not signed, oldest first."""
    sql = (
        f"SELECT {_COLUMNS} FROM emergencies WHERE signed_at IS NULL ORDER BY started_at,"
        " request_id LIMIT ?"
    )
    return _many(db.rows(sql, limit))


def touched_between(db: Reads, since: int, until: int) -> list[EmergencyReview]:
    """Returns the emergencies that started or were signed from `since` up to `until`, and those
    that were open then, oldest first."""
    sql = (
        f"SELECT {_COLUMNS} FROM emergencies WHERE started_at < ? AND (signed_at IS NULL OR"
        " signed_at >= ?) ORDER BY started_at, request_id"
    )
    return _many(db.rows(sql, until, since))


def count_open(db: Database) -> int:
    found = db.row("SELECT COUNT(*) FROM emergencies WHERE signed_at IS NULL")
    return int(found[0]) if found else 0


def sign(db: Database, request: str, by: str, at: int, conclusion: str) -> bool:
    """Signs the review; returns False if it is signed."""
    sql = (
        "UPDATE emergencies SET signed_at = ?, signed_by = ?, conclusion = ?, ping_at = NULL WHERE"
        " request_id = ? AND signed_at IS NULL"
    )
    return db.run(sql, at, by, conclusion, request) == 1


def due(db: Database, now: int, limit: int) -> list[EmergencyReview]:
    """Returns the emergencies whose leads have to be pinged, locked by this transaction."""
    sql = (
        f"SELECT {_COLUMNS} FROM emergencies WHERE ping_at <= ? ORDER BY ping_at LIMIT ?"
        f"{db.skip_locked}"
    )
    return _many(db.rows(sql, now, limit))


def set_ping(db: Database, request: str, at: int) -> None:
    """Sets when the leads are pinged next, unless the review is signed."""
    sql = "UPDATE emergencies SET ping_at = ? WHERE request_id = ? AND signed_at IS NULL"
    db.run(sql, at, request)


def _one(row: Sequence[Any]) -> EmergencyReview:
    request, grant, person, role, urgency, by, alone, *rest = row
    return EmergencyReview(request, grant, person, role, Urgency(urgency), by, bool(alone), *rest)


def _many(rows: Iterable[Sequence[Any]]) -> list[EmergencyReview]:
    return [_one(row) for row in rows]
