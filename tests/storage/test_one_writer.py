"""Many threads over SQLite's one connection: each of them whole, those that wait committed together."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial

import pytest

from bot.core.errors import StorageUnavailable
from storage import facts
from storage.database import Database
from tests.together import together


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    with closing(Database(sqlite_url, wait=4)) as made:
        yield made


def _names(database: Database) -> set[str]:
    with database.reading():
        return {str(key) for (key,) in database.rows("SELECT key FROM facts WHERE key LIKE 'n%'")}


def _put(database: Database, key: str) -> None:
    with database.transaction():
        facts.put(database, key, "value")


def _commits(database: Database, act: Callable[[], object]) -> int:
    """How many commits that took."""
    made: list[None] = []
    shared = database._shared
    real = shared.commit

    def commit() -> None:
        made.append(None)
        real()

    shared.commit = commit
    try:
        act()
    finally:
        shared.commit = real
    return len(made)


def test_everything_that_was_said_to_be_committed_is_there_for_others(database: Database) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: _put(database, f"n{n}"), range(300)))
    assert _names(database) == {f"n{n}" for n in range(300)}


def test_who_waits_is_committed_together(database: Database) -> None:
    """The first holds the turn until all others wait for theirs."""
    waiting = database._writer
    assert waiting is not None

    def first() -> None:
        with database.transaction():
            until = time.monotonic() + 10
            while waiting._waiting < 8 and time.monotonic() < until:
                time.sleep(0.001)
            facts.put(database, "n0", "value")

    def all_of_them() -> None:
        with ThreadPoolExecutor(9) as pool:
            leader = pool.submit(first)
            others = [pool.submit(_put, database, f"n{n}") for n in range(1, 9)]
            for future in (leader, *others):
                future.result(10)

    assert _commits(database, all_of_them) < 9
    assert _names(database) == {f"n{n}" for n in range(9)}


def test_one_that_raises_takes_only_its_own_along(database: Database) -> None:
    def act(n: int) -> None:
        with database.transaction():
            facts.put(database, f"n{n}", "value")
            if n % 3 == 0:
                raise ValueError(n)

    failed = []
    with ThreadPoolExecutor(16) as pool:
        for n, future in [(n, pool.submit(act, n)) for n in range(120)]:
            try:
                future.result(10)
            except ValueError:
                failed.append(n)
    assert failed == list(range(0, 120, 3))
    assert _names(database) == {f"n{n}" for n in range(120) if n % 3}


def test_an_inner_scope_is_undone_alone(database: Database) -> None:
    with database.transaction():
        facts.put(database, "n1", "value")
        with pytest.raises(ValueError), database.transaction():
            facts.put(database, "n2", "value")
            with pytest.raises(KeyError), database.transaction():
                facts.put(database, "n3", "value")
                raise KeyError
            raise ValueError
        facts.put(database, "n4", "value")
    assert _names(database) == {"n1", "n4"}


def test_a_commit_that_fails_is_told_to_everybody_in_it(database: Database) -> None:
    shared = database._shared
    real, broken = shared.commit, threading.Event()
    broken.set()

    def commit() -> None:
        if broken.is_set():
            raise sqlite3.OperationalError("disk I/O error")
        real()

    shared.commit = commit

    def put(name: str) -> None:
        with pytest.raises(StorageUnavailable, match="disk I/O"):
            _put(database, name)

    together(database, [partial(put, f"n{n}") for n in range(8)])
    broken.clear()
    assert _names(database) == set()
    _put(database, "n9")
    assert _names(database) == {"n9"}


def test_a_full_disk_in_the_middle_of_a_group_is_told_to_everybody_in_it(database: Database) -> None:
    """SQLite gives up the whole transaction then, and so nobody may hear that theirs is there."""
    writer = database._writer
    assert writer is not None
    with database.transaction():
        pages = database.row("PRAGMA page_count")
        assert pages is not None
        database.rows(f"PRAGMA max_page_count = {pages[0] + 3}")

    def small() -> None:
        with database.transaction():
            until = time.monotonic() + 10
            while writer._waiting < 1 and time.monotonic() < until:
                time.sleep(0.001)
            facts.put(database, "n1", "small")

    def large() -> None:
        with database.transaction():
            facts.put(database, "n2", "x" * 100_000)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(small)
        while not writer._busy:
            time.sleep(0.001)
        second = pool.submit(large)
        outcomes = (first.exception(10), second.exception(10))
    kept = _names(database)
    assert isinstance(outcomes[1], StorageUnavailable)
    assert (outcomes[0] is None) == (kept == {"n1"}), (outcomes, kept)


def test_a_group_whose_next_one_never_came_is_committed_all_the_same(database: Database) -> None:
    """Somebody who waited for a turn, and was counted on, is gone."""
    writer = database._writer
    assert writer is not None
    with writer._turn:
        writer._waiting += 1
    _put(database, "n1")
    with writer._turn:
        writer._waiting -= 1
    assert _names(database) == {"n1"}


def test_a_turn_that_never_comes_is_an_error_and_changes_nothing(sqlite_url: str) -> None:
    with closing(Database(sqlite_url, wait=0.4)) as database:
        held, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with database.transaction():
                held.set()
                leave.wait(10)

        with ThreadPoolExecutor(1) as pool:
            holder = pool.submit(hold)
            held.wait(10)
            with pytest.raises(StorageUnavailable, match="locked"):
                _put(database, "n1")
            leave.set()
            holder.result(10)
        assert _names(database) == set()
        _put(database, "n2")
        assert _names(database) == {"n2"}


def _led(database: Database, first: Callable[[], object], others: Sequence[str]) -> list[object]:
    """What `first` and the transactions that waited until it had begun were told, in this order; None is a success."""
    writer = database._writer
    assert writer is not None

    def lead() -> None:
        with database.transaction():
            _until(lambda: writer._waiting == len(others))
            first()

    with ThreadPoolExecutor(1 + len(others)) as pool:
        leader = pool.submit(lead)
        _until(lambda: writer._busy)
        futures = [leader, *(pool.submit(_put, database, name) for name in others)]
        return [future.exception(20) for future in futures]


def _until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not true() and time.monotonic() < until:
        time.sleep(0.001)


def test_a_commit_that_is_interrupted_leaves_nobody_waiting(database: Database) -> None:
    shared = database._shared
    real = shared.commit

    def commit() -> None:
        raise KeyboardInterrupt

    shared.commit = commit
    told = _led(database, lambda: facts.put(database, "n1", "value"), ["n2"])
    shared.commit = real
    assert {type(error) for error in told} == {StorageUnavailable, KeyboardInterrupt}
    _put(database, "n3")
    assert _names(database) == {"n3"}


def _fill(database: Database) -> None:
    """Makes the disk full for what is large."""
    with database.transaction():
        pages = database.row("PRAGMA page_count")
        assert pages is not None
        database.rows(f"PRAGMA max_page_count = {pages[0] + 3}")


def _too_large(database: Database) -> None:
    with suppress(sqlite3.OperationalError):
        facts.put(database, "n2", "x" * 200_000)


def test_whoever_swallows_that_the_disk_is_full_commits_nothing_by_the_way(database: Database) -> None:
    _fill(database)
    with pytest.raises(StorageUnavailable, match="given up"), database.transaction():
        _too_large(database)
        facts.put(database, "n3", "after")
    _fill(database)  # the connection is a new one
    with pytest.raises(StorageUnavailable, match="given up"), database.transaction():
        _too_large(database)
        with database.transaction():
            pass
    assert _names(database) == set()


def test_whoever_swallows_that_the_disk_is_full_takes_along_nobody_who_comes_after(database: Database) -> None:
    _fill(database)
    told = _led(database, partial(_too_large, database), ["n4", "n5"])
    assert isinstance(told[0], StorageUnavailable) and told[1:] == [None, None]
    assert _names(database) == {"n4", "n5"}


def test_what_cannot_be_undone_alone_is_undone_with_all_others(database: Database) -> None:
    """Else it would be committed with them, though it was said to have failed."""
    shared = database._shared
    real, rolled_back = shared.execute_sql, threading.Event()

    def execute(sql: str, *rest: object) -> object:
        if sql.startswith("ROLLBACK TO"):
            rolled_back.set()
            raise sqlite3.OperationalError("disk I/O error")
        return real(sql, *rest)

    def lead(name: str) -> None:
        with database.transaction():
            _until(lambda: writer._waiting == 1)
            facts.put(database, name, "value")

    def fail(name: str) -> None:
        with database.transaction():
            facts.put(database, name, "value")
            raise ValueError

    def both(attempt: int) -> tuple[BaseException | None, BaseException | None]:
        """One leads and one follows; a machine that is busy may wake the follower too late to be committed with it."""
        leader = pool.submit(lead, f"n1 {attempt}")
        _until(lambda: writer._busy)
        follower = pool.submit(fail, f"n2 {attempt}")
        return leader.exception(20), follower.exception(20)

    writer = database._writer
    assert writer is not None
    shared.execute_sql = execute
    with ThreadPoolExecutor(2) as pool:
        for attempt in range(50):
            told = both(attempt)
            if rolled_back.is_set():
                break
    shared.execute_sql = real
    assert rolled_back.is_set()
    assert isinstance(told[0], StorageUnavailable)
    assert told[1] is not None
    assert not {f"n1 {attempt}", f"n2 {attempt}"} & _names(database)


def test_a_commit_that_fails_says_why_although_nothing_was_left_to_roll_back(database: Database) -> None:
    """SQLite gives everything up by itself when the disk is full at the commit."""
    shared = database._shared
    real = shared.commit

    def commit() -> None:
        shared.rollback()
        raise sqlite3.OperationalError("database or disk is full")

    shared.commit = commit
    with pytest.raises(StorageUnavailable, match="disk is full"):
        _put(database, "n1")
    shared.commit = real
    _put(database, "n2")
    assert _names(database) == {"n2"}
