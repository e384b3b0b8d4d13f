"""Databases of PostgreSQL 16 and newer: a login role for each grant, with exactly its actions, gone at the end.

The role says itself whose it is: by its name, and by a comment that only our account can set. It doesn't know how the
server is reached (postgres_server.py) nor how an action is read (core/postgres_actions.py).
"""

import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
from psycopg import sql

from bot.connectors.base import Found, Question, Session, Tools, Way
from bot.connectors.postgres_grants import give_action, give_connect
from bot.connectors.postgres_server import Line, Server, do, row, told
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import Order
from bot.core.policy import System
from bot.core.postgres_actions import LONGEST_NAME

OLDEST = 16
"""The first version in which an account with CREATEROLE rules only the roles that it made."""

CONNECTIONS = 10
"""What one holder may have open at once: a client program takes several."""

PATIENCE = 2000
"""Milliseconds in which a session that was told to end has to be gone."""

HOW = (
    "Give it to psql in quotes, or to any client that takes a connection string.",
    "Asking again makes a new password, and this one opens nothing then; sessions that are open stay open.",
)

_NAME = re.compile(r"access_[a-z0-9_]+_(g[0-9a-z]{11})(?:_[2-9])?")
_MARK = re.compile(r"Access Bot: grant (\S+) on (\S+)")

_ROLE = """r.oid::bigint, r.rolname, pg_catalog.shobj_description(r.oid, 'pg_authid'), r.rolcanlogin,
    r.rolvaliduntil::text"""
_ROLES = f"SELECT {_ROLE} FROM pg_roles r WHERE r.rolname LIKE 'access\\_%%' AND position(%s in r.rolname) > 0"  # noqa: S608
_SESSIONS = f"""SELECT {_ROLE}, a.pid || ' ' || extract(epoch FROM a.backend_start),
    coalesce(host(a.client_addr), 'local'), floor(extract(epoch FROM a.backend_start))::bigint
    FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
    WHERE r.rolname LIKE 'access\\_%' AND a.backend_type = 'client backend' AND a.backend_start IS NOT NULL"""  # noqa: S608
_ELSEWHERE = """SELECT DISTINCT d.datname FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
    WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = %s AND d.datname <> current_database()"""
_SCHEMAS = """SELECT nspname FROM pg_namespace WHERE has_schema_privilege(%s, oid, 'CREATE')
    AND has_schema_privilege(current_user, oid, 'CREATE WITH GRANT OPTION')
    AND NOT has_schema_privilege(%s, oid, 'CREATE')"""
_ACCOUNT = "SELECT rolname, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user"


@dataclass(frozen=True, slots=True)
class _Role:
    """A role that this product made, or that looks like it; `system` is "" when nothing says for which."""

    oid: int
    name: str
    grant: str
    system: str
    open: bool
    until: str

    @property
    def sql(self) -> sql.Identifier:
        return sql.Identifier(self.name)


