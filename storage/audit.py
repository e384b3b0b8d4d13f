"""The audit log: appended to in the transaction of what it records, searched page by page, walked from the start.

Appending takes the head row's lock last, so that there is one chain whatever the number of processes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from bot.core.audit import COLUMNS, Entry, Event, Record, chained
from storage.database import Database

_COLUMNS = ", ".join(f'"{name}"' if name == "grant" else name for name in COLUMNS)
_MARKS = ", ".join("?" * len(COLUMNS))

Seal = Callable[[int, str], str]
_Condition = tuple[str, object]
_UNTIL = "at < ?"


@dataclass(frozen=True, slots=True)
class Filters:
    """What to look for; None leaves it open. `person` is an actor or a subject, `event` a whole name or the
    beginning of one, `since` and `until` are UTC seconds, `until` itself excluded."""

    person: str | None = None
    role: str | None = None
    system: str | None = None
    event: str | None = None
    request: str | None = None
    grant: str | None = None
    since: int | None = None
    until: int | None = None


def append(db: Database, entries: Iterable[Entry], at: int, seal: Seal) -> None:
    """Adds entries to the chain and seals its new head, so that a log that was cut off shows."""
    entries = list(entries)
    if not entries:
        return
    found = db.row(f"SELECT seq, hash FROM audit_head WHERE id = 1{db.lock_row}")
    if found is None:
        raise LookupError("the audit log has lost its head row: restore the database from a backup")
    rows = chained(entries, at, int(found[0]), str(found[1]))
    sql = f"INSERT INTO audit ({_COLUMNS}) VALUES ({_MARKS})"
    if len(rows) == 1:
        db.run(sql, *rows[0])
    else:
        db.run_many(sql, rows)
    seq, head = int(str(rows[-1][0])), str(rows[-1][-1])
    db.run("UPDATE audit_head SET seq = ?, hash = ?, seal = ? WHERE id = 1", seq, head, seal(seq, head))


def head(db: Database) -> tuple[int, str, str] | None:
    """The number, hash and seal of the newest record; `(0, …, '')` when there is none."""
    found = db.row("SELECT seq, hash, seal FROM audit_head WHERE id = 1")
    return (int(found[0]), str(found[1]), str(found[2])) if found else None


def walk(db: Database) -> Iterator[tuple[Any, ...]]:
    """Every row in the order of COLUMNS, oldest first."""
    return db.stream(f"SELECT {_COLUMNS} FROM audit ORDER BY seq")


def export(db: Database, filters: Filters, last: int) -> Iterator[tuple[Any, ...]]:
    """Rows up to record `last` in the order of COLUMNS, oldest first, none of them held in memory."""
    condition, values = _where(filters, last)
    return db.stream(f"SELECT {_COLUMNS} FROM audit{condition} ORDER BY seq", *values)


def count(db: Database, filters: Filters, last: int) -> int:
    """How many rows `export` gives."""
    condition, values = _where(filters, last)
    found = db.row(f"SELECT COUNT(*) FROM audit{condition}", *values)
    return int(found[0]) if found else 0


def page(db: Database, filters: Filters, before: int | None, size: int) -> list[Record]:
    """The newest records first, and of one second the last written first; those that stand behind record `before`.

    A person is an actor or a subject, the beginning of an event's name means several: one index scan of one page
    for each of them, instead of one over everything.
    """
    people: Sequence[Sequence[_Condition]] = (
        [[]] if filters.person is None else [[("actor = ?", filters.person)], [("subject = ?", filters.person)]]
    )
    events: Sequence[Sequence[_Condition]] = (
        [[]] if filters.event is None else [[("event = ?", event)] for event in _events(filters.event)]
    )
    end = _end(db, filters, before)
    found: dict[int, tuple[Any, ...]] = {}
    for person, event in product(people, events):
        rows = _page(db, [*_conditions(filters), *person, *event], end, size)
        found.update({row[0]: row for row in rows})
    newest = sorted(found.values(), key=lambda row: (row[1], row[0]), reverse=True)
    return [Record(*row) for row in newest[:size]]


_End = tuple[int, int] | None
"""Time and number of the record before which a page ends; None when it begins with the newest."""


def _end(db: Database, filters: Filters, before: int | None) -> _End:
    found = None if before is None else db.row("SELECT at FROM audit WHERE seq = ?", before)
    ends = [(int(found[0]), before)] if found is not None and before is not None else []
    return min([*ends, *([(filters.until, 0)] if filters.until is not None else [])], default=None)


def _page(db: Database, conditions: Sequence[_Condition], end: _End, size: int) -> list[tuple[Any, ...]]:
    """Time and number stand in every index behind what it is for, so a page is read from there in its order."""
    parts = [text for text, _ in conditions if text != _UNTIL]
    values = [value for text, value in conditions if text != _UNTIL]
    if end is not None:
        parts.append("(at, seq) < (?, ?)")
        values += end
    where = " WHERE " + " AND ".join(parts) if parts else ""
    sql = f"SELECT {_COLUMNS} FROM audit{where} ORDER BY at DESC, seq DESC LIMIT ?"
    return db.rows(sql, *values, size)


def _events(beginning: str) -> list[str]:
    """The events whose name is or begins with this. Which text begins with which is not left to the database: that
    depends on its collation."""
    return [str(event) for event in Event if event.startswith(beginning)]


def _conditions(filters: Filters) -> list[_Condition]:
    """Everything but `person` and `event`, as SQL and value."""
    exact = [("role", filters.role), ("system", filters.system), ("request", filters.request)]
    found: list[_Condition] = [(f"{name} = ?", value) for name, value in exact if value is not None]
    if filters.grant is not None:
        found.append(('"grant" = ?', filters.grant))
    if filters.since is not None:
        found.append(("at >= ?", filters.since))
    if filters.until is not None:
        found.append((_UNTIL, filters.until))
    return found


def _where(filters: Filters, last: int) -> tuple[str, list[object]]:
    conditions = [*_conditions(filters), ("seq <= ?", last)]
    values: list[object] = [value for _, value in conditions]
    parts = [text for text, _ in conditions]
    if filters.event is not None:
        events = _events(filters.event)
        parts.append(f"event IN ({', '.join('?' * len(events)) or 'NULL'})")
        values += events
    if filters.person is not None:
        parts.append("(actor = ? OR subject = ?)")
        values += [filters.person, filters.person]
    return " WHERE " + " AND ".join(parts), values
