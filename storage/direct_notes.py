"""Stores which direct messages show which grants and requests: each row is one note in one
message."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from storage.database import Database

Place = tuple[str, str]
"""Channel and ts of a message."""

ENDED = "ended"
"""The note that asks the holder whether they needed the access."""


@dataclass(frozen=True, slots=True)
class DirectNote:
    """`note` names the text, `why` and `until` are its values (`GrantView`), `at` is when it was
    posted (UTC seconds). A note that is `past` is worded so that it stays true, and has no
    buttons."""

    channel: str
    ts: str
    place: int
    grant: str
    request: str
    note: str
    at: int
    past: bool
    why: str = ""
    until: int = 0


_COLUMNS = "channel, ts, place, grant_id, request_id, note, at, past, why, until"


def add(db: Database, notes: Sequence[DirectNote]) -> None:
    sql = (
        f"INSERT INTO direct_notes ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT"
        " DO NOTHING"
    )
    rows = [
        (n.channel, n.ts, n.place, n.grant, n.request, n.note, n.at, int(n.past), n.why, n.until)
        for n in notes
    ]
    db.run_many(sql, rows)


def in_message(db: Database, channel: str, ts: str) -> list[DirectNote]:
    """Returns the notes of one message, in order."""
    sql = f"SELECT {_COLUMNS} FROM direct_notes WHERE channel = ? AND ts = ? ORDER BY place"
    return [_note(row) for row in db.rows(sql, channel, ts)]


def of_grants(db: Database, grants: Sequence[str]) -> list[DirectNote]:
    """Returns the notes of these grants that are not past."""
    marks = ", ".join("?" * len(grants))
    sql = (
        f"SELECT {_COLUMNS} FROM direct_notes WHERE grant_id <> '' AND grant_id IN ({marks}) AND"
        " past = 0"
    )
    return [_note(row) for row in db.rows(sql, *grants)] if grants else []


def of_requests(db: Database, requests: Sequence[str]) -> list[DirectNote]:
    """Returns the notes of these requests that are not past."""
    marks = ", ".join("?" * len(requests))
    sql = (
        f"SELECT {_COLUMNS} FROM direct_notes WHERE request_id <> '' AND request_id IN ({marks})"
        " AND past = 0"
    )
    return [_note(row) for row in db.rows(sql, *requests)] if requests else []


def places_of(db: Database, grant: str, note: str) -> list[Place]:
    """Returns the messages that have this note about this grant."""
    where = "grant_id <> '' AND grant_id = ? AND note = ?"
    sql = f"SELECT DISTINCT channel, ts FROM direct_notes WHERE {where} ORDER BY channel, ts"
    return [(str(channel), str(ts)) for channel, ts in db.rows(sql, grant, note)]


def newest(db: Database, grants: Sequence[str], but: str) -> dict[str, str]:
    """Returns the ts of the newest message about each of these grants, without notes named
    `but`."""
    marks = ", ".join("?" * len(grants))
    sql = (
        f"SELECT grant_id, MAX(ts) FROM direct_notes WHERE grant_id <> '' AND grant_id IN ({marks})"
        " AND note <> ? GROUP BY grant_id"
    )
    return {str(grant): str(ts) for grant, ts in db.rows(sql, *grants, but)} if grants else {}


def set_past(db: Database, channel: str, ts: str, places: Sequence[int]) -> None:
    marks = ", ".join("?" * len(places))
    if places:
        sql = (
            f"UPDATE direct_notes SET past = 1 WHERE channel = ? AND ts = ? AND place IN ({marks})"
        )
        db.run(sql, channel, ts, *places)


def forget(db: Database, before: int, long_before: int) -> None:
    """Deletes messages posted before `before` that will not change, and all that were posted before
    `long_before`. A message about an end changes when its holder answers."""
    db.run(
        "DELETE FROM direct_notes WHERE at < ? OR (at < ? AND NOT EXISTS (SELECT 1 FROM"
        " direct_notes o WHERE o.channel = direct_notes.channel AND o.ts = direct_notes.ts AND"
        " (o.past = 0 OR o.note = ?)))",
        long_before,
        before,
        ENDED,
    )


def _note(row: tuple[Any, ...]) -> DirectNote:
    channel, ts, place, grant, request, note, at, past, why, until = row
    return DirectNote(channel, ts, place, grant, request, note, at, bool(past), why, until)
