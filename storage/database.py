"""One database, SQLite or PostgreSQL: connections, transactions, fixed SQL and the state of its schema.

Peewee opens, pools and closes the connections and frames the transactions; statements are plain SQL with `?` for
a value, because a built query costs some twenty times what this one costs. It knows nothing of what the rows mean.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from peewee import InterfaceError, InternalError, OperationalError, SqliteDatabase
from playhouse.db_url import parse
from playhouse.migrations import Runner
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase

from bot.core.errors import SchemaMismatch, StorageUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
WAIT = 5
"""Seconds that a statement waits for a lock, or for a free connection, before it gives up."""

POSTGRES_OPTIONS = f"-c timezone=UTC -c lock_timeout={WAIT}s -c idle_in_transaction_session_timeout=30s"
CHANNEL = "access_bot"
MIGRATION_LOCK = 0x61636365  # any number that every process of this product agrees on


class Database:
    """`url` is `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user:password@host/name`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.is_sqlite = url.startswith("sqlite:")
        self._db: Any = _sqlite(url) if self.is_sqlite else _postgres(url)
        self._translate = str if self.is_sqlite else _percent_style
        self.lock_row = "" if self.is_sqlite else " FOR UPDATE"
        self.skip_locked = "" if self.is_sqlite else " FOR UPDATE SKIP LOCKED"
        self._local = threading.local()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A scope in which this thread may read; raises StorageUnavailable when the database doesn't answer."""
        with _translated(), self._connected():
            yield

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A scope that is committed as a whole or not at all; on SQLite it has the write lock from the start."""
        with _translated(), self._connected(), self._db.atomic():
            yield

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """Scopes nest. A SQLite connection stays with its thread, a PostgreSQL one goes back to the pool."""
        depth = getattr(self._local, "depth", 0)
        self._local.depth = depth + 1
        try:
            if self._db.is_closed():
                self._db.connect()
            yield
        except UNAVAILABLE:
            self._discard_if(depth == 0)
            raise
        finally:
            self._local.depth = depth
            if depth == 0 and not self.is_sqlite and not self._db.is_closed():
                self._db.close()

    def _discard_if(self, outermost: bool) -> None:
        """A connection that failed may be dead: the next scope starts with a new one."""
        if outermost and not self._db.is_closed():
            if self.is_sqlite:
                self._db.close()
            else:
                self._db.manual_close()

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return list(self._db.execute_sql(self._translate(sql), values).fetchall())

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._db.execute_sql(self._translate(sql), values).fetchone()
        return found

    def run(self, sql: str, *values: object) -> int:
        """Executes and gives the number of rows that were changed."""
        return int(self._db.execute_sql(self._translate(sql), values).rowcount)

    def run_many(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self._db.connection().cursor() if not self.is_sqlite else _closing(self._db) as cursor:
            cursor.executemany(self._translate(sql), list(rows))

    def stream(self, sql: str, *values: object, batch: int = 2000) -> Iterator[tuple[Any, ...]]:
        """Rows one by one without holding them all: a raw cursor, on PostgreSQL one of the server's."""
        with _translated(), self._connected(), self._db.atomic():
            if self.is_sqlite:
                yield from self._db.connection().execute(sql, values)
                return
            with self._db.connection().cursor(name="stream") as cursor:
                cursor.itersize = batch
                cursor.execute(self._translate(sql), values)
                yield from cursor

    def close(self) -> None:
        """Closes this thread's connection, and on PostgreSQL every idle one."""
        if not self._db.is_closed():
            self._db.close()
        if not self.is_sqlite:
            self._db.close_idle()

    def notify(self, queues: Iterable[str], due: int | None) -> None:
        """Tells other processes on PostgreSQL what this transaction leaves to do, when it commits (`listen`).
        On SQLite they see it by `data_version`."""
        if not self.is_sqlite:
            self.run("SELECT pg_notify(?, ?)", CHANNEL, json.dumps({"queues": sorted(queues), "due": due}))

    def listen(self, heard: Callable[[list[str], int | None], None], stopped: Callable[[], bool]) -> None:
        """Hands on what `notify` says in any process until `stopped()`; PostgreSQL only, on a connection of its
        own. Raises StorageUnavailable when that is lost."""
        import psycopg

        with _translated(), psycopg.connect(self._url, autocommit=True, connect_timeout=WAIT) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            heard([], None)
            while not stopped():
                for notice in connection.notifies(timeout=1, stop_after=1):
                    said = json.loads(notice.payload)
                    heard(said["queues"], said["due"])

    def data_version(self) -> int:
        """A number that changes when another process commits (SQLite's `data_version` pragma); 0 on PostgreSQL."""
        if not self.is_sqlite:
            return 0
        with self.reading():
            found = self.row("PRAGMA data_version")
        return int(found[0]) if found else 0

    def migrate(self) -> list[str]:
        """Brings the schema up and gives the names of what was applied. Safe when several processes start at once:
        the first holds a lock, the others find nothing left to do. Raises SchemaMismatch when it is too new."""
        with self.transaction():
            if not self.is_sqlite:
                self.run("SET LOCAL lock_timeout = 0")
                self.run("SELECT pg_advisory_xact_lock(?)", MIGRATION_LOCK)
            self._refuse_newer()
            return list(self._runner().up())

    def check_schema(self) -> None:
        """Raises SchemaMismatch unless the schema is exactly the one that this code was written for."""
        with self.reading():
            self._refuse_newer()
            behind = [m.name for m in self._runner().status() if m.applied is None]
        if behind:
            raise SchemaMismatch(behind=tuple(behind))

    def _refuse_newer(self) -> None:
        newer = tuple(m.name for m in self._runner().status() if m.path is None)
        if newer:
            raise SchemaMismatch(newer=newer)

    def _runner(self) -> Any:
        return Runner(self._db, str(MIGRATIONS))


def _sqlite(url: str) -> SqliteDatabase:
    pragmas = {"journal_mode": "wal", "synchronous": "full", "foreign_keys": 1}
    path = url.removeprefix("sqlite:///")
    return SqliteDatabase(path, pragmas=pragmas, lock_type="IMMEDIATE", timeout=WAIT, autoconnect=False)


def _postgres(url: str) -> Any:
    settings = parse(url, unquote_user=True, unquote_password=True)
    settings.setdefault("connect_timeout", WAIT)
    return PooledPostgresqlDatabase(
        **settings,
        prefer_psycopg3=True,
        options=POSTGRES_OPTIONS,
        max_connections=20,
        timeout=WAIT,
        stale_timeout=300,
        autoconnect=False,
    )


@contextmanager
def _closing(db: Any) -> Iterator[Any]:
    cursor = db.connection().cursor()
    try:
        yield cursor
    finally:
        cursor.close()


@lru_cache(maxsize=512)
def _percent_style(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


def _driver_errors() -> tuple[type[Exception], ...]:
    """What the drivers raise when peewee doesn't wrap them: cursors used directly."""
    try:
        from psycopg import InterfaceError, OperationalError
    except ImportError:
        return (sqlite3.OperationalError,)
    return (sqlite3.OperationalError, InterfaceError, OperationalError)


UNAVAILABLE = (OperationalError, InterfaceError, InternalError, MaxConnectionsExceeded, *_driver_errors())


@contextmanager
def _translated() -> Iterator[None]:
    """The one place where an error of a driver becomes one of ours. What a statement itself got wrong (integrity,
    syntax, data) is a bug and stays what it is."""
    try:
        yield
    except UNAVAILABLE as error:
        raise StorageUnavailable(str(error)) from error
