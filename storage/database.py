"""Connects to SQLite or PostgreSQL, runs transactions and fixed SQL, and checks the schema.

Peewee manages connections and transactions. Statements are plain SQL with `?` for a value, because
building a query costs about twenty times as much as this.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import count
from math import ceil
from pathlib import Path
from typing import Any, Protocol

from peewee import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    PeeweeException,
    SqliteDatabase,
)
from playhouse.db_url import parse
from playhouse.migrations import Runner
from playhouse.pool import MaxConnectionsExceeded, PooledPostgresqlDatabase

from bot.core.errors import SchemaMismatch, StorageUnavailable
from storage.fair_lock import FairLock
from storage.writes import Writes

MIGRATIONS = Path(__file__).parent / "migrations"
WAIT = 5.0
POSTGRES_OPTIONS = (
    "-c timezone=UTC -c lock_timeout={milliseconds:.0f}ms -c"
    " idle_in_transaction_session_timeout=30s"
)
NOTICED_DEAD = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Makes libpq notice within about ten seconds that a server is gone."""

GIVEN_UP = "the transaction was given up after an earlier error"

CHANNEL = "access_bot"
REPORT_LOCK = 0x61636366  # see MIGRATION_LOCK
MIGRATION_LOCK = 0x61636365  # any number that all processes share


class Reads(Protocol):
    """Read access to a database. `collate_bytes` follows a text column that must sort as Python
    sorts strings."""

    collate_bytes: str

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None: ...

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]: ...

    def stream(self, sql: str, *values: object) -> Iterator[tuple[Any, ...]]: ...


class _Local(threading.local):
    """The scopes that one thread has open."""

    def __init__(self) -> None:
        self.scopes = self.transactions = 0
        self.changed = False
        self.after_commit: list[Callable[[], None]] = []


