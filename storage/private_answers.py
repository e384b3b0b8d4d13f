"""Stores ephemeral answers that Slack still lets the bot change through their `response_url`, and
the people who have App Home open."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from storage.database import Database


@dataclass(frozen=True, slots=True)
class PrivateAnswer:
    """`kind` names the text and `about` its request or grant. `uses` counts the changes, `shown` is
    a digest of the last one, and `at` is when it was sent (UTC seconds)."""

    id: str
    person: str
    url: str = field(repr=False)
    kind: str
    about: str
    at: int
    uses: int = 0
    shown: str = ""


_COLUMNS = "id, person, url, kind, about, at, uses, shown"


def add(db: Database, a: PrivateAnswer) -> None:
    sql = (
        f"INSERT INTO private_answers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO"
        " NOTHING"
    )
    db.run(sql, a.id, a.person, a.url, a.kind, a.about, a.at, a.uses, a.shown)


def get(db: Database, answer: str) -> PrivateAnswer | None:
    found = db.row(f"SELECT {_COLUMNS} FROM private_answers WHERE id = ?", answer)
    return PrivateAnswer(*found) if found else None


def of(db: Database, people: Sequence[str], since: int) -> list[str]:
    """Returns the ids of answers since `since` that were sent to these people or are about them."""
    marks = ", ".join("?" * len(people))
    sql = (
        f"SELECT id FROM private_answers WHERE (person IN ({marks}) OR about IN ({marks})) AND at >"
        " ? ORDER BY at, id"
    )
    return [str(found) for (found,) in db.rows(sql, *people, *people, since)] if people else []


def used(db: Database, answer: str, shown: str) -> None:
    db.run("UPDATE private_answers SET uses = uses + 1, shown = ? WHERE id = ?", shown, answer)


def drop(db: Database, answer: str) -> None:
    db.run("DELETE FROM private_answers WHERE id = ?", answer)


def any_since(db: Database, since: int) -> bool:
    return db.row("SELECT 1 FROM private_answers WHERE at > ? LIMIT 1", since) is not None


def any_before(db: Database, before: int) -> bool:
    return db.row("SELECT 1 FROM private_answers WHERE at <= ? LIMIT 1", before) is not None


def forget(db: Database, before: int) -> int:
    return db.run("DELETE FROM private_answers WHERE at <= ?", before)


def open_home(db: Database, person: str, at: int) -> None:
    """Records that this person has App Home open."""
    sql = (
        "INSERT INTO open_homes (person, at) VALUES (?, ?) ON CONFLICT (person) DO UPDATE SET at ="
        " excluded.at"
    )
    db.run(sql, person, at)


def open_homes(db: Database, since: int) -> list[str]:
    """Returns the people who opened App Home since `since`."""
    return [
        str(person) for (person,) in db.rows("SELECT person FROM open_homes WHERE at > ?", since)
    ]


def forget_homes(db: Database, before: int) -> None:
    db.run("DELETE FROM open_homes WHERE at < ?", before)


def forget_person(db: Database, person: str) -> None:
    """Deletes the answers that this person was shown, and that their App Home is open."""
    db.run("DELETE FROM private_answers WHERE person = ?", person)
    db.run("DELETE FROM open_homes WHERE person = ?", person)
