"""Stores when the deciders of a pending request are mentioned next."""

from dataclasses import dataclass

from storage.database import Database

_COLUMNS = "request_id, ping_at, why, escalate_at, escalations"


@dataclass(frozen=True, slots=True)
class Ping:
    """The deciders of `request` are mentioned at `ping_at` because of `why`, its backups at
    `escalate_at`; None for never. `escalations` counts how often the backups were mentioned. Times
    are UTC seconds."""

    request: str
    ping_at: int | None = None
    why: str = ""
    escalate_at: int | None = None
    escalations: int = 0


def get(db: Database, request: str) -> Ping | None:
    row = db.row(f"SELECT {_COLUMNS} FROM pings WHERE request_id = ?", request)
    return Ping(*row) if row else None


def put(db: Database, ping: Ping) -> None:
    """Stores the plan for a request in the place of the earlier one."""
    sql = (
        f"INSERT INTO pings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (request_id) DO UPDATE"
        " SET ping_at = excluded.ping_at, why = excluded.why, escalate_at = excluded.escalate_at,"
        " escalations = excluded.escalations"
    )
    db.run(sql, ping.request, ping.ping_at, ping.why, ping.escalate_at, ping.escalations)


def escalated(db: Database, request: str) -> bool:
    """Returns whether the backups of this request were mentioned."""
    sql = "SELECT 1 FROM pings WHERE request_id = ? AND escalations > 0"
    return db.row(sql, request) is not None


def due(db: Database, now: int, limit: int) -> list[Ping]:
    """Returns the pings that are due, locked by this transaction."""
    sql = (
        f"SELECT {_COLUMNS} FROM pings WHERE ping_at <= ? OR escalate_at <= ? ORDER BY request_id"
        f" LIMIT ?{db.skip_locked}"
    )
    return [Ping(*row) for row in db.rows(sql, now, now, limit)]


def drop(db: Database, request: str) -> None:
    db.run("DELETE FROM pings WHERE request_id = ?", request)
