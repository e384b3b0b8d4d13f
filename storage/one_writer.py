"""SQLite's one writer: the transactions of this process go one after another over one connection, and those that wait
for their turn are committed together, with one wait for the disk. It knows nothing of statements or tables.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from bot.core.errors import StorageUnavailable

LARGEST = 64
LONGEST = 0.02
"""Transactions in a group, and seconds since its first began, after which it is committed whoever still waits."""

STRANDED = 0.1
"""Seconds after which a transaction that waits for its group looks whether whoever had to commit it is gone."""


class _Group:
    """Transactions that are committed together. `failure` says why they were not."""

    def __init__(self) -> None:
        self.began, self.size = time.monotonic(), 0
        self.ended = threading.Event()
        self.failure: BaseException | None = None

    @property
    def is_full(self) -> bool:
        return self.size >= LARGEST or time.monotonic() - self.began >= LONGEST


def refuse_given_up(connection: Any) -> None:
    """SQLite itself gives up a whole transaction when the disk is full or broken. Whoever went on after such an error
    would have every statement committed by itself, whatever becomes of the others."""
    if not connection.in_transaction:
        raise StorageUnavailable("the transaction was given up after an earlier error")


@contextmanager
def undone_alone(db: Any) -> Iterator[None]:
    """A part of a transaction that is rolled back by itself when it raises. Always the same words, because SQLite keeps
    prepared what it has read before."""
    refuse_given_up(db.connection())
    db.execute_sql("SAVEPOINT part")
    try:
        yield
    except BaseException:
        db.execute_sql("ROLLBACK TO part")
        db.execute_sql("RELEASE part")
        raise
    db.execute_sql("RELEASE part")


class OneWriter:
    """`db` is a peewee SqliteDatabase whose connection all threads share; `wait` is how many seconds at most a
    transaction waits for its turn."""

    def __init__(self, db: Any, wait: float) -> None:
        self._db, self._wait = db, wait
        self._turn = threading.Condition(threading.Lock())
        self._busy, self._waiting = False, 0
        self._group: _Group | None = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Committed when this returns; a scope that raises is undone alone. A commit that fails is
        StorageUnavailable for all who were in it."""
        self._take_turn()
        try:
            group = self._group = self._group or self._begin()
            if group.size:
                self._db.execute_sql("SAVEPOINT one")
            yield
            refuse_given_up(self._db.connection())
            if group.size:
                self._db.execute_sql("RELEASE one")
            group.size += 1
        except BaseException as error:
            self._undo(error)
            raise
        finally:
            self._pass_on()
        self._await(group)

    def close(self) -> None:
        """Closes the connection; the next transaction opens one again."""
        self._take_turn()
        try:
            self._end()
            self._db.close()
        finally:
            self._pass_on()

    def _take_turn(self) -> None:
        with self._turn:
            self._waiting += 1
            try:
                if not self._turn.wait_for(lambda: not self._busy, self._wait):
                    raise StorageUnavailable("database is locked")
                self._busy = True
            finally:
                self._waiting -= 1

    def _pass_on(self) -> None:
        """Whoever waits goes on with the group; if nobody does, or it is full, it is committed before."""
        with self._turn:
            if self._group is None or (self._waiting and not self._group.is_full):
                return self._free()
        try:
            self._end()
        finally:
            with self._turn:
                self._free()

    def _free(self) -> None:
        self._busy = False
        self._turn.notify()

    def _begin(self) -> _Group:
        if self._db.is_closed():
            self._db.connect()
        self._db.transaction().__enter__()
        return _Group()

    def _undo(self, error: BaseException) -> None:
        """What can't be undone alone is undone with all the others, and so everybody has to know."""
        if self._group is None:
            return
        alone = False
        try:
            with suppress(Exception):
                if self._group.size:
                    self._db.execute_sql("ROLLBACK TO one")
                    self._db.execute_sql("RELEASE one")
                    alone = True
        finally:
            if not alone:
                self._end(error)

    def _end(self, failure: BaseException | None = None) -> None:
        """Commits the group, or rolls it back after a failure; a connection that failed may be dead. Whatever happens
        here, nobody goes on waiting for it."""
        group, self._group = self._group, None
        if group is None:
            return
        try:
            if failure is None:
                self._db.commit()
        except BaseException as error:
            failure = error
            if not isinstance(error, Exception):
                raise
        finally:
            self._db.pop_transaction()
            if failure is not None:
                with suppress(Exception):  # nothing is left to roll back when SQLite did it; what matters is why
                    self._db.rollback()
                with suppress(Exception):
                    self._db.close()
            group.failure = failure
            group.ended.set()

    def _await(self, group: _Group) -> None:
        while not group.ended.wait(STRANDED):
            with suppress(StorageUnavailable):
                self._take_turn()
                self._pass_on()
        failure = group.failure
        if failure is not None:
            cause = failure.cause if isinstance(failure, StorageUnavailable) else str(failure)
            raise StorageUnavailable(cause) from failure
