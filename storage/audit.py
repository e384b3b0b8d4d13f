"""Appends to the audit log within the transaction that it records, searches it page by page, and
reads it from the start.

Appending takes the lock of the head row last, so that any number of processes write one chain.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bot.core.audit import (
    COLUMNS,
    GENESIS,
    Break,
    Entry,
    Event,
    Record,
    SealCheck,
    Seals,
    chained,
    marked_break,
)
from storage.database import Database, Reads

COLUMN_LIST = ", ".join(f'"{name}"' if name == "grant" else name for name in COLUMNS)
_MARKS = ", ".join("?" * len(COLUMNS))

_NEWEST = " ORDER BY at DESC, seq DESC"


@dataclass(frozen=True, slots=True)
class Filters:
    """The search terms; None matches everything. `person` is an actor or a subject, `event` a full
    name or a prefix. `since` and `until` are UTC seconds; `until` itself is excluded. `text` is a
    part of the reason; the letters A to Z match in either case."""

    person: str | None = None
    role: str | None = None
    system: str | None = None
    event: str | None = None
    request: str | None = None
    grant: str | None = None
    since: int | None = None
    until: int | None = None
    text: str | None = None


class Chain:
    """The head of the log as this process last wrote it, so that a forged log is noticed before it
    is extended.

    There is one for each process and database; any thread may append.
    """

    def __init__(self, seals: Seals) -> None:
        self.seals = seals
        self._written = (-1, "", "")
        self._committed = (-1, "")

    def wrote(self, db: Database, seq: int, digest: str, seal: str) -> None:
        """Remembers a head that the current transaction wrote."""
        self._written = (seq, digest, seal)
        db.after_commit(lambda: self._commit(seq, digest))

    def _commit(self, seq: int, digest: str) -> None:
        self._committed = max(self._committed, (seq, digest))

    def newest(self) -> tuple[int, str]:
        """Returns number and hash of the newest head that this process committed; number -1 for
        none. Call it before you read the head that it is compared with."""
        return self._committed

    def problem(self, found: "Head", newest: tuple[int, str]) -> tuple[str, bool]:
        """Returns why a head is wrong, or "" for a good one, and whether a missing key may be the
        only reason."""
        if found[:3] != self._written:
            check = self.seals.check_seal(found.seal, found.seq, found.hash)
            if check is SealCheck.FALSE:
                what = f"record {found.seq}" if found.seq else "of an empty log"
                return f"the head, {what}, did not carry our seal", False
            if found.seq < newest[0]:
                return (
                    (
                        f"the log was put back to record {found.seq}, after record {newest[0]} was"
                        " written"
                    ),
                    False,
                )
            if found.seq == newest[0] and found.hash != newest[1]:
                return f"record {found.seq} is not the one that was written", False
            if check is SealCheck.OTHER_KEY:
                return (
                    (
                        f"the head, record {found.seq}, was sealed with a key that is not in"
                        " ACCESS_SECRET_KEYS"
                    ),
                    True,
                )
        if found.last > found.seq:
            return (
                f"records {found.seq + 1} to {found.last} were added behind the sealed end",
                False,
            )
        if found.last < found.seq:
            return f"records {found.last + 1} to {found.seq} were cut off", False
        return "", False


class Head(NamedTuple):
    """The head row, and the number of the last record that exists (0 for none)."""

    seq: int
    hash: str
    seal: str
    last: int


def append(db: Database, entries: Iterable[Entry], at: int, chain: Chain) -> Break | None:
    """Adds entries to the chain and seals its new head.

    The current head must be one that the bot sealed. If it is not, the record `audit:head:broken`
    precedes the entries, and the break is returned: access has to end even if the log was tampered
    with.
    """
    entries = list(entries)
    if not entries:
        return None
    found = _locked_head(db)
    why, key_missing = chain.problem(found, chain.newest())
    seq, prev = found.seq, found.hash
    if why:
        entries.insert(0, _broken(found, why, key_missing))
        seq, prev = _end(db, found)
        seq = max(seq, chain.newest()[0])  # a number is never used twice
    rows = chained(entries, at, seq, prev)
    sql = f"INSERT INTO audit ({COLUMN_LIST}) VALUES ({_MARKS})"
    if len(rows) == 1:
        db.run(sql, *rows[0])
    else:
        db.run_many(sql, rows)
    seq, digest = int(str(rows[-1][0])), str(rows[-1][-1])
    seal = chain.seals.seal(seq, digest)
    db.run(_SET_HEAD, seq, digest, seal)
    chain.wrote(db, seq, digest, seal)
    return Break(int(str(rows[0][0])), why) if why else None


_SET_HEAD = "UPDATE audit_head SET seq = ?, hash = ?, seal = ? WHERE id = 1"
_LAST = "(SELECT COALESCE(MAX(seq), 0) FROM audit)"
_HEAD = f"SELECT seq, hash, seal, {_LAST} FROM audit_head WHERE id = 1"


def _locked_head(db: Database) -> Head:
    """Returns the head, locked until the transaction ends. Creates it again if it was deleted,
    because that must not stop the end of access."""
    row = db.row(_HEAD + db.lock_row)
    if row is None:
        insert = (
            "INSERT INTO audit_head (id, seq, hash, seal) VALUES (1, ?, ?, '') ON CONFLICT DO"
            " NOTHING"
        )
        db.run(insert, *_last_record(db))
        row = db.row(_HEAD + db.lock_row)
        assert row is not None
    found = Head(*row)
    if found.last < found.seq:  # PostgreSQL read it before it waited for the lock
        found = found._replace(last=_last_record(db)[0])
    return found


def _last_record(db: Database) -> tuple[int, str]:
    """Returns number and hash of the last record that exists."""
    row = db.row("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
    return (int(row[0]), str(row[1])) if row else (0, GENESIS)


def _end(db: Database, found: Head) -> tuple[int, str]:
    """Returns where a broken log continues: after every record that exists and every number that
    was sealed."""
    last = _last_record(db)
    return last if last[0] >= found.seq else (found.seq, found.hash)


def _broken(found: Head, why: str, key_missing: bool) -> Entry:
    detail = {
        "why": why,
        "head": found.seq,
        "hash": found.hash,
        "seal": found.seal,
        "last": found.last,
    }
    return Entry(Event.HEAD_BROKEN, "system", detail={**detail, "key_missing": key_missing})


def begin(db: Database, seals: Seals) -> None:
    """Seals the head of an empty log, unless there are rows that the log should contain."""
    db.run(f"UPDATE audit_head SET seal = ? WHERE {_IS_NEW}", seals.seal(0, GENESIS), GENESIS)


def is_new(db: Reads) -> bool:
    """Returns whether the head was never sealed and there are no rows that the log should
    contain."""
    return db.row(f"SELECT 1 FROM audit_head WHERE {_IS_NEW}", GENESIS) is not None


_IS_NEW = "id = 1 AND seq = 0 AND seal = '' AND hash = ? AND " + " AND ".join(
    f"NOT EXISTS (SELECT 1 FROM {table})" for table in ("audit", "requests", "grants")
)


def head(db: Reads) -> Head | None:
    """Returns the newest record according to the head row; None if that row is missing."""
    found = db.row(_HEAD)
    return Head(*found) if found else None


def breaks(db: Reads, seals: Seals) -> Break | None:
    """Returns the first place where the bot noticed that the log had been changed."""
    rows = db.rows(
        "SELECT seq, prev, detail FROM audit WHERE event = ? ORDER BY at, seq LIMIT 1000",
        Event.HEAD_BROKEN,
    )
    found = (marked_break(seq, prev, detail, seals) for seq, prev, detail in rows)
    return next((each for each in found if each is not None), None)


def walk(db: Reads) -> Iterator[tuple[Any, ...]]:
    """Yields every row in the order of COLUMNS, oldest first."""
    return db.stream(f"SELECT {COLUMN_LIST} FROM audit ORDER BY seq")


class EventRow(NamedTuple):
    """The columns of a record by which rows are compared with it."""

    seq: int
    at: int
    event: str
    actor: str
    subject: str
    reason: str
    detail: str


def of_events(db: Reads, events: Sequence[str]) -> Iterator[EventRow]:
    """Yields the records of these events, oldest first."""
    sql = (
        "SELECT seq, at, event, actor, subject, reason, detail FROM audit WHERE event IN"
        f" ({_marks(events)}) ORDER BY seq"
    )
    return (EventRow(*row) for row in db.stream(sql, *map(str, events)))


def export(db: Database, filters: Filters, last: int) -> Iterator[tuple[Any, ...]]:
    """Streams rows up to record `last` in the order of COLUMNS, oldest first."""
    condition, values = _where(filters, last)
    return db.stream(f"SELECT {COLUMN_LIST} FROM audit{condition} ORDER BY seq", *values)


def requests_and_policies(
    db: Database, since: int
) -> Iterator[tuple[int, str, str, str, str, str]]:
    """Streams time, event, subject, role, request and detail of the requests from `since` on, and
    of every roles.toml that was loaded, oldest first."""
    return db.stream(
        "SELECT at, event, subject, role, request, detail FROM audit WHERE event = ? OR event = ?"
        " AND at >= ? ORDER BY seq",
        Event.POLICY_LOADED,
        Event.REQUEST_ASKED,
        since,
    )


def after(db: Database, seq: int, events: Sequence[str], limit: int) -> list[tuple[Any, ...]]:
    """Returns the records of these events after record `seq`, oldest first, in the columns of
    `LogRow`."""
    sql = (
        f"SELECT {_FACTS} FROM audit WHERE seq > ? AND {db.no_index_hint}event IN"
        f" ({_marks(events)}) ORDER BY seq LIMIT ?"
    )
    return db.rows(sql, seq, *events, limit)


def about(
    db: Database, person: str, events: Sequence[str], since: int, last: int, limit: int
) -> list[tuple[Any, ...]]:
    """Returns the newest records of these events that a person is the actor or the subject of, from
    `since` up to record `last`, oldest first, in the columns of `LogRow`."""
    found: list[tuple[Any, ...]] = []
    for column in ("actor = ?", f"subject = ? AND {_NOT_ACTOR[0]}"):
        sql = (
            f"SELECT {_FACTS} FROM audit WHERE {column} AND at >= ? AND seq <= ? AND event IN"
            f" ({_marks(events)}) ORDER BY at DESC, seq DESC LIMIT ?"
        )
        found += db.rows(sql, person, since, last, *events, limit)
    return sorted(found)[-limit:]


def facts(db: Database, since: int, events: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Streams the records of these events from `since` on, oldest first, in the columns of
    `LogRow`."""
    marks = _marks(events)
    sql = f"SELECT {_FACTS} FROM audit WHERE at >= ? AND event IN ({marks}) ORDER BY seq"
    return db.stream(sql, since, *events)