class Database:
    """A database at `url`: `sqlite:///relative.db`, `sqlite:////absolute.db` or
    `postgresql://user:password@host/name`. `wait` is the maximum number of seconds to wait for a
    lock or a free connection."""

    def __init__(self, url: str, wait: float = WAIT) -> None:
        self.url = self._url = url
        self._wait = wait
        self.is_sqlite = url.startswith("sqlite:")
        self._db: Any = _sqlite(url, wait) if self.is_sqlite else _postgres(url, wait)
        self._writing = FairLock()
        """The threads of this process wait here for SQLite's write lock. SQLite itself polls for
        it, so with many threads some would time out."""
        self._translate = str if self.is_sqlite else _percent_style
        self.lock_row = "" if self.is_sqlite else " FOR UPDATE"
        self.skip_locked = "" if self.is_sqlite else " FOR UPDATE SKIP LOCKED"
        self.collate_bytes = _collate_bytes(self.is_sqlite)
        self.no_index_hint = "+" if self.is_sqlite else ""
        """Precedes a column whose index SQLite must not use."""
        self.writes = Writes()
        self._first: Any = None
        self._local = _Local()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A scope in which this thread may read; raises StorageUnavailable if the database does not
        answer."""
        with _translated(), self._connected():
            yield

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A scope that is committed as a whole or not at all. On SQLite it holds the write lock
        from the start. Scopes nest: an inner scope that raises is rolled back alone."""
        waiting = self._local.after_commit
        depth, before = self._local.transactions, len(waiting)
        self._local.transactions = depth + 1
        if depth == 0:
            self._local.changed = False
        try:
            with _translated(), self._turn(), self._connected(), self._atomic():
                yield
        except BaseException as error:
            del waiting[before:]
            if depth == 0 and isinstance(error, StorageUnavailable):
                self.writes.failed(error.cause)
            raise
        finally:
            self._local.transactions = depth
        if depth == 0:
            if self._local.changed:
                self.writes.worked()
            due, waiting[:] = waiting[:], []
            for do in due:
                do()

    def after_commit(self, do: Callable[[], None]) -> None:
        """Calls `do` after this thread's outermost transaction commits, and not if that transaction
        or the current scope is rolled back."""
        self._local.after_commit.append(do)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Waits until no other thread writes to SQLite; raises StorageUnavailable after half of
        `wait`."""
        if not self.is_sqlite or self._local.transactions > 1:
            yield
            return
        if not self._writing.acquire(timeout=self._wait / 2):
            raise StorageUnavailable("database is locked")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def _atomic(self) -> Iterator[None]:
        if self._local.transactions > 1:
            self._refuse_given_up()
        with self._db.atomic():
            yield
            self._refuse_given_up()

    def _refuse_given_up(self) -> None:
        """Raises StorageUnavailable if the database rolled the transaction back after an earlier
        error. SQLite does that when the disk is full, and would then commit each statement on its
        own; PostgreSQL would accept the commit without an error."""
        connection = self._db.connection()
        if self.is_sqlite:
            given_up = not connection.in_transaction
        else:
            given_up = connection.info.transaction_status.name == "INERROR"
        if given_up:
            raise StorageUnavailable(GIVEN_UP)

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """A scope with an open connection; scopes nest. A SQLite connection stays with its thread,
        a PostgreSQL connection returns to the pool."""
        depth = self._local.scopes
        self._local.scopes = depth + 1
        try:
            if self._db.is_closed():
                self._db.connect()
            yield
        except BROKEN:
            self._discard_if(depth == 0)
            raise
        finally:
            self._local.scopes = depth
            if depth == 0 and not self.is_sqlite and not self._db.is_closed():
                self._db.close()

    def _discard_if(self, outermost: bool) -> None:
        """Closes the connection, so that the next scope starts with a new one."""
        if outermost and not self._db.is_closed():
            if self.is_sqlite:
                self._db.close()
            else:
                self._db.manual_close()

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(self._translate(sql), values).fetchall())

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._connection.execute(
            self._translate(sql), values
        ).fetchone()
        return found

    @property
    def _connection(self) -> Any:
        """The connection of this thread. Statements go to it directly: peewee's execute takes
        longer than SQLite does."""
        connection = self._db.connection()
        if self.is_sqlite and self._local.transactions and not connection.in_transaction:
            raise StorageUnavailable(GIVEN_UP)
        return connection

    def look_up(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        """Like `row` in its own reading scope, for the token check: on SQLite it costs half as
        much."""
        if self.is_sqlite:
            try:
                found: tuple[Any, ...] | None = (
                    self._db.connection().execute(sql, values).fetchone()
                )
                return found
            except (PeeweeException, sqlite3.Error):
                pass  # `reading` below reports the failure
        with self.reading():
            return self.row(sql, *values)

    def run(self, sql: str, *values: object) -> int:
        """Executes a statement and returns the number of rows that it changed."""
        changed = int(self._connection.execute(self._translate(sql), values).rowcount)
        if changed:
            self._local.changed = True
        return changed

    def lock(self, name: str) -> None:
        """Waits until no other transaction holds the lock of this name, and holds it until this one
        ends. On SQLite a transaction excludes all others anyway."""
        if not self.is_sqlite:
            self.row("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", name)

    @contextmanager
    def together(self) -> Iterator[None]:
        """A scope in a transaction in which PostgreSQL gets statements without a round trip for
        each; reading a row waits for all before it. `run` does not know how many rows it
        changed."""
        if self.is_sqlite:
            yield
            return
        with self._connection.pipeline():
            yield

    def run_many(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        with closing(self._connection.cursor()) as cursor:
            cursor.executemany(self._translate(sql), list(rows))
        self._local.changed = True

    def stream(self, sql: str, *values: object, batch: int = 500) -> Iterator[tuple[Any, ...]]:
        """Yields rows one by one as they were when the first was read, without loading them all.

        Uses its own connection, because it may take long: it must not hold SQLite's write lock or
        become part of the reader's transaction.
        """
        with _translated():
            yield from (
                self._sqlite_rows(sql, values)
                if self.is_sqlite
                else self._postgres_rows(sql, values, batch)
            )

    def _sqlite_rows(self, sql: str, values: tuple[object, ...]) -> Iterator[tuple[Any, ...]]:
        with closing(sqlite3.connect(_path(self._url), timeout=self._wait)) as connection:
            yield from connection.execute(sql, values)

    def _postgres_rows(
        self, sql: str, values: tuple[object, ...], batch: int
    ) -> Iterator[tuple[Any, ...]]:
        """Streams rows in chunks. A plain cursor would load all of them, and a server-side cursor
        would make the server wait while a batch is processed."""
        import psycopg

        size = batch if psycopg.capabilities.has_stream_chunked() else 1
        with psycopg.connect(self._url, **self._how()) as connection, connection.cursor() as cursor:
            yield from cursor.stream(self._translate(sql).encode(), values, size=size)

    @contextmanager
    def snapshot(self) -> Iterator[Reads]:
        """The whole database as it was at one moment, on its own connection; it blocks no
        writer."""
        with (
            _translated(),
            self._sqlite_snapshot() if self.is_sqlite else self._postgres_snapshot() as reads,
        ):
            yield reads

    @contextmanager
    def _sqlite_snapshot(self) -> Iterator[Reads]:
        with closing(
            sqlite3.connect(_path(self._url), timeout=self._wait, isolation_level=None)
        ) as connection:
            connection.execute("BEGIN")
            yield _SqliteSnapshot(connection)

    @contextmanager
    def _postgres_snapshot(self) -> Iterator[Reads]:
        import psycopg

        with psycopg.connect(self._url, **self._how()) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield _PostgresSnapshot(connection)

    def _how(self) -> dict[str, Any]:
        """Returns the parameters of connections outside the pool."""
        return {"connect_timeout": ceil(self._wait), **NOTICED_DEAD}

    def close(self) -> None:
        """Closes this thread's connection and, on PostgreSQL, every idle one."""
        if not self._db.is_closed():
            self._db.close()
        if self._first is not None:
            self._first.close()
        if not self.is_sqlite:
            self._db.close_idle()

    def notify(self, queues: Iterable[str], due: int | None) -> None:
        """Sends other processes on PostgreSQL the queues and the deadline of this transaction when
        it commits (`listen`). On SQLite they notice the commit by `data_version`."""
        if not self.is_sqlite:
            self.run(
                "SELECT pg_notify(?, ?)",
                CHANNEL,
                json.dumps({"queues": sorted(queues), "due": due}),
            )

    def listen(
        self, heard: Callable[[list[str], int | None], None], stopped: Callable[[], bool]
    ) -> None:
        """Calls `heard` for each `notify` of any process until `stopped()`. PostgreSQL only, on its
        own connection. Raises StorageUnavailable if that connection is lost."""
        import psycopg

        with (
            _translated(),
            psycopg.connect(self._url, autocommit=True, **self._how()) as connection,
        ):
            connection.execute(f"LISTEN {CHANNEL}")
            heard([], None)
            while not stopped():
                for notice in connection.notifies(timeout=1, stop_after=1):
                    said = json.loads(notice.payload)
                    heard(said["queues"], said["due"])

    def is_first(self) -> bool:
        """Returns whether this process makes the reports that one process makes for all on this
        PostgreSQL. The first that asks keeps that role until its connection ends, without a write.
        Always true on SQLite."""
        if self.is_sqlite:
            return True
        import psycopg

        with _translated():
            if self._first is None or self._first.closed:
                self._first = psycopg.connect(self._url, autocommit=True, **self._how())
            try:
                found = self._first.execute(
                    "SELECT pg_try_advisory_lock(%s)", [REPORT_LOCK]
                ).fetchone()
            except psycopg.Error:
                self._first.close()
                raise
        return bool(found and found[0])

    def data_version(self) -> int:
        """Returns a number that changes when another connection commits (SQLite's `data_version`
        pragma); 0 on PostgreSQL."""
        if not self.is_sqlite:
            return 0
        with self.reading():
            found = self.row("PRAGMA data_version")
        return int(found[0]) if found else 0

    def migrate(self) -> list[str]:
        """Applies the missing migrations and returns their names. Safe when several processes start
        at once: the first holds a lock, the others find nothing to do. Raises SchemaMismatch if the
        schema is newer than this code."""
        with self.transaction():
            if not self.is_sqlite:
                self.run("SET LOCAL lock_timeout = 0")
                self.run("SELECT pg_advisory_xact_lock(?)", MIGRATION_LOCK)
            self._refuse_newer()
            return list(self._runner().up())

    def check_schema(self) -> None:
        """Raises SchemaMismatch unless the schema is exactly the one that this code expects."""
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


