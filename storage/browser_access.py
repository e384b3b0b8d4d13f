"""Stores the one-time codes with which a browser gets in, and the sessions that they open, each by
its hash, so that a copy of the database opens nothing."""

from typing import Any, NamedTuple

from storage.database import Database
from storage.tokens import Checked


class Code(NamedTuple):
    """A code of a grant for one system; times are UTC seconds."""

    grant: str
    system: str
    expires_at: int
    used_at: int | None


def add_code(db: Database, digest: str, grant: str, system: str, expires_at: int) -> None:
    sql = "INSERT INTO browser_codes (hash, grant_id, system, expires_at) VALUES (?, ?, ?, ?)"
    db.run(sql, digest, grant, system, expires_at)


def code(db: Database, digest: str) -> Code | None:
    sql = "SELECT grant_id, system, expires_at, used_at FROM browser_codes WHERE hash = ?"
    found = db.row(sql, digest)
    return Code(*found) if found else None


def take_code(db: Database, digest: str, system: str, now: int) -> bool:
    """Uses the code up; returns True for one caller only, and for nobody after its end."""
    sql = (
        "UPDATE browser_codes SET used_at = ? WHERE hash = ? AND system = ? AND used_at IS NULL"
        " AND expires_at > ?"
    )
    return db.run(sql, now, digest, system, now) == 1


def note_refused(db: Database, digest: str) -> bool:
    """Returns True the first time that this code is refused."""
    sql = "UPDATE browser_codes SET refused = 1 WHERE hash = ? AND refused = 0"
    return db.run(sql, digest) == 1


def drop_codes(db: Database, grant: str) -> None:
    """Deletes the unused codes of the grant."""
    db.run("DELETE FROM browser_codes WHERE grant_id = ? AND used_at IS NULL", grant)


_CHECK = (
    "SELECT s.hash, g.id, g.person, g.role, l.actions, g.state, s.opened_at, s.expires_at,"
    " s.ended_at, g.ends_at, COALESCE(p.email, ''), l.system, x.until FROM browser_sessions s JOIN"
    " grants g ON g.id = s.grant_id LEFT JOIN leases l ON l.grant_id = g.id AND l.system = s.system"
    " AND l.system = ? LEFT JOIN gates x ON x.grant_id = g.id AND x.system = l.system LEFT JOIN"
    " people p ON p.id = g.person WHERE s.hash = ?"
)


def check(db: Database, digest: str, system: str) -> Checked | None:
    """Returns the session's row with its grant and its gate at `system`, in the form of a token's;
    a session for another system has neither. Uses its own reading scope."""
    row: tuple[Any, ...] | None = db.look_up(_CHECK, system, digest)
    return Checked(*row) if row else None


def add_session(
    db: Database, digest: str, grant: str, system: str, opened_at: int, expires_at: int
) -> None:
    """Adds a session, and ends the earlier ones of that grant on that system."""
    db.run(
        "UPDATE browser_sessions SET ended_at = ? WHERE grant_id = ? AND system = ? AND ended_at IS"
        " NULL",
        opened_at,
        grant,
        system,
    )
    sql = (
        "INSERT INTO browser_sessions (hash, grant_id, system, opened_at, expires_at) VALUES (?, ?,"
        " ?, ?, ?)"
    )
    db.run(sql, digest, grant, system, opened_at, expires_at)


def end_session(db: Database, digest: str, system: str, at: int) -> str | None:
    """Ends the session if it is of that system; returns its grant if it had not ended before."""
    sql = (
        "UPDATE browser_sessions SET ended_at = ? WHERE hash = ? AND system = ? AND ended_at IS"
        " NULL"
    )
    if db.run(sql, at, digest, system) != 1:
        return None
    found = db.row("SELECT grant_id FROM browser_sessions WHERE hash = ?", digest)
    return str(found[0]) if found else None


def forget(db: Database, codes_before: int, sessions_before: int) -> None:
    """Deletes codes and sessions that ended before these times."""
    db.run("DELETE FROM browser_codes WHERE expires_at < ?", codes_before)
    sql = "DELETE FROM browser_sessions WHERE expires_at < ? OR ended_at < ?"
    db.run(sql, sessions_before, sessions_before)
