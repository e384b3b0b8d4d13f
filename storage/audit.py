"""The audit log: appended to in the transaction of what it records, searched page by page, walked from the start.

Appending takes the head row's lock last, so that there is one chain whatever the number of processes.
"""

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

_COLUMNS = ", ".join(f'"{name}"' if name == "grant" else name for name in COLUMNS)
_MARKS = ", ".join("?" * len(COLUMNS))

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


class Chain:
    """The head of the log as this process knows it, so that a forged log is not built upon in silence.

    One for each process and database; any thread may append.
    """

    def __init__(self, seals: Seals) -> None:
        self.seals = seals
        self._written = (-1, "", "")
        self._committed = (-1, "")

    def wrote(self, db: Database, seq: int, digest: str, seal: str) -> None:
        """A transaction under way wrote this head."""
        self._written = (seq, digest, seal)
        db.after_commit(lambda: self._commit(seq, digest))

    def _commit(self, seq: int, digest: str) -> None:
        self._committed = max(self._committed, (seq, digest))

    def newest(self) -> tuple[int, str]:
        """Number and hash of the newest head that this process has committed; number -1 for none. To be read before
        the head that it is compared with."""
        return self._committed

    def problem(self, found: "Head", newest: tuple[int, str]) -> tuple[str, bool]:
        """What is wrong with a head, "" for a good one; and whether only a key may be missing."""
        if found[:3] != self._written:
            check = self.seals.check_seal(found.seal, found.seq, found.hash)
            if check is SealCheck.FALSE:
                what = f"record {found.seq}" if found.seq else "of an empty log"
                return f"the head, {what}, did not carry our seal", False
            if found.seq < newest[0]:
                return f"the log was put back to record {found.seq}, after record {newest[0]} was written", False
            if found.seq == newest[0] and found.hash != newest[1]:
                return f"record {found.seq} is not the one that was written", False
            if check is SealCheck.OTHER_KEY:
                return f"the head, record {found.seq}, was sealed with a key that is not in ACCESS_SECRET_KEYS", True
        if found.last > found.seq:
            return f"records {found.seq + 1} to {found.last} were added behind the sealed end", False
        if found.last < found.seq:
            return f"records {found.last + 1} to {found.seq} were cut off", False
        return "", False


class Head(NamedTuple):
    """The head row, and the number of the last record that is there (0 for none)."""

    seq: int
    hash: str
    seal: str
    last: int


def append(db: Database, entries: Iterable[Entry], at: int, chain: Chain) -> Break | None:
    """Adds entries to the chain and seals its new head.

    The head that is built upon must be ours. Where it is not, a record `audit:head:broken` goes before the entries,
    and what was found is given back: access has to end whatever somebody did to the log.
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
        seq = max(seq, chain.newest()[0])  # numbers that were given once are not given again
    rows = chained(entries, at, seq, prev)
    sql = f"INSERT INTO audit ({_COLUMNS}) VALUES ({_MARKS})"
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
    """The head, held until the transaction ends. Who deleted it must not stop ends: another one is made."""
    row = db.row(_HEAD + db.lock_row)
    if row is None:
        insert = "INSERT INTO audit_head (id, seq, hash, seal) VALUES (1, ?, ?, '') ON CONFLICT DO NOTHING"
        db.run(insert, *_last_record(db))
        row = db.row(_HEAD + db.lock_row)
        assert row is not None
    found = Head(*row)
    if found.last < found.seq:  # PostgreSQL counted the records before it waited for the lock
        found = found._replace(last=_last_record(db)[0])
    return found


def _last_record(db: Database) -> tuple[int, str]:
    """Number and hash of the last record that is there."""
    row = db.row("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
    return (int(row[0]), str(row[1])) if row else (0, GENESIS)


def _end(db: Database, found: Head) -> tuple[int, str]:
    """Where a broken log goes on: behind every record that is there, and behind every number that was sealed."""
    last = _last_record(db)
    return last if last[0] >= found.seq else (found.seq, found.hash)


def _broken(found: Head, why: str, key_missing: bool) -> Entry:
    detail = {"why": why, "head": found.seq, "hash": found.hash, "seal": found.seal, "last": found.last}
    return Entry(Event.HEAD_BROKEN, "system", detail={**detail, "key_missing": key_missing})


def begin(db: Database, seals: Seals) -> None:
    """Seals the head of a log that has no record yet, unless there is something that it should tell of."""
    db.run(f"UPDATE audit_head SET seal = ? WHERE {_IS_NEW}", seals.seal(0, GENESIS), GENESIS)


def is_new(db: Reads) -> bool:
    """Whether nobody has sealed the head yet, and there is nothing that the log should tell of."""
    return db.row(f"SELECT 1 FROM audit_head WHERE {_IS_NEW}", GENESIS) is not None


_IS_NEW = "id = 1 AND seq = 0 AND seal = '' AND hash = ? AND " + " AND ".join(
    f"NOT EXISTS (SELECT 1 FROM {table})" for table in ("audit", "requests", "grants")
)


def head(db: Reads) -> Head | None:
    """The newest record as the head row has it; None when that row is missing."""
    found = db.row(_HEAD)
    return Head(*found) if found else None


def breaks(db: Reads, seals: Seals) -> Break | None:
    """The first place where the bot noticed a log that was changed behind it."""
    rows = db.rows("SELECT seq, prev, detail FROM audit WHERE event = ? ORDER BY at, seq LIMIT 1000", Event.HEAD_BROKEN)
    found = (marked_break(seq, prev, detail, seals) for seq, prev, detail in rows)
    return next((each for each in found if each is not None), None)


def walk(db: Reads) -> Iterator[tuple[Any, ...]]:
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