class Postgres:
    """One database, in which our account may create roles and hand on what the roles of roles.toml give."""

    def __init__(self, system: System, _tools: Tools) -> None:
        address = system.settings.get("address")
        self._system = system.name
        self._server = Server(system.name, str(system.settings["url"]), str(address) if address else None)

    def grant(self, order: Order) -> None:
        """All of it is one transaction: the role with everything that it may, or nothing."""
        with self._server.connected() as line, line.transaction():
            _refuse_older(line)
            _take_turn(line)
            role = self._to_grant(line, order)
            give_connect(line, role.name)
            for action in order.actions:
                give_action(line, role.name, action)

    def extend(self, order: Order) -> None:
        with self._server.connected() as line:
            role = self._one(line, order)
            if role is not None:
                return do(line, "ALTER ROLE {role} VALID UNTIL {until}", role=role.sql, until=_until(order))
        return self.grant(order)

    def revoke(self, order: Order) -> None:
        with self._server.connected() as line:
            for role in self._settled(line, order.grant):
                self._end(line, role)

    def read_back(self, order: Order) -> bool:
        with self._server.connected() as line:
            return bool(self._settled(line, order.grant))

    def credentials(self, order: Order, given: str) -> Way | Question:
        """Sets a new password. The server, and so its log, is only told the SCRAM verifier of it."""
        with self._server.connected() as line:
            role = self._one(line, order)
            if role is None or not role.open:
                raise SystemRefused("ended", f"there is no access on {self._system} any more")
            password = secrets.token_urlsafe(24)
            verifier = line.pgconn.encrypt_password(password.encode(), role.name.encode(), b"scram-sha-256")
            do(
                line,
                "ALTER ROLE {role} PASSWORD {verifier} VALID UNTIL {until}",
                role=role.sql,
                verifier=sql.Literal(verifier.decode()),
                until=_until(order),
            )
        return Way({"Connection string": self._server.way_in(role.name, password)}, HOW)

    def list_active(self) -> Iterable[Found]:
        with self._server.connected() as line:
            return [Found(role.name, role.grant, _detail(role)) for role in self._ours(line)]

    def remove(self, found: Found) -> None:
        with self._server.connected() as line:
            for role in self._ours(line):
                if role.name == found.name:
                    self._end(line, role)

    def sessions(self) -> Iterable[Session]:
        with self._server.connected() as line:
            rows = line.execute(_SESSIONS.encode()).fetchall()
        found = ((_read(each[:5]), each[5:]) for each in rows)
        return [
            Session(role.grant, *session) for role, session in found if role is not None and role.system == self._system
        ]

    def check(self, roles: Mapping[str, Sequence[str]]) -> Iterable[str]:
        try:
            with self._server.connected() as line:
                able, wrong = _account_problems(line)
                return [*wrong, *self._action_problems(line, roles)] if able else wrong
        except (SystemUnavailable, SystemRefused) as error:
            return [str(error)]

    # --- which role it is

    def _ours(self, line: Line, grant: str = "") -> list[_Role]:
        return [role for role in _roles(line, grant) if role.system in (self._system, "")]

    def _settled(self, line: Line, grant: str) -> list[_Role]:
        """This grant's role, and none only when none is about to be there: a start whose answer was lost may still be
        waiting for its commit."""
        found = self._ours(line, grant)
        if not found:
            with line.transaction():
                _take_turn(line)
                found = self._ours(line, grant)
        return found

    def _one(self, line: Line, order: Order) -> _Role | None:
        return next(iter(self._ours(line, order.grant)), None)

    def _to_grant(self, line: Line, order: Order) -> _Role:
        """The order's role, until its end: the one that is there already, or a new one."""
        there = _roles(line, order.grant)
        for role in there:
            if role.system == "":
                raise SystemRefused("exists", f"{role.name} is there without our comment: who made it?")
            if role.system == self._system and not role.open:
                raise SystemUnavailable(f"{role.name} is being ended")
            if role.system == self._system:
                do(line, "ALTER ROLE {role} VALID UNTIL {until}", role=role.sql, until=_until(order))
                return role
        return self._create(line, order, role_name(order, {role.name for role in there}))

    def _create(self, line: Line, order: Order, name: str) -> _Role:
        do(
            line,
            "CREATE ROLE {role} LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS "
            "CONNECTION LIMIT {connections} PASSWORD NULL VALID UNTIL {until}",
            role=sql.Identifier(name),
            connections=sql.Literal(CONNECTIONS),
            until=_until(order),
        )
        mark = sql.Literal(f"Access Bot: grant {order.grant} on {self._system}")
        do(line, "COMMENT ON ROLE {role} IS {mark}", role=sql.Identifier(name), mark=mark)
        _join(line, sql.Identifier(name))
        return next(role for role in _roles(line, order.grant) if role.name == name)

    # --- the end

    def _end(self, line: Line, role: _Role) -> None:
        """Sessions go first and once more: an open transaction of the holder's can lock the role against us."""
        _join(line, role.sql)
        _close_sessions(line, role)
        do(line, "ALTER ROLE {role} NOLOGIN PASSWORD NULL", role=role.sql)
        _close_sessions(line, role)
        for (database,) in line.execute(_ELSEWHERE.encode(), [role.oid]).fetchall():
            with self._server.connected(database) as there, there.transaction():
                _hand_over(there, role)
        with line.transaction():
            _take_turn(line)
            _hand_over(line, role)
            if _open_sessions(line, role):
                raise SystemUnavailable(f"a session of {role.name} was opened while it ended", 1)
            do(line, "DROP ROLE {role}", role=role.sql)

    # --- what the doctor asks

    def _action_problems(self, line: Line, roles: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Gives every action to a role that is never committed."""
        probe = f"access_check_{secrets.token_hex(4)}"
        with line.transaction(force_rollback=True):
            _take_turn(line)
            do(line, "CREATE ROLE {role} NOLOGIN NOINHERIT", role=sql.Identifier(probe))
            yield from self._refusals(line, "connecting", lambda: give_connect(line, probe))
            for role, actions in roles.items():
                for action in actions:
                    yield from self._refusals(line, f"role {role}, {action}", partial(give_action, line, probe, action))

    def _refusals(self, line: Line, what: str, give: Callable[[], None]) -> Iterator[str]:
        try:
            with line.transaction():
                give()
        except psycopg.Error as error:
            if line.closed:
                raise
            yield f"{what}: {told(self._system, error)}"
        except SystemRefused as error:
            yield f"{what}: {error}"


def role_name(order: Order, taken: Iterable[str] = ()) -> str:
    """`access_<user>_<grant>`, from the person's address, with a number where another database of the same server has
    that name already: roles belong to the whole server, and each database's password is its own."""
    local = unicodedata.normalize("NFKD", order.person.email.partition("@")[0]).encode("ascii", "ignore").decode()
    who = re.sub(r"[^a-z0-9]+", "_", local.lower()).strip("_") or re.sub(r"[^a-z0-9]+", "_", order.person.id.lower())
    room = LONGEST_NAME - len(f"access__{order.grant}_9")
    name = f"access_{who[:room]}_{order.grant}"
    if not _NAME.fullmatch(name):
        raise SystemRefused("name", f"{order.grant} can't be a part of a role's name")
    return next(each for each in (name, *(f"{name}_{number}" for number in range(2, 10))) if each not in taken)


def _roles(line: Line, grant: str = "") -> list[_Role]:
    found = (_read(row) for row in line.execute(_ROLES.encode(), [grant]))
    return [role for role in found if role is not None and grant in ("", role.grant)]


def _read(row: Sequence[Any]) -> _Role | None:
    oid, name, comment, may_login, until = row
    named, marked = _NAME.fullmatch(name), _MARK.fullmatch(comment or "")
    if not named and not marked:
        return None
    grant, system = marked.groups() if marked else (named[1] if named else "", "")
    return _Role(oid, name, grant, system, may_login, until or "for ever")


def _detail(role: _Role) -> str:
    state = f"may log in until {role.until}" if role.open else "may not log in any more"
    return state if role.system else f"{state}; has lost our comment"


def _until(order: Order) -> sql.Literal:
    return sql.Literal(datetime.fromtimestamp(order.ends_at, UTC).isoformat())


def _join(line: Line, role: sql.Identifier) -> None:
    """With it we see the role's sessions, may end them, and may hand over what it owns."""
    do(line, "GRANT {role} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE", role=role)


def _shelf(line: Line) -> str:
    """The name of the role that gets what holders leave. It is not our account itself, because what they leave can be
    code, and that runs with the rights of its owner."""
    (account,) = row(line, "SELECT current_user")
    return f"{account.encode()[: LONGEST_NAME - 5].decode(errors='ignore')}_left"


def _take_turn(line: Line) -> None:
    """Waits until nobody else of us changes anything on this server, and keeps it so until the transaction ends.

    GRANTs that meet on one table fail ("tuple concurrently updated"), and a start whose answer was lost may be a commit
    that is still waited for. It is no advisory lock, because any holder could take that and keep it."""
    shelf = _shelf(line)
    name = sql.Identifier(shelf)
    if line.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [shelf]).fetchone() is None:
        do(line, "CREATE ROLE {name} NOLOGIN NOINHERIT", name=name)
        do(line, "GRANT {name} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE", name=name)
    do(line, "COMMENT ON ROLE {name} IS 'Access Bot: what holders of access left behind when it ended'", name=name)


