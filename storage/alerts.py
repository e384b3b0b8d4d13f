"""Stores unconfirmed revocations: their beginning, the time of the next alert, the lead who
acknowledged it, and the messages about it in the security channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from storage.database import Database

Pair = tuple[str, str]
"""A grant and a system, which is one lease."""


@dataclass(frozen=True, slots=True)
class Alert:
    """`attempts` counts the revocation attempts, `sent` the alerts sent. `next_at` is None when no
    alert follows, `confirmed_at` is set when the system confirmed. Times are UTC seconds."""

    id: str
    grant: str
    system: str
    since: int
    attempts: int
    sent: int
    next_at: int | None = None
    acknowledged_by: str | None = None
    acknowledged_at: int | None = None
    confirmed_at: int | None = None


_COLUMNS = (
    "id, grant_id, system, since, attempts, sent, next_at, acknowledged_by, acknowledged_at,"
    " confirmed_at"
)


def get(db: Database, grant: str, system: str) -> Alert | None:
    found = db.row(
        f"SELECT {_COLUMNS} FROM alerts WHERE grant_id = ? AND system = ?", grant, system
    )
    return Alert(*found) if found else None


def by_id(db: Database, alert: str) -> Alert | None:
    found = db.row(f"SELECT {_COLUMNS} FROM alerts WHERE id = ?", alert)
    return Alert(*found) if found else None


def watch(db: Database, alert: str, grant: str, system: str, now: int, next_at: int) -> None:
    """Starts watching an unconfirmed revocation unless it is watched already. One that had been
    confirmed and must be revoked once more is watched again from the start."""
    sql = (
        "INSERT INTO alerts (id, grant_id, system, since, attempts, sent, next_at) VALUES (?, ?, ?,"
        " ?, 0, 0, ?) ON CONFLICT (grant_id, system) DO UPDATE SET since = excluded.since, attempts"
        " = 0, sent = 0, next_at = excluded.next_at, acknowledged_by = NULL, acknowledged_at ="
        " NULL, confirmed_at = NULL WHERE alerts.confirmed_at IS NOT NULL"
    )
    db.run(sql, alert, grant, system, now, next_at)


def tried(db: Database, grant: str, system: str, attempts: int) -> None:
    db.run(
        "UPDATE alerts SET attempts = ? WHERE grant_id = ? AND system = ?", attempts, grant, system
    )


def record_sent(db: Database, grant: str, system: str, next_at: int) -> None:
    """Records that an alert was sent, and when the next one is due."""
    sql = "UPDATE alerts SET sent = sent + 1, next_at = ? WHERE grant_id = ? AND system = ?"
    db.run(sql, next_at, grant, system)


def due(db: Database, now: int, limit: int) -> list[Alert]:
    sql = (
        f"SELECT {_COLUMNS} FROM alerts WHERE next_at <= ? ORDER BY next_at LIMIT ?{db.skip_locked}"
    )
    return [Alert(*row) for row in db.rows(sql, now, limit)]


def acknowledge(db: Database, alert: str, by: str, at: int) -> bool:
    """Stops the alerts; returns False if the revocation is confirmed or was acknowledged
    already."""
    sql = (
        "UPDATE alerts SET acknowledged_by = ?, acknowledged_at = ?, next_at = NULL WHERE id = ? "
        "AND confirmed_at IS NULL AND acknowledged_at IS NULL"
    )
    return db.run(sql, by, at, alert) == 1


def unacknowledged(db: Database, system: str, limit: int) -> list[Alert]:
    """Returns the alerts of this system that have a next alert."""
    sql = (
        f"SELECT {_COLUMNS} FROM alerts WHERE system = ? AND next_at IS NOT NULL ORDER BY grant_id"
        " LIMIT ?"
    )
    return [Alert(*row) for row in db.rows(sql, system, limit)]


def open_of(db: Database, ids: Sequence[str]) -> list[Alert]:
    """Returns the unconfirmed revocations of these grants."""
    marks = ", ".join("?" * len(ids))
    sql = (
        f"SELECT {_COLUMNS} FROM alerts WHERE grant_id IN ({marks}) AND confirmed_at IS NULL"
        " ORDER BY grant_id, system"
    )
    return [Alert(*row) for row in db.rows(sql, *ids)]


def reported_open(db: Database, limit: int) -> list[Pair]:
    """Returns revocations that were reported and are not confirmed, unacknowledged ones first, then
    oldest first."""
    sql = (
        "SELECT grant_id, system FROM alerts WHERE confirmed_at IS NULL AND sent > 0 ORDER BY CASE"
        " WHEN acknowledged_at IS NULL THEN 0 ELSE 1 END, since, grant_id, system LIMIT ?"
    )
    return [(str(grant), str(system)) for grant, system in db.rows(sql, limit)]


def count_reported_open(db: Database) -> int:
    found = db.row("SELECT COUNT(*) FROM alerts WHERE confirmed_at IS NULL AND sent > 0")
    return int(found[0]) if found else 0


def gone(db: Database, grant: str, system: str, at: int) -> None:
    db.run(
        "UPDATE alerts SET confirmed_at = ?, next_at = NULL WHERE grant_id = ? AND system = ?",
        at,
        grant,
        system,
    )


def unwatched(db: Database, limit: int) -> list[Pair]:
    """Returns leases whose end was requested and that are not watched yet."""
    sql = (
        "SELECT l.grant_id, l.system FROM grants g JOIN leases l ON l.grant_id = g.id LEFT JOIN"
        " alerts a ON a.grant_id = l.grant_id AND a.system = l.system WHERE g.state NOT IN"
        " ('ended', 'failed') AND g.state = 'ending' AND l.state = 'ending' AND a.grant_id IS NULL"
        " LIMIT ?"
    )
    return [(str(grant), str(system)) for grant, system in db.rows(sql, limit)]


def posted(db: Database, channel: str, ts: str, pairs: Sequence[Pair]) -> None:
    """Records that a message shows these leases, in this order."""
    sql = (
        "INSERT INTO alert_messages (channel, ts, place, grant_id, system) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (channel, ts, place) DO NOTHING"
    )
    db.run_many(sql, [(channel, ts, place, *pair) for place, pair in enumerate(pairs)])


def messages_of(db: Database, grant: str, system: str) -> list[tuple[str, str]]:
    """Returns channel and ts of every message that shows this lease."""
    sql = (
        "SELECT DISTINCT channel, ts FROM alert_messages WHERE grant_id = ? AND system = ? ORDER"
        " BY ts"
    )
    return [(str(channel), str(ts)) for channel, ts in db.rows(sql, grant, system)]


def in_message(db: Database, channel: str, ts: str) -> list[Pair]:
    """Returns the leases that a message shows, in its order."""
    sql = "SELECT grant_id, system FROM alert_messages WHERE channel = ? AND ts = ? ORDER BY place"
    return [(str(grant), str(system)) for grant, system in db.rows(sql, channel, ts)]


def forget(db: Database, before: int) -> None:
    """Deletes alerts that were confirmed before `before`, with their messages."""
    old: tuple[Any, ...] = (before,)
    gone_ones = (
        "SELECT 1 FROM alerts a WHERE a.grant_id = alert_messages.grant_id AND a.system ="
        " alert_messages.system"
    )
    db.run(f"DELETE FROM alert_messages WHERE EXISTS ({gone_ones} AND a.confirmed_at < ?)", *old)
    db.run("DELETE FROM alerts WHERE confirmed_at < ?", *old)
