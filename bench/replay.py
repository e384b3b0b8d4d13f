"""Measures SQL without the product: records the statements of an operation, and sends them again
through the bare driver, on a copy of the database as it was before."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bench.measure import Spent, Watch
from bench.place import Place, postgres
from storage.database import Database

Sent = tuple[str, list[tuple[Any, ...]], bool]
"""A statement, the values of each execution, and whether they were sent together."""

BEGIN, COMMIT = "BEGIN", "COMMIT"
CHANGES = ("INSERT", "UPDATE", "DELETE", BEGIN, COMMIT)


class Recording(Database):
    """A database that remembers every statement and the borders of its transactions."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.sent: list[Sent] = []
        self._open = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        outer, self._open = self._open == 0, self._open + 1
        if outer:
            self.sent.append((BEGIN, [()], False))
        try:
            with super().transaction():
                yield
        finally:
            self._open -= 1
        if outer:
            self.sent.append((COMMIT, [()], False))

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        self.sent.append((sql, [values], False))
        return super().rows(sql, *values)

    def row(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        self.sent.append((sql, [values], False))
        return super().row(sql, *values)

    def run(self, sql: str, *values: object) -> int:
        self.sent.append((sql, [values], False))
        return super().run(sql, *values)

    def run_many(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        given = list(rows)
        self.sent.append((sql, given, True))
        super().run_many(sql, given)


def changes(sent: list[Sent]) -> list[Sent]:
    """Only the statements that write."""
    return [each for each in sent if each[0].startswith(CHANGES)]


def again(url: str, sent: list[Sent]) -> Spent:
    """Sends all of it through the driver of that database."""
    if url.startswith("sqlite:"):
        with closing(
            sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        ) as connection:
            for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = 1"):
                connection.execute(f"PRAGMA {pragma}")
            ready = [
                ("BEGIN IMMEDIATE" if sql == BEGIN else sql, values, many)
                for sql, values, many in sent
            ]
            return _send(connection.cursor(), ready)
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        return _send(
            cursor,
            [
                (sql.replace("%", "%%").replace("?", "%s"), values, many)
                for sql, values, many in sent
            ],
        )


def _send(cursor: Any, sent: list[Sent]) -> Spent:
    watch = Watch()
    for sql, values, many in sent:
        if many:
            cursor.executemany(sql, values)
        else:
            cursor.execute(sql, values[0])
            if cursor.description:
                cursor.fetchall()
    return watch.spent()


@contextmanager
def copied(place: Place) -> Iterator[str]:
    """The URL of a copy of the place's database, whose own connections are closed for the copy."""
    place.world.db.close()
    if place.world.db.is_sqlite:
        source, copy = place.folder / "access.db", place.folder / "copy.db"
        with closing(sqlite3.connect(source)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(source, copy)
        try:
            yield f"sqlite:///{copy}"
        finally:
            for end in ("", "-wal", "-shm"):
                Path(f"{copy}{end}").unlink(missing_ok=True)
        return
    server = postgres()
    assert server is not None
    from psycopg.conninfo import conninfo_to_dict

    with server.database(template=str(conninfo_to_dict(place.url)["dbname"])) as url:
        yield url


def record(place: Place, act: Callable[[Database], object]) -> list[Sent]:
    """The statements that `act` sends to a copy of the place's database."""
    with copied(place) as url, closing(Recording(url)) as db:
        act(db)
        return db.sent


def ours(
    place: Place, act: Callable[[Database], int], check: Callable[[Database], None] | None = None
) -> Spent:
    """Measures `act` on a fresh copy; `act` returns the number of things done, and `check` says
    whether they are right."""
    with copied(place) as url, closing(Database(url)) as db:
        with db.reading():
            db.row("SELECT 1")
        watch = Watch()
        count = act(db)
        spent = watch.spent(count)
        if check is not None:
            check(db)
        return spent


def theirs(place: Place, sent: list[Sent], count: int) -> Spent:
    with copied(place) as url:
        spent = again(url, sent)
    return Spent(spent.wall, spent.cpu, count)
