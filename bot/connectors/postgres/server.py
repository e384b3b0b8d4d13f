"""Connects to a PostgreSQL server with time limits, translates its errors, and builds the address
that people are shown.
"""

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, LiteralString
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from bot.connectors.base import fingerprint
from bot.connectors.postgres.kind import wrong_settings
from bot.connectors.redaction import redacted
from bot.connectors.settings import refuse_wrong
from bot.core.errors import OutcomeUnknown, SystemRefused, SystemUnavailable

Line = psycopg.Connection[tuple[Any, ...]]

CONNECT = 5
"""Seconds to connect."""

CALL = 30.0
"""Seconds after which we cut a connection, because a server that hangs does not enforce its own
limits."""

LIMITS = (
    "-c statement_timeout=15s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s -c"
    " search_path=pg_catalog,pg_temp -c client_min_messages=warning -c timezone=UTC -c"
    " datestyle=ISO"
)
"""The search path excludes schemas in which holders could define objects with known names."""

NOTICED_DEAD = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

_FINAL = frozenset({"0L", "0P", "22", "2B", "3D", "3F", "42"})
"""Classes of SQLSTATE (appendix A of the manual) that a retry does not fix: no such thing, no
right, bad syntax."""

_PASSING = frozenset({"42710"})
"""Exceptions to these classes: somebody else has just created the same thing."""


class Server:
    """The server at `url`, and the `address` that people know it by. Raises ValueError if one is
    wrong; the message never shows the URL, because our password is in it."""

    def __init__(self, name: str, url: str, address: str | None) -> None:
        self._name = name
        self._params = _parsed(url)
        self.target = fingerprint(
            *(self._params.get(name, "") for name in ("host", "hostaddr", "port", "dbname"))
        )
        self._address = _address(address, self._params) if address else _own_address(self._params)
        try:
            conninfo_to_dict(self.way_in("user", "password"))
        except psycopg.ProgrammingError:
            raise ValueError("address is not HOST, HOST:PORT or HOST:PORT/DATABASE") from None

    def way_in(self, user: str, password: str) -> str:
        """The connection URI for a holder's client program (libpq, section 32.1.1.2 of the
        manual)."""
        return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@{self._address}"

    @contextmanager
    def connected(self, database: str = "") -> Iterator[Line]:
        """A new connection in autocommit mode. Translates errors inside into SystemUnavailable and
        SystemRefused."""
        params = {
            "connect_timeout": CONNECT,
            **NOTICED_DEAD,
            "application_name": "access-bot",
            **self._params,
        }
        params["options"] = f"{self._params.get('options') or ''} {LIMITS}".strip()
        if database:
            params["dbname"] = database
        try:
            with (
                psycopg.connect("", autocommit=True, prepare_threshold=None, **params) as line,
                _cut_after(line, CALL),
            ):
                yield line
        except psycopg.Error as error:
            raise translated(
                self._name, error
            ) from None  # the cause may quote a statement with a verifier


def translated(system: str, error: psycopg.Error) -> SystemUnavailable | SystemRefused:
    """The one place that translates errors of the driver."""
    parts = [error.diag.message_primary or (str(error).strip().splitlines() or ["?"])[0]]
    if error.diag.message_detail:
        parts += error.diag.message_detail.splitlines()[:2]
    text, state = redacted(": ".join(parts))[:500], error.sqlstate
    if state is None:
        return OutcomeUnknown(f"{system} can't be reached, or the connection broke: {text}")
    if state[:2] in _FINAL and state not in _PASSING:
        return SystemRefused(state, text)
    return SystemUnavailable(f"{system} refused it: {text}")


def do(line: Line, statement: LiteralString, **names: sql.Composable) -> None:
    """Runs a statement with quoted names and literals."""
    line.execute(sql.SQL(statement).format(**names))


def row(line: Line, query: str, *values: object) -> tuple[Any, ...]:
    """The row of a query that always returns one."""
    found = line.execute(query.encode(), values).fetchone()
    assert found is not None
    return found


@contextmanager
def _cut_after(line: Line, seconds: float) -> Iterator[None]:
    """Closes the connection from our side after the time limit."""
    with socket.socket(fileno=os.dup(line.fileno())) as wire:
        timer = threading.Timer(seconds, _cut, [wire])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _cut(wire: socket.socket) -> None:
    with suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


def _parsed(url: str) -> dict[str, Any]:
    refuse_wrong(wrong_settings({"url": url}))
    try:
        params = {name: value for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.ProgrammingError:
        raise ValueError("url can't be read: are all special characters percent-encoded?") from None
    for part, what in (("user", "our account"), ("dbname", "the database")):
        if not params.get(part):
            raise ValueError(f"url must name {what}: postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    return params


def _own_address(params: Mapping[str, Any]) -> str:
    """The address that the bot itself uses, without user and password."""
    hosts = str(params.get("host") or params.get("hostaddr") or "localhost").split(",")
    ports = str(params.get("port") or "5432").split(",")
    pairs = zip(hosts, ports if len(ports) == len(hosts) else ports * len(hosts), strict=False)
    theirs = [name for name in ("sslmode", "channel_binding") if name in params]
    # Other values are files on our machine.
    theirs += ["sslrootcert"] * (params.get("sslrootcert") == "system")
    known = "&".join(f"{name}={params[name]}" for name in theirs)
    places = ",".join(f"{_host(host)}:{port}" for host, port in pairs)
    return f"{places}/{quote(params['dbname'], safe='')}{'?' if known else ''}{known}"


def _address(address: str, params: Mapping[str, Any]) -> str:
    """The address for people; port and database default to those of `url`."""
    bare = address.removeprefix("postgresql://").removeprefix("postgres://")
    try:
        parts = urlsplit(f"postgresql://{bare}")
        host, port = parts.hostname, parts.port or str(params.get("port") or "5432").split(",")[0]
    except ValueError:
        raise ValueError("address is not HOST, HOST:PORT or HOST:PORT/DATABASE") from None
    if not host or "@" in parts.netloc or not bare.isprintable() or " " in bare:
        raise ValueError(
            "address is HOST, HOST:PORT or HOST:PORT/DATABASE, without a user and a password"
        )
    database = parts.path.removeprefix("/") or quote(params["dbname"], safe="")
    return f"{_host(host)}:{port}/{database}{'?' if parts.query else ''}{parts.query}"


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else quote(host, safe="")