def _close_sessions(line: Line, role: _Role) -> None:
    for wait in (0, PATIENCE):  # all are told before any is waited for
        line.execute("SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE usesysid = %s", [wait, role.oid])
    if left := _open_sessions(line, role):
        raise SystemUnavailable(f"{left} sessions of {role.name} don't end")


def _open_sessions(line: Line, role: _Role) -> int:
    return int(row(line, "SELECT count(*) FROM pg_stat_activity WHERE usesysid = %s", role.oid)[0])


def _hand_over(line: Line, role: _Role) -> None:
    """What the role owns in this database goes to the shelf, what it may here is taken back. The owner of a function
    needs CREATE on its schema, so the shelf has that for this moment."""
    shelf = sql.Identifier(_shelf(line))
    schemas = [sql.Identifier(name) for (name,) in line.execute(_SCHEMAS.encode(), [role.name, _shelf(line)])]
    for schema in schemas:
        do(line, "GRANT CREATE ON SCHEMA {schema} TO {shelf}", schema=schema, shelf=shelf)
    do(line, "REASSIGN OWNED BY {role} TO {shelf}", role=role.sql, shelf=shelf)
    do(line, "DROP OWNED BY {role}", role=role.sql)
    for schema in schemas:
        do(line, "REVOKE CREATE ON SCHEMA {schema} FROM {shelf}", schema=schema, shelf=shelf)


def _refuse_older(line: Line) -> None:
    if line.info.server_version < OLDEST * 10_000:
        raise SystemRefused("version", f"this needs PostgreSQL {OLDEST} or newer")


def _account_problems(line: Line) -> tuple[bool, list[str]]:
    """Whether our account can make roles at all, and what is wrong with it."""
    account, is_super, creates = row(line, _ACCOUNT)
    version = line.info.server_version // 10_000
    if version < OLDEST:
        return False, [f"it is PostgreSQL {version}; this needs {OLDEST} or newer"]
    if is_super:
        return True, [f"our account {account} is a superuser, which is far more than it needs: CREATEROLE is enough"]
    return creates, [] if creates else [f"our account {account} may not create roles: ALTER ROLE {account} CREATEROLE"]
