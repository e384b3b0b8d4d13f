"""Access by SSH certificates: who may have one issued, what was issued and revoked, and the holders' public keys."""

from collections.abc import Sequence

from storage.database import Database


def allow(db: Database, grant: str, system: str, until: int) -> None:
    """From now on certificates may be issued until that time, unless an end was asked for meanwhile; a late repetition
    of an earlier call takes nothing back."""
    sql = (
        "INSERT INTO ssh_access (grant_id, system, until) SELECT id, ?, ? FROM grants WHERE id = ? AND state IN "
        "('starting', 'active') ON CONFLICT (grant_id, system) DO UPDATE SET until = excluded.until "
        "WHERE ssh_access.until < excluded.until"
    )
    db.run(sql, system, until, grant)


def allowed_until(db: Database, grant: str, system: str) -> int | None:
    """Until when a certificate may be issued; None when none may. Whoever ends it has to wait for this transaction,
    and so finds what it issues."""
    sql = f"SELECT until FROM ssh_access WHERE grant_id = ? AND system = ?{db.lock_row}"
    found = db.row(sql, grant, system)
    return int(found[0]) if found else None


def add(
    db: Database, serial: int, grant: str, system: str, authority: str, fingerprint: str, at: int, until: int
) -> None:
    """Writes down a certificate before there is one. `authority` is the public key of its CA in base 64, `fingerprint`
    that of the holder's key."""
    sql = (
        "INSERT INTO ssh_certificates (serial, grant_id, system, authority, fingerprint, issued_at, expires_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)"
    )
    db.run(sql, serial, grant, system, authority, fingerprint, at, until)


def end(db: Database, doors: Sequence[tuple[str, str]], at: int) -> None:
    """Nothing more is issued to these pairs of grant and system, and all that was is revoked. In this order: an issue
    under way holds the row that is deleted first."""
    db.run_many("DELETE FROM ssh_access WHERE grant_id = ? AND system = ?", doors)
    sql = "UPDATE ssh_certificates SET revoked_at = ? WHERE grant_id = ? AND system = ? AND revoked_at IS NULL"
    db.run_many(sql, [(at, grant, system) for grant, system in doors])


def is_open(db: Database, grant: str, system: str, since: int) -> bool:
    """Whether certificates may be issued, or some are good that expire after `since`."""
    sql = (
        "SELECT 1 FROM ssh_access WHERE grant_id = ? AND system = ? UNION ALL SELECT 1 FROM ssh_certificates "
        "WHERE grant_id = ? AND system = ? AND revoked_at IS NULL AND expires_at > ?"
    )
    return db.row(sql, grant, system, grant, system, since) is not None


def open_at(db: Database, system: str, since: int) -> dict[str, tuple[bool, int]]:
    """The grants for which `is_open` is true: whether certificates may be issued, and how many are good."""
    doors = {grant for (grant,) in db.rows("SELECT grant_id FROM ssh_access WHERE system = ?", system)}
    sql = (
        "SELECT grant_id, COUNT(*) FROM ssh_certificates WHERE system = ? AND revoked_at IS NULL AND expires_at > ? "
        "GROUP BY grant_id"
    )
    good = {str(grant): int(count) for grant, count in db.rows(sql, system, since)}
    return {grant: (grant in doors, good.get(grant, 0)) for grant in sorted(doors | good.keys())}


def revoked(db: Database, since: int) -> dict[str, list[int]]:
    """The serial numbers of revoked certificates that expire after `since`, by their CA's public key."""
    sql = "SELECT authority, serial FROM ssh_certificates WHERE revoked_at IS NOT NULL AND expires_at > ?"
    found: dict[str, list[int]] = {}
    for authority, serial in sorted(db.rows(sql, since)):
        found.setdefault(authority, []).append(int(serial))
    return found


def forget(db: Database, before: int) -> int:
    """Drops certificates that expired before then."""
    return db.run("DELETE FROM ssh_certificates WHERE expires_at < ?", before)


def key_of(db: Database, person: str) -> str:
    """The public key that this person gave last, "" for none."""
    found = db.row("SELECT line FROM ssh_keys WHERE person = ?", person)
    return str(found[0]) if found else ""


def keep_key(db: Database, person: str, line: str, at: int) -> None:
    sql = (
        "INSERT INTO ssh_keys (person, line, kept_at) VALUES (?, ?, ?) ON CONFLICT (person) DO UPDATE SET "
        "line = excluded.line, kept_at = excluded.kept_at WHERE ssh_keys.line <> excluded.line"
    )
    db.run(sql, person, line, at)
