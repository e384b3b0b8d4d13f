"""Stores shared access, such as a group membership, with one row for each grant that gave it, and
the database server it is on."""

from collections.abc import Iterable

from bot.core.model import Membership
from storage.database import Database

_COLUMNS = "system, grant_id, account, thing, action"


def put(db: Database, mark: Membership) -> None:
    """Stores a membership unless it exists."""
    sql = f"INSERT INTO marks ({_COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    db.run(sql, mark.system, mark.grant, mark.account, mark.thing, mark.action)


def drop(db: Database, mark: Membership) -> None:
    sql = "DELETE FROM marks WHERE system = ? AND grant_id = ? AND account = ? AND thing = ?"
    db.run(sql, mark.system, mark.grant, mark.account, mark.thing)


def drop_places(db: Database, system: str) -> int:
    """Clears the server of memberships that are not over; returns for how many grants."""
    sql = (
        "DELETE FROM marks WHERE system = ? AND account = '' AND grant_id IN "
        "(SELECT grant_id FROM leases WHERE system = ? AND state <> 'ended')"
    )
    return db.run(sql, system, system)


def of_grant(db: Database, system: str, grant: str) -> list[Membership]:
    return _marks(
        db.rows(f"SELECT {_COLUMNS} FROM marks WHERE system = ? AND grant_id = ?", system, grant)
    )


def of_thing(db: Database, system: str, account: str, thing: str) -> list[Membership]:
    sql = f"SELECT {_COLUMNS} FROM marks WHERE system = ? AND account = ? AND thing = ?"
    return _marks(db.rows(sql, system, account, thing))


def of_account(db: Database, system: str, account: str) -> list[Membership]:
    return _marks(
        db.rows(f"SELECT {_COLUMNS} FROM marks WHERE system = ? AND account = ?", system, account)
    )


def of_system(db: Database, system: str) -> list[Membership]:
    return _marks(
        db.rows(
            f"SELECT {_COLUMNS} FROM marks WHERE system = ? ORDER BY grant_id, account, thing",
            system,
        )
    )


def _marks(rows: Iterable[tuple[str, ...]]) -> list[Membership]:
    return [Membership(*row) for row in rows]
