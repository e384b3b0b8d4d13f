"""Stores SSH certificate access: the grants that may have certificates issued, the certificates
issued and revoked, and people's public keys."""

from collections.abc import Sequence

from storage.database import Database


def allow(db: Database, grant: str, system: str, until: int) -> None:
    """Lets certificates be issued until `until`, unless an end was requested meanwhile. A late
    repetition of an earlier call changes nothing."""
    sql = (
        "INSERT INTO ssh_access (grant_id, system, until) SELECT id, ?, ? FROM grants WHERE id = ?"
        " AND state IN ('starting', 'active') ON CONFLICT (grant_id, system) DO UPDATE SET until ="
        " excluded.until WHERE ssh_access.until < excluded.until"
    )
    db.run(sql, system, until, grant)


def allowed_until(db: Database, grant: str, system: str) -> int | None:
    """Returns until when a certificate may be issued; None if none may. An end waits for this
    transaction, so it finds every certificate issued in it."""
    sql = f"SELECT until FROM ssh_access WHERE grant_id = ? AND system = ?{db.lock_row}"
    found = db.row(sql, grant, system)
    return int(found[0]) if found else None


def add(
    db: Database,
    serial: int,
    grant: str,
    system: str,
    authority: str,
    fingerprint: str,
    at: int,
    until: int,
) -> None:
    """Records a certificate before it is issued. `authority` is the public key of its CA in base
    64, `fingerprint` that of the holder's key."""
    sql = (
        "INSERT INTO ssh_certificates (serial, grant_id, system, authority, fingerprint, issued_at,"
        " expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
    )
    db.run(sql, serial, grant, system, authority, fingerprint, at, until)


def end(db: Database, leases: Sequence[tuple[str, str]], at: int) -> None:
    """Stops issuing to these pairs of grant and system, then revokes the issued certificates. The
    order matters: a concurrent issue holds the row that is deleted first."""
    db.run_many("DELETE FROM ssh_access WHERE grant_id = ? AND system = ?", leases)
    sql = (
        "UPDATE ssh_certificates SET revoked_at = ? WHERE grant_id = ? AND system = ? AND"
        " revoked_at IS NULL"
    )
    db.run_many(sql, [(at, grant, system) for grant, system in leases])


def is_open(db: Database, grant: str, system: str, since: int) -> bool:
    """Returns whether certificates may be issued, or valid ones exist that expire after `since`."""
    sql = (
        "SELECT 1 FROM ssh_access WHERE grant_id = ? AND system = ? UNION ALL SELECT 1 FROM"
        " ssh_certificates WHERE grant_id = ? AND system = ? AND revoked_at IS NULL AND"
        " expires_at > ?"
    )
    return db.row(sql, grant, system, grant, system, since) is not None


def open_at(db: Database, system: str, since: int) -> dict[str, tuple[bool, int]]:
    """Returns the grants for which `is_open` is true: whether certificates may be issued, and the
    number of valid ones."""
    leases = {
        grant for (grant,) in db.rows("SELECT grant_id FROM ssh_access WHERE system = ?", system)
    }
    sql = (
        "SELECT grant_id, COUNT(*) FROM ssh_certificates WHERE system = ? AND revoked_at IS NULL"
        " AND expires_at > ? GROUP BY grant_id"
    )
    good = {str(grant): int(count) for grant, count in db.rows(sql, system, since)}
    return {grant: (grant in leases, good.get(grant, 0)) for grant in sorted(leases | good.keys())}


def revoked(db: Database, since: int) -> dict[str, list[int]]:
    """Returns the serial numbers of revoked certificates that expire after `since`, by the public
    key of their CA."""
    sql = (
        "SELECT authority, serial FROM ssh_certificates WHERE revoked_at IS NOT NULL AND"
        " expires_at > ?"
    )
    found: dict[str, list[int]] = {}
    for authority, serial in sorted(db.rows(sql, since)):
        found.setdefault(authority, []).append(int(serial))
    return found


def forget(db: Database, before: int) -> int:
    """Deletes certificates that expired before `before`."""
    return db.run("DELETE FROM ssh_certificates WHERE expires_at < ?", before)


def key_of(db: Database, person: str) -> str:
    """Returns the public key that this person gave last, or ""."""
    found = db.row("SELECT line FROM ssh_keys WHERE person = ?", person)
    return str(found[0]) if found else ""


def keep_key(db: Database, person: str, line: str, at: int) -> None:
    sql = (
        "INSERT INTO ssh_keys (person, line, kept_at) VALUES (?, ?, ?) ON CONFLICT (person) DO"
        " UPDATE SET line = excluded.line, kept_at = excluded.kept_at WHERE ssh_keys.line <>"
        " excluded.line"
    )
    db.run(sql, person, line, at)


def forget_key(db: Database, person: str) -> None:
    """Deletes a person's public key, whose comment may have their name."""
    db.run("DELETE FROM ssh_keys WHERE person = ?", person)
