"""The audit log: appended to in the transaction of what it records, searched page by page, walked from the start.

Appending takes the head row's lock last, so that there is one chain whatever the number of processes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.audit import COLUMNS, Entry, Event, Record, chained
from bot.core.export import COPIED_NULL
from storage.database import Database

_COLUMNS = ", ".join(f'"{name}"' if name == "grant" else name for name in COLUMNS)
_MARKS = ", ".join("?" * len(COLUMNS))

Seal = Callable[[int, str], str]
_NEWEST = " ORDER BY at DESC, seq DESC"


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


def export_csv(db: Database, filters: Filters, last: int) -> Iterator[bytes | bytearray | memoryview]:
    """The same as lines of CSV that PostgreSQL makes, for `csv_copied`; PostgreSQL only."""
    condition, values = _where(filters, last)
    columns = ", ".join(_AT if column == "at" else column for column in _COLUMNS.split(", "))
    return db.copy_csv(f"SELECT {columns} FROM audit{condition} ORDER BY seq", *values, null=COPIED_NULL)


_AT = "to_char(timestamp '1970-01-01' + at * interval '1 second', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
"""What `rfc3339` says."""


def count(db: Database, filters: Filters, last: int) -> int:
    """How many rows `export` gives."""
    condition, values = _where(filters, last)
    found = db.row(f"SELECT COUNT(*) FROM audit{condition}", *values)
    return int(found[0]) if found else 0


def page(db: Database, filters: Filters, before: int | None, size: int) -> list[Record]:
    """The newest records first, and of one second the last written first; those that stand behind record `before`.

    A person is an actor or a subject, the beginning of an event's name means several. Each of them is read from its own
    place in an index, in order and no further than the page goes, instead of all of them to be sorted.
    """
    events = _events(filters.event or "")
    if not events:
        return []
    asked = {name for name in (*_COLUMN, "person") if getattr(filters, name) is not None}
    if filters.event is not None:
        asked.add("event" if len(events) == 1 else "kind")
    indexed = next((index for index in _INDEXES if asked.issuperset(index)), ())
    aside = db.beside or (_ASIDE if _FEW.issuperset(indexed) else "")

    def equal(name: str, column: str, value: object) -> _Part:
        return f"{'' if name in indexed else aside}{column} = ?", [value]

    common = [equal(name, column, getattr(filters, name)) for name, column in _COLUMN.items() if name in asked]
    if "event" in asked:
        common.append(equal("event", "event", events[0]))
    elif "kind" in asked and "kind" not in indexed:
        common.append((f"{aside}event IN ({_marks(events)})", [*events]))
    common += _times(filters.since, filters.until, before)
    if "person" in asked:
        actor, subject = (equal("person", column, filters.person) for column in ("actor", "subject"))
        sql, values = _newest(db, [_all([actor, *common]), _all([subject, _NOT_ACTOR, *common])], size)
    elif "kind" in indexed:
        sql, values = _newest_of_events(db, events, common, size)
    else:
        sql, values = _newest(db, [_all(common)], size)
    return [Record(*row) for row in db.rows(sql, *values)]


_COLUMN = {"grant": '"grant"', "request": "request", "role": "role", "system": "system"}
_INDEXES = (
    ("grant",),
    ("request",),
    ("person",),
    ("role", "event"),
    ("role", "system"),
    ("role", "kind"),
    ("system", "event"),
    ("system", "kind"),
    ("role",),
    ("system",),
    ("event",),
    ("kind",),
)
"""An index is looked in for these, the first one of whose words all are asked for: of it there are the fewest records.
A kind is several events, each of which is looked for. Time and number stand in every index behind its words, so a page
is read from there in its order."""

_FEW = {"grant", "request"}
_ASIDE = "'' || "
"""Beside one of those few, PostgreSQL would also go through the index of what many records have."""

_Part = tuple[str, list[object]]
"""A condition and its values."""

_NOT_ACTOR: _Part = ("subject <> actor", [])
"""Said by every search for a subject: the index has only these, and so nothing is found twice."""


def _all(parts: Iterable[_Part]) -> _Part:
    """What follows `FROM audit` so that all of it holds."""
    parts = list(parts)
    where = " AND ".join(sql for sql, _ in parts)
    return f" WHERE {where}" if where else "", [value for _, values in parts for value in values]


def _newest(db: Database, scans: Sequence[_Part], size: int) -> _Part:
    """The page of what any of these scans finds, none of which finds what another does.

    SQLite reads them side by side in order as far as the page goes. PostgreSQL does so only with a limit on each, and
    is quicker when it carries only numbers until the page is known.
    """
    values = [value for _, values in scans for value in values]
    if db.is_sqlite or len(scans) == 1:
        found = " UNION ALL ".join(f"SELECT {_COLUMNS} FROM audit{where}" for where, _ in scans)
        return f"{found}{_NEWEST} LIMIT ?", [*values, size]
    found = " UNION ALL ".join(f"(SELECT at, seq FROM audit{where}{_NEWEST} LIMIT ?)" for where, _ in scans)
    return _numbered(f"({found}) AS found"), [*(v for _, values in scans for v in (*values, size)), size]


def _newest_of_events(db: Database, events: list[str], common: list[_Part], size: int) -> _Part:
    """The same with a scan for each event. If they were written out, PostgreSQL would plan every one of them anew."""
    if db.is_sqlite:
        return _newest(db, [_all([("event = ?", [event]), *common]) for event in events], size)
    where, values = _all([("event = kind.event", []), *common])
    each = f"SELECT at, seq FROM audit{where}{_NEWEST} LIMIT ?"
    found = f"unnest(?::text[]) AS kind(event) CROSS JOIN LATERAL ({each}) AS found"
    return _numbered(found), [events, *values, size, size]


def _numbered(found: str) -> str:
    """The page of the records whose time and number are found there."""
    numbers = f"SELECT found.seq FROM {found} ORDER BY found.at DESC, found.seq DESC LIMIT ?"
    return f"SELECT {_COLUMNS} FROM audit WHERE seq = ANY (ARRAY({numbers})){_NEWEST}"


def _times(since: int | None, until: int | None, before: int | None) -> list[_Part]:
    """From then, until then, and behind record `before`. Its time is looked up in the same statement, if it is before
    `until` at all; the plus keeps the databases from beginning at `until` and reading up to there."""
    parts: list[_Part] = []
    if since is not None:
        parts.append(("at >= ?", [since]))
    if until is not None:
        parts.append((f"at{'' if before is None else ' + 0'} < ?", [until]))
    if before is not None:
        end = "COALESCE((SELECT at FROM audit WHERE seq = ? AND at < ?), ?)"
        latest = _NEVER if until is None else until
        parts.append((f"(at, seq) < ({end}, ?)", [before, latest, latest, before]))
    return parts


_NEVER = 2**63 - 1


def _events(beginning: str) -> list[str]:
    """The events whose name is or begins with this. Which text begins with which is not left to the database: that
    depends on its collation."""
    return [str(event) for event in Event if event.startswith(beginning)]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _where(filters: Filters, last: int) -> tuple[str, list[object]]:
    parts: list[_Part] = [
        (f"{column} = ?", [getattr(filters, name)])
        for name, column in _COLUMN.items()
        if getattr(filters, name) is not None
    ]
    parts += [("seq <= ?", [last]), *_times(filters.since, filters.until, None)]
    if filters.event is not None:
        events = _events(filters.event)
        parts.append((f"event IN ({_marks(events) or 'NULL'})", [*events]))
    if filters.person is not None:
        parts.append((f"(actor = ? OR subject = ? AND {_NOT_ACTOR[0]})", [filters.person, filters.person]))
    return _all(parts)