class _SqliteSnapshot:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection, self.collate_bytes = connection, _collate_bytes(True)

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
        return found

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()

    def stream(self, sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
        return self._connection.execute(sql, values)


class _PostgresSnapshot:
    """Streams with server-side cursors, because several are read side by side."""

    def __init__(self, connection: Any) -> None:
        self._connection, self.collate_bytes = connection, _collate_bytes(False)
        self._numbers = count()

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._connection.execute(
            _percent_style(sql), values
        ).fetchone()
        return found

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(_percent_style(sql), values).fetchall())

    def stream(self, sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
        with self._connection.cursor(name=f"stream_{next(self._numbers)}") as cursor:
            cursor.execute(_percent_style(sql), values)
            while some := cursor.fetchmany(2000):  # quicker than one row at a time
                yield from some


def _collate_bytes(is_sqlite: bool) -> str:
    return "" if is_sqlite else ' COLLATE "C"'


def _path(url: str) -> str:
    return url.removeprefix("sqlite:///")


def _sqlite(url: str, wait: float) -> SqliteDatabase:
    return SqliteDatabase(
        _path(url),
        pragmas={
            "journal_mode": "wal",
            "synchronous": "full",
            "foreign_keys": 1,
            "wal_autocheckpoint": 4000,
        },
        lock_type="IMMEDIATE",
        timeout=wait / 2,
        autoconnect=False,
        cached_statements=256,
    )


def _postgres(url: str, wait: float) -> Any:
    settings = {
        "connect_timeout": ceil(wait),
        **NOTICED_DEAD,
        **parse(url, unquote_user=True, unquote_password=True),
    }
    return PooledPostgresqlDatabase(
        **settings,
        prefer_psycopg3=True,
        options=POSTGRES_OPTIONS.format(milliseconds=wait * 1000),
        prepare_threshold=1,
        max_connections=20,
        timeout=wait,
        stale_timeout=300,
        autoconnect=False,
    )


@lru_cache(maxsize=512)
def _percent_style(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


def _driver_errors() -> tuple[type[Exception], ...]:
    """Returns the errors that the drivers raise past peewee, when a cursor is used directly."""
    try:
        from psycopg import InterfaceError, InternalError, OperationalError
    except ImportError:
        return (sqlite3.OperationalError,)
    return (sqlite3.OperationalError, InterfaceError, InternalError, OperationalError)


UNAVAILABLE: tuple[type[Exception], ...] = (
    OperationalError,
    InterfaceError,
    InternalError,
    MaxConnectionsExceeded,
    *_driver_errors(),
)
BROKEN: tuple[type[BaseException], ...] = (*UNAVAILABLE, StorageUnavailable, KeyboardInterrupt)
"""A connection that raised one of these may be dead, or still in its transaction."""


@contextmanager
def _translated() -> Iterator[None]:
    """Translates drivers' errors into ours. Errors of the statement itself (integrity, syntax,
    data) are bugs and stay as they are."""
    try:
        yield
    except UNAVAILABLE as error:
        raise StorageUnavailable(_cause(error)) from error
    except (DatabaseError, sqlite3.DatabaseError) as error:
        if type(error) not in (DatabaseError, sqlite3.DatabaseError):
            raise
        raise StorageUnavailable(
            str(error)
        ) from error  # SQLite: the file is damaged or no database


def _cause(error: BaseException) -> str:
    """Returns the message of the first error: after a full disk, the rollback fails too."""
    before = error.__context__
    if isinstance(before, (StorageUnavailable, UNAVAILABLE)) and not error.__suppress_context__:
        return _cause(before)
    return error.cause if isinstance(error, StorageUnavailable) else str(error)
