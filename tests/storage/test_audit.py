"""The audit log on both databases: it only grows, it is one chain with many writers, and it can be
searched."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import psycopg
import pytest

from bot.core.audit import GENESIS, Break, Entry, Event, check_links
from bot.tokens import Signer
from storage import audit
from storage.audit import Filters
from storage.database import Database
from tests.concurrency import processes, together

AT = 1_790_000_000
SPOILS = {
    "update": "UPDATE audit SET reason = 'nothing happened' WHERE seq = 2",
    "delete": "DELETE FROM audit WHERE seq = 2",
    "update of the head": "UPDATE audit_head SET seq = 1",
    "the same head again": "UPDATE audit_head SET hash = 'x'",
    "delete of the head": "DELETE FROM audit_head",
}
SQLITE_SPOILS = {
    "replace": (
        "INSERT OR REPLACE INTO audit SELECT seq, at, event, 'somebody', subject, role, system,"
        ' request, "grant", reason, detail, prev, hash FROM audit WHERE seq = 2'
    ),
    "replace of the head": (
        "INSERT OR REPLACE INTO audit_head (id, seq, hash, seal) VALUES (1, 0, 'x', '')"
    ),
}
POSTGRES_SPOILS = {
    "truncate": "TRUNCATE audit",
    "truncate of the head": "TRUNCATE audit_head",
    "overwriting insert": (
        "INSERT INTO audit SELECT * FROM audit WHERE seq = 2 ON CONFLICT (seq) DO UPDATE SET at = 0"
    ),
}
APPEND = """
import sys
from bot.core.audit import Entry, Event
from storage import audit
from storage.database import Database
from bot.tokens import Signer
database, chain = Database(sys.argv[1]), audit.Chain(Signer(["k" * 32]))
for n in range(40):
    with database.transaction():
        entries = [Entry(Event.REQUEST_ASKED, "U1"), Entry(Event.VOTE_GIVEN, "U2")]
        audit.append(database, entries, n, chain)