def count_facts(db: Database, since: int, events: Sequence[str]) -> int:
    """Returns the number of records that `facts` yields."""
    sql = f"SELECT COUNT(*) FROM audit WHERE at >= ? AND event IN ({_marks(events)})"
    found = db.row(sql, since, *events)
    return int(found[0]) if found else 0


def last(db: Database) -> int:
    """Returns the number of the newest record, 0 for none."""
    return _last_record(db)[0]


_FACTS = 'seq, at, event, actor, subject, role, system, request, "grant", detail'


def count_requests(db: Database, since: int) -> int:
    """Returns the number of requests that `requests_and_policies` yields."""
    found = db.row(
        "SELECT COUNT(*) FROM audit WHERE event = ? AND at >= ?", Event.REQUEST_ASKED, since
    )
    return int(found[0]) if found else 0


def policy_text_at(db: Reads, at: int) -> str:
    """Returns the text of the roles.toml that was in force at this time; "" if there is none."""
    sql = (
        "SELECT detail FROM audit WHERE event = ? AND at <= ? AND detail LIKE ? ORDER BY at DESC,"
        " seq DESC LIMIT 1"
    )
    found = db.row(sql, Event.POLICY_LOADED, at, '%"text":%')
    return str(json.loads(found[0]).get("text", "")) if found else ""


