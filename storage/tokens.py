"""Stores tokens by id, with a hash instead of the token, so that a copy of the database opens
nothing."""

from typing import Any, NamedTuple

from storage.database import Database


class Checked(NamedTuple):
    """The result of the one statement that a token check runs."""

    hash: str
    grant: str
    person: str
    role: str
    actions: str | None
    state: str
    issued_at: int
    expires_at: int
    revoked_at: int | None
    ends_at: int
    email: str
    system: str | None
    gate_until: int | None


_CHECK = (
    "SELECT t.hash, g.id, g.person, g.role, l.actions, g.state, t.issued_at, t.expires_at,"
    " t.revoked_at, g.ends_at, COALESCE(p.email, ''), l.system, x.until FROM tokens t JOIN grants g"
    " ON g.id = t.grant_id LEFT JOIN leases l ON l.grant_id = g.id AND l.system = ? LEFT JOIN gates"
    " x ON x.grant_id = g.id AND x.system = l.system LEFT JOIN people p ON p.id = g.person WHERE"
    " t.jti = ?"
)


def check(db: Database, jti: str, system: str) -> Checked | None:
    """Returns the token's row with its grant and its gate at `system`; a grant for another system
    has neither. Uses its own reading scope."""
    row: tuple[Any, ...] | None = db.look_up(_CHECK, system, jti)
    return Checked(*row) if row else None


def add(db: Database, jti: str, grant: str, digest: str, issued_at: int, expires_at: int) -> None:
    sql = "INSERT INTO tokens (jti, grant_id, hash, issued_at, expires_at) VALUES (?, ?, ?, ?, ?)"
    db.run(sql, jti, grant, digest, issued_at, expires_at)


def living(db: Database, grant: str, now: int) -> tuple[str, ...]:
    """Returns the tokens of the grant that still work."""
    sql = "SELECT jti FROM tokens WHERE grant_id = ? AND revoked_at IS NULL AND expires_at > ?"
    return tuple(str(jti) for (jti,) in db.rows(sql, grant, now))


def revoke(db: Database, jti: str, at: int) -> bool:
    return (
        db.run("UPDATE tokens SET revoked_at = ? WHERE jti = ? AND revoked_at IS NULL", at, jti)
        == 1
    )


def forget(db: Database, before: int) -> int:
    """Deletes tokens that ended before `before`; their signed end already refuses them."""
    return db.run("DELETE FROM tokens WHERE expires_at < ?", before)