database.close()
"""


SIGNER = Signer(["k" * 32])


def _append(
    db: Database, *entries: Entry, at: int = AT, chain: audit.Chain | None = None
) -> Break | None:
    """Appends like a process that starts with this record, unless `chain` is given."""
    with db.transaction():
        audit.begin(db, SIGNER)
        return audit.append(db, entries, at, chain or audit.Chain(SIGNER))


def _walked(db: Database) -> list[tuple[object, ...]]:
    return list(audit.walk(db))


def _said(number: int, **facts: str) -> list[Entry]:
    return [
        Entry(Event.REQUEST_ASKED, "U0ANA", reason=f"record {n}", **facts) for n in range(number)
    ]  # type: ignore[arg-type]


def _refuses(db: Database, sql: str) -> None:
    _append(db, *_said(3))
    before = _walked(db)
    with (
        pytest.raises((sqlite3.DatabaseError, psycopg.DatabaseError), match="append-only"),
        db.transaction(),
    ):
        db.run(sql)
    assert _walked(db) == before


@pytest.mark.parametrize("sql", SPOILS.values(), ids=SPOILS)
def test_what_the_log_refuses(database: Database, sql: str) -> None:
    _refuses(database, sql)


@pytest.mark.parametrize("sql", SQLITE_SPOILS.values(), ids=SQLITE_SPOILS)
def test_what_the_log_in_sqlite_refuses(sqlite_url: str, sql: str) -> None:
    database = Database(sqlite_url)
    _refuses(database, sql)
    database.close()


@pytest.mark.parametrize("sql", POSTGRES_SPOILS.values(), ids=POSTGRES_SPOILS)
def test_what_the_log_in_postgresql_refuses(postgres_url: str, sql: str) -> None:
    database = Database(postgres_url)
    _refuses(database, sql)
    database.close()


class TestChain:
    def test_the_first_record_follows_sixty_four_zeros(self, database: Database) -> None:
        _append(database, *_said(1))
        (row,) = _walked(database)
        assert (row[0], row[11]) == (1, GENESIS)

    def test_an_empty_log_has_an_empty_head(self, database: Database) -> None:
        with database.reading():
            assert audit.head(database) == (0, GENESIS, "", 0)

    def test_the_head_is_the_newest_record_and_sealed(self, database: Database) -> None:
        _append(database, *_said(3))
        with database.reading():
            digest = str(_walked(database)[-1][12])
            assert audit.head(database) == (3, digest, SIGNER.seal(3, digest), 3)

    def test_an_empty_append_does_not_change_the_head(self, database: Database) -> None:
        _append(database)
        with database.reading():
            assert audit.head(database) == (0, GENESIS, SIGNER.seal(0, GENESIS), 0)

    def test_a_rolled_back_record_leaves_no_gap(self, database: Database) -> None:
        _append(database, *_said(2))
        with pytest.raises(KeyError), database.transaction():
            audit.append(database, _said(5), AT, audit.Chain(SIGNER))
            raise KeyError
        _append(database, *_said(2))
        assert check_links(_walked(database))[:2] == (None, 4)

    def test_eight_threads_write_one_chain(self, database: Database) -> None:
        def write() -> None:
            for _ in range(10):
                _append(database, *_said(2))

        together(database, [write] * 8)
        assert check_links(_walked(database))[:2] == (None, 160)

    def test_four_processes_write_one_chain(self, database: Database, database_url: str) -> None:
        _append(database)
        processes(4, APPEND, database_url)
        assert check_links(_walked(database))[:2] == (None, 320)

    @pytest.mark.parametrize(
        ("typed", "kept"),
        [
            ("naïve 修复 🚑", "naïve 修复 🚑"),
            ("'; DROP TABLE audit; --", "'; DROP TABLE audit; --"),
            ("tab\tnew\r\nline \u202e\u200b", "tab\tnew\r\nline \u202e\u200b"),
            ("a\x00b", "a\ufffdb"),
            ("half of a \ud83d pair", "half of a \ufffd pair"),
        ],
        ids=["other scripts", "SQL", "control characters", "NUL", "a lone surrogate"],
    )
    def test_a_reason_is_stored_as_typed(self, database: Database, typed: str, kept: str) -> None:
        _append(
            database,
            Entry(Event.ACTION_REFUSED, "U1", reason=typed, role=typed, detail={"why": typed}),
        )
        (row,) = _walked(database)
        assert (row[9], row[5]) == (kept, kept)
        assert check_links([row])[0] is None


PEOPLE = ("U1", "U2", "U3")
EVENTS = (
    Event.REQUEST_ASKED,
    Event.APPROVAL_GIVEN,
    Event.GRANT_STARTED,
    Event.END_ASKED,
    Event.PANIC_ON,
)
FILTERS: dict[str, tuple[Filters, Callable[[Sequence[object]], bool]]] = {
    "everything": (Filters(), lambda row: True),
    "who did it or had it done": (Filters(person="U2"), lambda row: "U2" in (row[3], row[4])),
    "role": (Filters(role="r1"), lambda row: row[5] == "r1"),
    "system": (Filters(system="s0"), lambda row: row[6] == "s0"),
    "request": (Filters(request="q3"), lambda row: row[7] == "q3"),
    "grant": (Filters(grant="g2"), lambda row: row[8] == "g2"),
    "one event": (Filters(event="grant:end:asked"), lambda row: row[2] == "grant:end:asked"),
    "all events of grants": (Filters(event="grant"), lambda row: str(row[2]).startswith("grant")),
    "part of an event": (
        Filters(event="request:a"),
        lambda row: str(row[2]).startswith("request:a"),
    ),
    "no such event": (Filters(event="grants"), lambda row: False),
    "since": (Filters(since=AT + 30), lambda row: int(str(row[1])) >= AT + 30),
    "until, itself not": (Filters(until=AT + 30), lambda row: int(str(row[1])) < AT + 30),
    "text of a reason": (Filters(text="% of ORDERS"), lambda row: "of Orders" in str(row[9])),
    "text with a sign of a pattern": (
        Filters(text=r":\queue_"),
        lambda row: "queue" in str(row[9]),
    ),
    "text that would match as a pattern": (Filters(text="n_thing"), lambda row: False),
    "person, event and time": (
        Filters(person="U1", event="grant", since=AT + 5, until=AT + 50),
        lambda row: (
            "U1" in (row[3], row[4])
            and str(row[2])[:5] == "grant"
            and AT + 5 <= int(str(row[1])) < AT + 50
        ),
    ),
}


def _a_log(db: Database) -> list[tuple[object, ...]]:
    for n in range(60):
        entry = Entry(
            EVENTS[n % 5],
            PEOPLE[n % 3],
            PEOPLE[n // 3 % 3],
            f"r{n % 4}",
            f"s{n % 2}",
            f"q{n % 7}",
            f"g{n % 6}",
            ("100% of Orders", r"C:\queue_1", "nothing")[n % 3],
        )
        _append(db, entry, at=AT + n)
    return _walked(db)


def _paged(db: Database, filters: Filters, size: int) -> list[int]:
    """The numbers of all records, from page to page."""
    found: list[int] = []
    with db.reading():
        while page := audit.page(db, filters, found[-1] if found else None, size):
            found += [record.seq for record in page]
    return found


WORDS: dict[str, tuple[Any, ...]] = {
    "person": (None, "U2", "U9"),
    "role": (None, "r1"),
    "system": (None, "s0"),
    "event": (None, "grant:end:asked", "grant"),
    "request": (None, "q3"),
    "grant": (None, "g2"),
    "since": (None, AT + 9),
    "until": (None, AT + 21),
}


def _matches(filters: Filters, row: Sequence[object]) -> bool:
    at, event = int(str(row[1])), str(row[2])
    return (
        filters.person in (None, row[3], row[4])
        and (filters.role, filters.system) in product((None, row[5]), (None, row[6]))
        and (filters.request, filters.grant) in product((None, row[7]), (None, row[8]))
        and event.startswith(filters.event or "")
        and at >= (filters.since or 0)
        and (filters.until is None or at < filters.until)
    )


class TestSearch:
    @pytest.mark.parametrize("name", FILTERS)
    def test_pages_and_export_find_exactly(self, database: Database, name: str) -> None:
        filters, matches = FILTERS[name]
        wanted = [int(str(row[0])) for row in _a_log(database) if matches(row)]
        assert _paged(database, filters, 7) == wanted[::-1]
        assert [row[0] for row in audit.export(database, filters, 60)] == wanted
        with database.reading():
            assert audit.count(database, filters, 60) == len(wanted)

    def test_any_filters_together_find_records_in_the_order_of_their_times(
        self, database: Database
    ) -> None:
        """Also when the clock was set back, and when several records have one time."""
        for n in range(120):
            facts = {
                "role": f"r{n % 4}",
                "system": f"s{n % 3}",
                "request": f"q{n % 7}",
                "grant": f"g{n % 6}",
            }
            entry = Entry(EVENTS[n % 5], PEOPLE[n % 3], PEOPLE[n // 3 % 3], **facts)  # type: ignore[arg-type]
            _append(database, entry, at=AT + n * 7 % 30)
        log = sorted(
            _walked(database), key=lambda row: (int(str(row[1])), int(str(row[0]))), reverse=True
        )
        for given in product(*WORDS.values()):
            filters = Filters(**dict(zip(WORDS, given, strict=True)))
            wanted = [row[0] for row in log if _matches(filters, row)]
            assert _paged(database, filters, 5) == wanted, filters
            with database.reading():
                assert audit.count(database, filters, 120) == len(wanted), filters

    def test_an_export_ends_at_its_counted_record(self, database: Database) -> None:
        _append(database, *_said(5))
        assert [row[0] for row in audit.export(database, Filters(), 3)] == [1, 2, 3]
