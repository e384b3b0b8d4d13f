"""Stores the shifts of on-call calendars, and when each calendar was read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.on_call import Shift
from storage.database import Database


@dataclass(frozen=True, slots=True)
class Reading:
    """`source` is a digest of the calendar's address. `read_at` is when it was last read with
    success, `error` why the latest try failed, and `notified` whether the leads know that."""

    source: str
    tried_at: int
    read_at: int | None
    error: str
    notified: bool


def reading(db: Database, duty: str) -> Reading | None:
    sql = "SELECT source, tried_at, read_at, error, notified FROM calendars WHERE duty = ?"
    found = db.row(sql, duty)
    if found is None:
        return None
    source, tried_at, read_at, error, notified = found
    return Reading(str(source), int(tried_at), read_at, str(error), bool(notified))


def claim(db: Database, duty: str, source: str, now: int, seen_at: int | None) -> bool:
    """Claims the next try of a calendar that was last tried at `seen_at`, None for never; returns
    False if another process has claimed it. A result from another source is forgotten."""
    if seen_at is None:
        sql = (
            "INSERT INTO calendars (duty, source, tried_at, read_at, error, notified)"
            " VALUES (?, ?, ?, NULL, '', 0) ON CONFLICT (duty) DO NOTHING"
        )
        return db.run(sql, duty, source, now) == 1
    sql = (
        "UPDATE calendars SET tried_at = ?, read_at = CASE WHEN source = ? THEN read_at END,"
        " notified = CASE WHEN source = ? THEN notified ELSE 0 END, source = ?"
        " WHERE duty = ? AND tried_at = ?"
    )
    return db.run(sql, now, source, source, source, duty, seen_at) == 1


def keep_shifts(
    db: Database, duty: str, source: str, read_at: int, shifts: Sequence[Shift]
) -> bool:
    """Replaces the shifts of a duty; returns False if its calendar is another one now, or was read
    later."""
    sql = (
        "UPDATE calendars SET read_at = ?, error = '', notified = 0"
        " WHERE duty = ? AND source = ? AND (read_at IS NULL OR read_at <= ?)"
    )
    if db.run(sql, read_at, duty, source, read_at) != 1:
        return False
    db.run("DELETE FROM shifts WHERE duty = ?", duty)
    for shift in shifts:
        db.run(
            "INSERT INTO shifts (duty, starts_at, ends_at, emails) VALUES (?, ?, ?, ?)",
            duty,
            shift.starts_at,
            shift.ends_at,
            json.dumps(shift.emails),
        )
    return True


def keep_error(db: Database, duty: str, source: str, error: str, notified: bool) -> bool:
    """Stores why a calendar could not be read; returns False if it is another one now, or if
    another process has notified the leads before."""
    sql = (
        "UPDATE calendars SET error = ?, notified = CASE WHEN ? = 1 THEN 1 ELSE notified END"
        " WHERE duty = ? AND source = ? AND (? = 0 OR notified = 0)"
    )
    return db.run(sql, error, int(notified), duty, source, int(notified)) == 1


def shifts_at(db: Database, duty: str, at: int) -> list[Shift]:
    sql = (
        "SELECT starts_at, ends_at, emails FROM shifts"
        " WHERE duty = ? AND starts_at <= ? AND ends_at > ?"
    )
    return [
        Shift(int(start), int(end), tuple(json.loads(emails)))
        for start, end, emails in db.rows(sql, duty, at, at)
    ]
