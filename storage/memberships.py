"""Stores shared access, such as a group membership, with one row for each grant that gave it, and
the database server it is on."""

from collections.abc import Iterable
from dataclasses import astuple

from bot.core.model import Membership
from storage.database import Database

_COLUMNS = "system, grant_id, account, thing, action"


def put(db: Database, membership: Membership) -> None:
    """Stores a membership unless it exists."""
    sql = f"INSERT INTO memberships ({_COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    db.run(sql, *astuple(membership))


def drop(db: Database, membership: Membership) -> None:
    sql = "DELETE FROM memberships WHERE system = ? AND grant_id = ? AND account = ? AND thing = ?"
    db.run(sql, membership.system, membership.grant, membership.account, membership.thing)


def drop_places(db: Database, system: str) -> int:
    """Clears the server of memberships that are not over; returns the number of grants."""
    sql = (
        "DELETE FROM memberships WHERE system = ? AND account = '' AND grant_id IN "
        "(SELECT grant_id FROM leases WHERE system = ? AND state <> 'ended')"
    )
    return db.run(sql, system, system)


def of_grant(db: Database, system: str, grant: str) -> list[Membership]:
    sql = f"SELECT {_COLUMNS} FROM memberships WHERE system = ? AND grant_id = ?"
    return _memberships(db.rows(sql, system, grant))


def of_thing(db: Database, system: str, account: str, thing: str) -> list[Membership]:
    sql = f"SELECT {_COLUMNS} FROM memberships WHERE system = ? AND account = ? AND thing = ?"
    return _memberships(db.rows(sql, system, account, thing))


def of_account(db: Database, system: str, account: str) -> list[Membership]:
    sql = f"SELECT {_COLUMNS} FROM memberships WHERE system = ? AND account = ?"
    return _memberships(db.rows(sql, system, account))


def of_system(db: Database, system: str) -> list[Membership]:
    sql = f"SELECT {_COLUMNS} FROM memberships WHERE system = ? ORDER BY grant_id, account, thing"
    return _memberships(db.rows(sql, system))


def _memberships(rows: Iterable[tuple[str, ...]]) -> list[Membership]:
    return [Membership(*row) for row in rows]
