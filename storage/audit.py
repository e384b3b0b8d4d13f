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
_Equal = tuple[str, object]
"""A column and the one value that it must have."""

_NEWEST = " ORDER BY at DESC, seq DESC LIMIT ?"


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
    people: list[list[_Equal]] = [[(column, filters.person)] for column in ("actor", "subject")]
    events: list[list[_Equal]] = [[("event", event)] for event in _events(filters.event or "")]
    if filters.person is None:
        people = [[]]
    if filters.event is None:
        events = [[]]
    end = _end(db, filters, before)
    scans = [
        _scan(db, [*_rare(filters), *person, *event, *_common(filters)], filters.since, end, size)
        for person, event in product(people, events)
    ]
    if not scans:
        return []
    where, values = scans[0] if len(scans) == 1 else _any(scans, size)
    return [Record(*row) for row in db.rows(f"SELECT {_COLUMNS} FROM audit{where}", *values)]


_End = tuple[int, int] | None
"""Time and number of the record before which a page ends; None when it begins with the newest."""


def _end(db: Database, filters: Filters, before: int | None) -> _End:
    found = None if before is None else db.row("SELECT at FROM audit WHERE seq = ?", before)
    ends = [(int(found[0]), before)] if found is not None and before is not None else []
    return min([*ends, *([(filters.until, 0)] if filters.until is not None else [])], default=None)


_Scan = tuple[str, list[object]]
"""What follows `FROM audit` to find one page, with its values."""


def _scan(db: Database, equal: Sequence[_Equal], since: int | None, end: _End, size: int) -> _Scan:
    """Looks in the index of the first column. Time and number stand in every index behind what it is for, so a page
    is read from there in its order."""
    parts = [f"{db.beside if number else ''}{column} = ?" for number, (column, _) in enumerate(equal)]
    values = [value for _, value in equal]
    if since is not None:
        parts.append("at >= ?")
        values.append(since)
    if end is not None:
        parts.append("(at, seq) < (?, ?)")
        values += end
    where = " WHERE " + " AND ".join(parts) if parts else ""
    return where + _NEWEST, [*values, size]


def _any(scans: Sequence[_Scan], size: int) -> _Scan:
    """One page of what any of these find."""
    found = " UNION ".join(f"SELECT seq FROM (SELECT seq FROM audit{where}) AS found" for where, _ in scans)
    return f" WHERE seq IN ({found}){_NEWEST}", [*(value for _, values in scans for value in values), size]


def _events(beginning: str) -> list[str]:
    """The events whose name is or begins with this. Which text begins with which is not left to the database: that
    depends on its collation."""
    return [str(event) for event in Event if event.startswith(beginning)]


def _rare(filters: Filters) -> list[_Equal]:
    """What few records have."""
    return [
        (name, value) for name, value in (('"grant"', filters.grant), ("request", filters.request)) if value is not None
    ]


def _common(filters: Filters) -> list[_Equal]:
    """What many records have."""
    return [(name, value) for name, value in (("role", filters.role), ("system", filters.system)) if value is not None]


def _where(filters: Filters, last: int) -> tuple[str, list[object]]:
    equal = [*_rare(filters), *_common(filters)]
    parts = [*(f"{column} = ?" for column, _ in equal), "seq <= ?"]
    values: list[object] = [*(value for _, value in equal), last]
    if filters.since is not None:
        parts.append("at >= ?")
        values.append(filters.since)
    if filters.until is not None:
        parts.append("at < ?")
        values.append(filters.until)
    if filters.event is not None:
        events = _events(filters.event)
        parts.append(f"event IN ({', '.join('?' * len(events)) or 'NULL'})")
        values += events
    if filters.person is not None:
        parts.append("(actor = ? OR subject = ?)")
        values += [filters.person, filters.person]
    return " WHERE " + " AND ".join(parts), values