def count_events(db: Reads, event: Event, since: int, until: int) -> int:
    """Returns the number of records of this event from `since` up to `until`."""
    sql = "SELECT COUNT(*) FROM audit WHERE event = ? AND at >= ? AND at < ?"
    found = db.row(sql, event, since, until)
    return int(found[0]) if found else 0


def began_at(db: Reads) -> int | None:
    """Returns the time of the oldest record."""
    found = db.row("SELECT MIN(at) FROM audit")
    return int(found[0]) if found and found[0] is not None else None


def count_by(db: Database, actor: str, event: str, since: int, most: int) -> int:
    """Returns how many records of this event this actor caused after `since`, up to `most`."""
    sql = "SELECT at FROM audit WHERE actor = ? AND at > ? AND event = ? LIMIT ?"
    return len(db.rows(sql, actor, since, event, most))


def count(db: Database, filters: Filters, last: int) -> int:
    """Returns the number of rows that `export` yields."""
    condition, values = _where(filters, last)
    found = db.row(f"SELECT COUNT(*) FROM audit{condition}", *values)
    return int(found[0]) if found else 0


def page(db: Database, filters: Filters, before: int | None, size: int) -> list[Record]:
    """Returns the newest records before record `before`; within one second, the last written first.

    A person is an actor or a subject, and a prefix of an event name matches several events. Each is
    read in order from its own part of an index, only as far as the page needs, so that nothing is
    sorted.
    """
    events = _events(filters.event or "")
    if not events:
        return []
    search = _Search(db, filters, events)
    common = [
        *search.conditions(),
        *_reasons(filters.text),
        *_times(filters.since, filters.until, before),
    ]
    if "person" in search.asked:
        actor, subject = (search.equal("person", name, filters.person) for name in _PERSON)
        sql, values = _newest(
            db, [_all([actor, *common]), _all([subject, _NOT_ACTOR, *common])], size
        )
    elif "kind" in search.indexed:
        sql, values = _newest_of_events(db, events, common, size)
    else:
        sql, values = _newest(db, [_all(common)], size)
    return [Record(*row) for row in db.rows(sql, *values)]


