"""Threads that write to one SQLite file: one transaction at a time, each as a whole or not at
all."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial

import peewee
import pytest

from bot.core.errors import StorageUnavailable
from storage import key_values
from storage.database import Database
from tests.concurrency import together


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    with closing(Database(sqlite_url, wait=4)) as made:
        yield made


def _names(database: Database) -> set[str]:
    with database.reading():
        return {
            str(key) for (key,) in database.rows("SELECT key FROM key_values WHERE key LIKE 'n%'")
        }


def _put(database: Database, key: str) -> None:
    with database.transaction():
        key_values.put(database, key, "value")


def _fail_to(commit: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the next commits on any connection fail like this."""
    monkeypatch.setattr(peewee.SqliteDatabase, "commit", lambda _: commit())


def test_every_commit_of_many_threads_is_in_the_database(database: Database) -> None:
    def put(thread: int) -> None:
        for n in range(20):
            _put(database, f"n{thread}.{n}")

    together(database, [partial(put, thread) for thread in range(16)])
    assert _names(database) == {f"n{thread}.{n}" for thread in range(16) for n in range(20)}


def test_a_transaction_that_raises_undoes_no_other_threads_work(database: Database) -> None:
    def act(n: int) -> None:
        with suppress(ValueError), database.transaction():
            key_values.put(database, f"n{n}", "value")
            if n % 3 == 0:
                raise ValueError(n)

    together(database, [partial(act, n) for n in range(30)])
    assert _names(database) == {f"n{n}" for n in range(30) if n % 3}


def test_a_thread_that_waits_too_long_for_the_lock_gives_up_and_changes_nothing(
    sqlite_url: str,
) -> None:
    with closing(Database(sqlite_url, wait=0.4)) as database:
        held, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with closing(database), database.transaction():
                held.set()
                leave.wait(10)

        with ThreadPoolExecutor(1) as pool:
            holder = pool.submit(hold)
            held.wait(10)
            with pytest.raises(StorageUnavailable, match="locked"):
                _put(database, "n1")
            leave.set()
            holder.result(10)
        _put(database, "n2")
        assert _names(database) == {"n2"}


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("disk I/O error"), KeyboardInterrupt()], ids=repr
)
def test_a_commit_that_fails_leaves_nothing_and_blocks_no_other_thread(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    with monkeypatch.context() as broken:
        _fail_to(fail, broken)
        with pytest.raises((StorageUnavailable, KeyboardInterrupt), match=str(error) or None):
            _put(database, "n1")
    together(database, [partial(_put, database, "n2")])
    _put(database, "n3")
    assert _names(database) == {"n2", "n3"}


def test_a_commit_that_fails_says_why_although_sqlite_has_already_rolled_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        database.rows("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        _fail_to(fail, broken)
        with pytest.raises(StorageUnavailable, match="disk is full"):
            _put(database, "n1")
    _put(database, "n2")
    assert _names(database) == {"n2"}


def _fill(database: Database) -> None:
    """Fills the disk for large values, until this thread has a new connection."""
    with database.transaction():
        pages = database.row("PRAGMA page_count")
        assert pages is not None
        database.rows(f"PRAGMA max_page_count = {pages[0] + 3}")


def _too_large(database: Database) -> None:
    with suppress(sqlite3.OperationalError):
        key_values.put(database, "n2", "x" * 200_000)


def _statement(database: Database) -> None:
    key_values.put(database, "n3", "after")


def _many(database: Database) -> None:
    database.run_many("INSERT INTO key_values VALUES (?, ?)", [("n3", "after")])


def _scope(database: Database) -> None:
    with database.transaction():
        key_values.put(database, "n3", "after")


def _nothing(database: Database) -> None:
    pass


@pytest.mark.parametrize("then", [_nothing, _statement, _many, _scope])
def test_a_swallowed_error_of_a_full_disk_still_undoes_the_whole_transaction(
    database: Database, then: Callable[[Database], None]
) -> None:
    """SQLite rolled everything back, and would commit each later statement alone."""
    _fill(database)
    with pytest.raises(StorageUnavailable, match="given up"), database.transaction():
        key_values.put(database, "n1", "before")
        _too_large(database)
        then(database)
    assert _names(database) == set()
    _put(database, "n4")
    assert _names(database) == {"n4"}
