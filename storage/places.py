"""Stores from which networks, and with which programs, each person uses their access."""

from typing import NamedTuple

from storage.database import Database

MOST = 100
"""The most places of one person that are read, newest first."""


class Place(NamedTuple):
    """`at` is the last time at which the person was seen there, `recorded_at` the time of the last
    record about it, 0 for never."""

    person: str
    network: str
    agent: str
    at: int
    recorded_at: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        return self.person, self.network, self.agent


def of(db: Database, person: str, since: int) -> list[Place]:
    """Returns where this person was since then, newest first."""
    sql = (
        "SELECT person, network, agent, at, recorded_at FROM places WHERE person = ? AND at >= ?"
        " ORDER BY at DESC, network, agent LIMIT ?"
    )
    return [Place(*row) for row in db.rows(sql, person, since, MOST)]


def get(db: Database, person: str, network: str, agent: str) -> Place | None:
    found = db.row(
        "SELECT person, network, agent, at, recorded_at FROM places WHERE person = ? AND network ="
        " ? AND agent = ?",
        person,
        network,
        agent,
    )
    return Place(*found) if found else None


def has_other(db: Database, place: Place, since: int, most: int) -> bool:
    """Returns whether this is a new program in a network where the person used `most` since
    then."""
    sql = "SELECT 1 FROM places WHERE person = ? AND network = ? AND at >= ? LIMIT ?"
    found = db.rows(sql, place.person, place.network, since, most)
    return len(found) >= most and get(db, *place.key) is None


def keep(db: Database, place: Place, recorded_at: int | None) -> None:
    """Stores that the person is there now; `recorded_at` None leaves the time of the last
    record."""
    sql = (
        "INSERT INTO places (person, network, agent, at, recorded_at) VALUES (?, ?, ?, ?, ?) ON"
        " CONFLICT (person, network, agent) DO UPDATE SET at = excluded.at, recorded_at = CASE"
        " WHEN excluded.recorded_at > 0 THEN excluded.recorded_at ELSE places.recorded_at END"
    )
    db.run(sql, *place.key, place.at, recorded_at or 0)


def forget(db: Database, before: int) -> int:
    """Deletes places in which nobody was seen since then."""
    return db.run("DELETE FROM places WHERE at < ?", before)


def forget_person(db: Database, person: str) -> None:
    """Deletes every place of this person."""
    db.run("DELETE FROM places WHERE person = ?", person)