_PERSON = ("actor", "subject")
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
"""The indexes to search, most selective first: the first one whose columns are all given is used. A
prefix of event names is searched event by event. Every index ends with time and number, so a page
is read from it in order."""

_FEW = {"grant", "request"}
_NO_INDEX = "'' || "
"""Keeps PostgreSQL from also scanning an index over many records beside the selective one."""

_Part = tuple[str, list[object]]
"""A condition and its values."""

_NOT_ACTOR: _Part = ("subject <> actor", [])
"""Part of every search for a subject: the index has only these rows, and no record is found
twice."""


class _Search:
    """The conditions of a page. `asked` are the given filters by name, with `kind` for a prefix of
    several events; `indexed` are those of them that the index of the search has."""

    def __init__(self, db: Database, filters: Filters, events: Sequence[str]) -> None:
        self._filters, self._events = filters, events
        self.asked = {name for name in (*_COLUMN, "person") if getattr(filters, name) is not None}
        if filters.event is not None:
            self.asked.add("event" if len(events) == 1 else "kind")
        self.indexed = next((index for index in _INDEXES if self.asked.issuperset(index)), ())
        self._no_index = db.no_index_hint or (_NO_INDEX if _FEW.issuperset(self.indexed) else "")

    def equal(self, name: str, column: str, value: object) -> _Part:
        return f"{'' if name in self.indexed else self._no_index}{column} = ?", [value]

    def conditions(self) -> Iterator[_Part]:
        """The conditions about everything except persons and times."""
        for name, column in _COLUMN.items():
            if name in self.asked:
                yield self.equal(name, column, getattr(self._filters, name))
        if "event" in self.asked:
            yield self.equal("event", "event", self._events[0])
        elif "kind" in self.asked and "kind" not in self.indexed:
            yield f"{self._no_index}event IN ({_marks(self._events)})", [*self._events]


