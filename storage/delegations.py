"""Stores delegations: the approver, the delegate, and the end."""

from bot.core.model import Delegation
from storage.database import Database, Reads

_COLUMNS = "giver, delegate, given_at, ends_at"


def all_of(db: Reads) -> tuple[Delegation, ...]:
    return tuple(
        Delegation(*row) for row in db.rows(f"SELECT {_COLUMNS} FROM delegations ORDER BY giver")
    )


def put(db: Database, delegation: Delegation) -> bool:
    """Stores the one delegation of its giver; returns False if it is stored already."""
    sql = (
        f"INSERT INTO delegations ({_COLUMNS}) VALUES (?, ?, ?, ?) ON CONFLICT (giver) DO UPDATE"
        " SET delegate = excluded.delegate, given_at = excluded.given_at, ends_at ="
        " excluded.ends_at WHERE delegations.delegate <> excluded.delegate OR delegations.ends_at"
        " <> excluded.ends_at"
    )
    each = delegation
    return db.run(sql, each.giver, each.delegate, each.given_at, each.ends_at) == 1


def of(db: Database, person: str) -> list[Delegation]:
    """Returns those that this person gave or has."""
    sql = f"SELECT {_COLUMNS} FROM delegations WHERE giver = ? OR delegate = ? ORDER BY giver"
    return [Delegation(*row) for row in db.rows(sql, person, person)]


def remove(db: Database, delegation: Delegation) -> bool:
    """Deletes it; returns False if it is gone, or was replaced by another."""
    sql = "DELETE FROM delegations WHERE giver = ? AND delegate = ? AND ends_at = ?"
    return db.run(sql, delegation.giver, delegation.delegate, delegation.ends_at) == 1


def recorded(db: Reads, giver: str) -> tuple[str, str]:
    """Returns the delegate and the detail of the newest record of a delegation by this person, ""
    for none."""
    sql = (
        "SELECT subject, detail FROM audit WHERE event = 'delegation:access:given' AND actor = ?"
        " ORDER BY seq DESC LIMIT 1"
    )
    found = db.rows(sql, giver)
    return (str(found[0][0]), str(found[0][1])) if found else ("", "")


def over(db: Database, now: int, limit: int) -> list[Delegation]:
    """Returns those that have reached their end, locked by this transaction."""
    sql = (
        f"SELECT {_COLUMNS} FROM delegations WHERE ends_at <= ? ORDER BY ends_at LIMIT"
        f" ?{db.skip_locked}"
    )
    return [Delegation(*row) for row in db.rows(sql, now, limit)]
