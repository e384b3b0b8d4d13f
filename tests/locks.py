"""A lock that another connection holds: writers wait for it in vain, readers don't."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg

from storage.database import Database


@contextmanager
def held(database: Database, table: str) -> Iterator[None]:
    """On PostgreSQL the lock of one table, on SQLite the only one."""
    # A database does not show its address, because the password is in it.
    url = database._url  # noqa: SLF001
    if database.is_sqlite:
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        return
    with psycopg.connect(url) as other:
        other.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE".encode())
        yield
