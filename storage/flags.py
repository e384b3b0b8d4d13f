"""Stores flags, their answers, their messages, and the last record of the log that was read for
them."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from bot.core.flags.flag import Flag
from storage.database import Database, Reads

_COLUMNS = (
    "id, fact_key, rule, severity, about, person, role, system, request_id, grant_id, sentence,"
    " at, raised_at, quiet, times, last_at, joined, answer, answered_by, answered_at,"
    " answer_reason, investigated_by, investigated_at"
)
_MARKS = ", ".join("?" * 23)
_SELECT = f"SELECT {_COLUMNS} FROM flags"
_OPEN = "answer = '' AND joined = '' AND quiet = 0"

# --- reading the log


def locked_cursor(db: Database) -> int | None:
    """Returns the number of the last record that was read, locked by this transaction; None if
    another transaction has the lock."""
    found = db.row(f"SELECT seq FROM flag_cursor WHERE id = 1{db.skip_locked}")
    return int(found[0]) if found else None


def cursor(db: Database) -> int:
    found = db.row("SELECT seq FROM flag_cursor WHERE id = 1")
    assert found is not None  # the first migration adds it
    return int(found[0])


def move(db: Database, seq: int) -> None:
    db.run("UPDATE flag_cursor SET seq = ? WHERE id = 1", seq)


# --- raising


def add(db: Database, f: Flag) -> bool:
    """Stores a flag; returns False if it is known."""
    sql = f"INSERT INTO flags ({_COLUMNS}) VALUES ({_MARKS}) ON CONFLICT DO NOTHING"
    values = (
        *(f.id, f.key, f.rule, f.severity, f.about, f.person, f.role, f.system, f.request),
        *(f.grant, f.sentence, f.at, f.raised_at, int(f.quiet), f.times, f.last_at, f.joined),
        *(f.answer, f.answered_by, f.answered_at, f.answer_reason),
        *(f.investigated_by, f.investigated_at),
    )
    return db.run(sql, *values) == 1


def repeat(db: Database, key: str, at: int) -> None:
    """Counts a repetition of the flag with this key."""
    db.run("UPDATE flags SET times = times + 1, last_at = ? WHERE fact_key = ?", at, key)


def join(db: Database, keys: Sequence[str], flag: str, severity: str) -> list[str]:
    """Makes the open flags with these keys, and those that are part of them, part of another flag;
    returns the ids of the former."""
    found = [each for each in _by_keys(db, keys) if each.is_open]
    for each in found:
        db.run(
            "UPDATE flags SET joined = ?, severity = ? WHERE id = ? OR joined = ?",
            flag,
            severity,
            each.id,
            each.id,
        )
    return [each.id for each in found]


def _by_keys(db: Database, keys: Sequence[str]) -> list[Flag]:
    marks = ", ".join("?" * len(keys))
    return _many(db.rows(f"{_SELECT} WHERE fact_key IN ({marks})", *keys)) if keys else []


def every(db: Reads) -> list[Flag]:
    """Returns all flags."""
    return _many(db.rows(_SELECT))


def since(db: Database, at: int) -> list[Flag]:
    """Returns the flags whose fact is later than `at`, oldest first."""
    return _many(db.rows(f"{_SELECT} WHERE at > ? ORDER BY at, id", at))


def of_rules(db: Database, rules: Sequence[str]) -> list[Flag]:
    """Returns every flag of these rules."""
    marks = ", ".join("?" * len(rules))
    return _many(db.rows(f"{_SELECT} WHERE rule IN ({marks}) ORDER BY at, id", *rules))


def is_known(db: Database, key: str) -> bool:
    return db.row("SELECT 1 FROM flags WHERE fact_key = ?", key) is not None


# --- answering


def get(db: Database, flag: str) -> Flag | None:
    return next(iter(_many(db.rows(f"{_SELECT} WHERE id = ?", flag))), None)


def parts_of(db: Database, flag: str) -> list[Flag]:
    """Returns the flags that became part of this one, oldest first."""
    return _many(db.rows(f"{_SELECT} WHERE joined = ? ORDER BY at, id", flag))


def answer(db: Database, flag: str, answer: str, by: str, at: int, reason: str) -> bool:
    """Answers an open flag, with all that are part of it; returns False if it is not open."""
    sql = "UPDATE flags SET answer = ?, answered_by = ?, answered_at = ?, answer_reason = ? WHERE"
    if db.run(f"{sql} id = ? AND {_OPEN}", answer, by, at, reason, flag) != 1:
        return False
    db.run(f"{sql} joined = ?", answer, by, at, reason, flag)
    return True


def investigate(db: Database, flag: str, by: str, at: int) -> bool:
    """Records who investigates an open flag; returns False if somebody does, or it is not open."""
    sql = "UPDATE flags SET investigated_by = ?, investigated_at = ? WHERE"
    if db.run(f"{sql} id = ? AND investigated_at IS NULL AND {_OPEN}", by, at, flag) != 1:
        return False
    db.run(f"{sql} joined = ?", by, at, flag)
    return True


# --- lists


def open_flags(db: Database, limit: int, person: str | None = None) -> list[Flag]:
    """Returns the flags that wait for an answer, newest first."""
    where, values = (" AND person = ?", [person]) if person is not None else ("", [])
    sql = f"{_SELECT} WHERE {_OPEN}{where} ORDER BY raised_at DESC, id LIMIT ?"
    return _many(db.rows(sql, *values, limit))


def count_open(db: Database) -> int:
    found = db.row(f"SELECT COUNT(*) FROM flags WHERE {_OPEN}")
    return int(found[0]) if found else 0


def listing(db: Database, limit: int) -> list[Flag]:
    """Returns all flags, newest first."""
    return _many(db.rows(f"{_SELECT} ORDER BY raised_at DESC, id LIMIT ?", limit))


def raised_between(db: Reads, start: int, end: int) -> list[Flag]:
    """Returns the flags that were raised from `start` until before `end`, oldest first."""
    sql = f"{_SELECT} WHERE raised_at >= ? AND raised_at < ? ORDER BY raised_at, id"
    return _many(db.rows(sql, start, end))


class Counted(NamedTuple):
    """Flags of one rule with one answer."""

    rule: str
    answer: str
    flags: int
    times: int
    investigated: int
    quiet: int


def count(db: Reads, start: int, end: int) -> list[Counted]:
    """Counts the flags that were raised from `start` until before `end`, by rule and answer."""
    sql = (
        "SELECT rule, answer, COUNT(*), SUM(times),"
        " SUM(CASE WHEN investigated_at IS NULL THEN 0 ELSE 1 END), SUM(quiet) FROM flags"
        " WHERE raised_at >= ? AND raised_at < ? GROUP BY rule, answer ORDER BY rule, answer"
    )
    found = db.rows(sql, start, end)
    return [Counted(str(r), str(a), int(n), int(t), int(i), int(q)) for r, a, n, t, i, q in found]


# --- messages


def posted(db: Database, flag: str, channel: str, ts: str) -> None:
    """Records that a message shows this flag."""
    sql = "INSERT INTO flag_messages (flag_id, channel, ts) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    db.run(sql, flag, channel, ts)


def messages_of(db: Database, flag: str) -> list[tuple[str, str]]:
    """Returns channel and ts of every message that shows this flag."""
    sql = "SELECT channel, ts FROM flag_messages WHERE flag_id = ? ORDER BY ts"
    return [(str(channel), str(ts)) for channel, ts in db.rows(sql, flag)]


def _many(rows: Iterable[Sequence[Any]]) -> list[Flag]:
    return [_one([*row]) for row in rows]


def _one(values: list[Any]) -> Flag:
    values[_QUIET] = bool(values[_QUIET])
    return Flag(*values)


_QUIET = _COLUMNS.split(", ").index("quiet")