def _all(parts: Iterable[_Part]) -> _Part:
    """Returns the part after `FROM audit` that requires every condition."""
    parts = list(parts)
    where = " AND ".join(sql for sql, _ in parts)
    return f" WHERE {where}" if where else "", [value for _, values in parts for value in values]


def _newest(db: Database, scans: Sequence[_Part], size: int) -> _Part:
    """Returns the newest page of the results of all these scans, which must not overlap.

    SQLite merges them in order, only as far as the page needs. PostgreSQL does so only if each has
    a limit, and is faster if it carries only numbers until the page is known.
    """
    values = [value for _, values in scans for value in values]
    if db.is_sqlite or len(scans) == 1:
        found = " UNION ALL ".join(f"SELECT {COLUMN_LIST} FROM audit{where}" for where, _ in scans)
        return f"{found}{_NEWEST} LIMIT ?", [*values, size]
    found = " UNION ALL ".join(
        f"(SELECT at, seq FROM audit{where}{_NEWEST} LIMIT ?)" for where, _ in scans
    )
    return _numbered(f"({found}) AS found"), [
        *(v for _, values in scans for v in (*values, size)),
        size,
    ]


def _newest_of_events(db: Database, events: list[str], common: list[_Part], size: int) -> _Part:
    """Like `_newest`, with a scan for each event. PostgreSQL would plan each of them again if they
    were written out."""
    if db.is_sqlite:
        return _newest(db, [_all([("event = ?", [event]), *common]) for event in events], size)
    where, values = _all([("event = kind.event", []), *common])
    each = f"SELECT at, seq FROM audit{where}{_NEWEST} LIMIT ?"
    found = f"unnest(?::text[]) AS kind(event) CROSS JOIN LATERAL ({each}) AS found"
    return _numbered(found), [events, *values, size, size]


def _numbered(found: str) -> str:
    """Returns the page of the records whose time and number the subquery finds."""
    numbers = f"SELECT found.seq FROM {found} ORDER BY found.at DESC, found.seq DESC LIMIT ?"
    return f"SELECT {COLUMN_LIST} FROM audit WHERE seq = ANY (ARRAY({numbers})){_NEWEST}"


def _times(since: int | None, until: int | None, before: int | None) -> list[_Part]:
    """Returns the conditions for `since`, `until` and record `before`. The time of `before` is
    looked up in the same statement, if it is earlier than `until` at all. The plus keeps the
    databases from reading all records between `before` and `until`."""
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


def _reasons(text: str | None) -> list[_Part]:
    """Returns the condition that a reason contains the text, sign for sign."""
    if text is None:
        return []
    literal = re.sub(r"([\\%_])", r"\\\1", text)
    return [("lower(reason) LIKE lower(?) ESCAPE '\\'", [f"%{literal}%"])]


def _events(beginning: str) -> list[str]:
    """Returns the events whose name is or starts with `beginning`. The database does not compare
    prefixes, because that depends on its collation."""
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
    parts += _reasons(filters.text)
    if filters.event is not None:
        events = _events(filters.event)
        parts.append((f"event IN ({_marks(events) or 'NULL'})", [*events]))
    if filters.person is not None:
        parts.append(
            (f"(actor = ? OR subject = ? AND {_NOT_ACTOR[0]})", [filters.person, filters.person])
        )
    return _all(parts)
