"""Databases of PostgreSQL 16 and newer: a grant is a login role with exactly its actions, which is
dropped at the end.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import psycopg
from psycopg import sql

from bot.connectors.base import AccessInstructions, ConnectorDeps, ObservedAccess, Prompt, Session
from bot.connectors.postgres.privileges import give_action, give_connect, lasting
from bot.connectors.postgres.recording import (
    STATEMENTS,
    record_statements,
    recording_problems,
)
from bot.connectors.postgres.revoke import end_role
from bot.connectors.postgres.roles import (
    Role,
    find_roles,
    find_sessions,
    join,
    mark,
    role_name,
    take_turn,
)
from bot.connectors.postgres.server import Line, Server, do, row, translated
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import Membership, ProvisionOrder
from bot.core.roles import System

OLDEST = 16
"""The first version in which an account with CREATEROLE can change only the roles that it made."""

CONNECTIONS = 10
"""The connections of one holder: a client program opens several."""

HOW = (
    "Give it to psql in quotes, or to any client that takes a connection string.",
    (
        "Show credentials makes a new password; this one stops working then, and open sessions stay"
        " open."
    ),
)

_KNOWABLE = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
# a standby that takes over has the same one
_IDENTITY = "SELECT system_identifier::text FROM pg_control_system()"
_ACCOUNT = """SELECT rolname, rolsuper, rolcreaterole,
    current_setting('transaction_read_only') = 'on'
    FROM pg_roles WHERE rolname = current_user"""


class Postgres:
    """One database, in which our account may create roles and grant the actions of roles.toml."""

    def __init__(self, system: System, tools: ConnectorDeps) -> None:
        address = system.settings.get("address")
        self._system, self._memberships = system.name, tools.memberships
        self._server = Server(
            system.name, str(system.settings["url"]), str(address) if address else None
        )
        self._records_statements = system.records == STATEMENTS
        self.target = self._server.target

    def grant(self, order: ProvisionOrder) -> None:
        """Creates the role with all of its rights in one transaction."""
        with self._server.connected() as line, line.transaction():
            if _version(line) < OLDEST:
                raise SystemRefused("version", f"PostgreSQL {OLDEST} or newer is needed")
            self._memberships.note(self._membership(line, order.grant))
            take_turn(line)
            role = self._to_grant(line, order)
            if self._records_statements:
                record_statements(line, role.sql)
            give_connect(line, role.name)
            for action in order.actions:
                give_action(line, role.name, action)

    def extend(self, order: ProvisionOrder) -> None:
        """Never creates the role again: it may have ended meanwhile, or somebody may have removed
        it on purpose."""
        with self._server.connected() as line:
            role = self._one(line, order)
            if role is None or not role.open:
                raise SystemUnavailable(
                    f"there is no access of {order.grant} on {self._system} to extend"
                )
            do(line, "ALTER ROLE {role} VALID UNTIL {until}", role=role.sql, until=_until(order))

    def revoke(self, order: ProvisionOrder) -> None:
        with self._server.connected() as line:
            for role in self._settled(line, order.grant):
                end_role(self._server, line, role)
            self._memberships.forget(self._membership(line, order.grant))

    def read_back(self, order: ProvisionOrder) -> bool:
        with self._server.connected() as line:
            return bool(self._settled(line, order.grant))

    def credentials(self, order: ProvisionOrder, given: str) -> AccessInstructions | Prompt:
        """Sets a new password. The server, and so its log, gets only the SCRAM verifier of it."""
        with self._server.connected() as line:
            role = self._one(line, order)
            if role is None or not role.open:
                raise SystemRefused("ended", f"access on {self._system} has ended")
            password = secrets.token_urlsafe(24)
            verifier = line.pgconn.encrypt_password(
                password.encode(), role.name.encode(), b"scram-sha-256"
            )
            do(
                line,
                "ALTER ROLE {role} PASSWORD {verifier} VALID UNTIL {until}",
                role=role.sql,
                verifier=sql.Literal(verifier.decode()),
                until=_until(order),
            )
        return AccessInstructions(
            {"Connection string": self._server.way_in(role.name, password)}, HOW
        )

    def list_active(self) -> Iterable[ObservedAccess]:
        with self._server.connected() as line:
            return [
                ObservedAccess(role.name, role.grant, _detail(role)) for role in self._ours(line)
            ]

    def remove(self, found: ObservedAccess) -> None:
        with self._server.connected() as line:
            for role in self._ours(line):
                if role.name == found.name:
                    end_role(self._server, line, role)

    def sessions(self) -> Iterable[Session]:
        with self._server.connected() as line:
            found = find_sessions(line)
        return [
            Session(role.grant, *session) for role, session in found if role.system == self._system
        ]

    def check(self, roles: Mapping[str, Sequence[str]]) -> Iterable[str]:
        """Without roles it checks only our account, which is cheap and writes nothing."""
        try:
            with self._server.connected() as line:
                wrong = _unable(line)
                if self._records_statements and not wrong:
                    wrong = [*recording_problems(line)]
                if roles and not wrong:
                    wrong = [*_too_able(line), *self._action_problems(line, roles)]
                return wrong
        except (SystemUnavailable, SystemRefused) as error:
            return [str(error)]

    # --- the role of a grant

    def _ours(self, line: Line, grant: str = "") -> list[Role]:
        return [role for role in find_roles(line, grant) if role.system in (self._system, "")]

    def _settled(self, line: Line, grant: str) -> list[Role]:
        """This grant's role, or None if there is none and none is about to be committed: a start
        whose answer was lost may still be waiting for its commit. An older server is not locked,
        because no start succeeds there."""
        found = self._ours(line, grant)
        if not found and _version(line) >= OLDEST:
            with line.transaction():
                take_turn(line)
                found = self._ours(line, grant)
        if not found:
            self._refuse_elsewhere(line, grant)
        return found

    def _membership(self, line: Line, grant: str) -> Membership:
        """The id of this server, because the url may lead to another one when the access ends. ""
        if our account may not read it."""
        identity = row(line, _IDENTITY)[0] if row(line, _KNOWABLE)[0] else ""
        return Membership(self._system, grant, "", identity, "")

    def _refuse_elsewhere(self, line: Line, grant: str) -> None:
        if {*self._memberships.of_grant(self._system, grant)} - {self._membership(line, grant)}:
            raise SystemUnavailable(
                f"{self._system} is another server than the one where this access was made: let its"
                " url lead there until the access has ended, or say that it is the same database,"
                f" restored or upgraded: access-bot systems confirm-target {self._system}"
            )

    def _one(self, line: Line, order: ProvisionOrder) -> Role | None:
        return next(iter(self._ours(line, order.grant)), None)

    def _to_grant(self, line: Line, order: ProvisionOrder) -> Role:
        """The order's role with its end: the existing one, or a new one."""
        there = find_roles(line, order.grant)
        for role in there:
            if role.system == "":
                raise SystemRefused(
                    "exists", f"{role.name} exists without our comment: who made it?"
                )
            if role.system == self._system and not role.open:
                raise SystemUnavailable(f"{role.name} is being ended")
            if role.system == self._system:
                do(
                    line,
                    "ALTER ROLE {role} VALID UNTIL {until}",
                    role=role.sql,
                    until=_until(order),
                )
                return role
        return self._create(line, order, role_name(order, {role.name for role in there}))

    def _create(self, line: Line, order: ProvisionOrder, name: str) -> Role:
        do(
            line,
            "CREATE ROLE {role} LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
            " NOBYPASSRLS CONNECTION LIMIT {connections} PASSWORD NULL VALID UNTIL {until}",
            role=sql.Identifier(name),
            connections=sql.Literal(CONNECTIONS),
            until=_until(order),
        )
        comment = sql.Literal(mark(order, self._system))
        do(line, "COMMENT ON ROLE {role} IS {comment}", role=sql.Identifier(name), comment=comment)
        join(line, sql.Identifier(name))
        return next(role for role in find_roles(line, order.grant) if role.name == name)

    # --- the checks of the doctor

    def _action_problems(self, line: Line, roles: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Grants every action to a role in a transaction that is rolled back."""
        probe = f"access_check_{secrets.token_hex(4)}"
        with line.transaction(force_rollback=True):
            take_turn(line)
            do(line, "CREATE ROLE {role} NOLOGIN NOINHERIT", role=sql.Identifier(probe))
            yield from self._refusals(line, "connecting", lambda: give_connect(line, probe))
            for role, actions in roles.items():
                for action in actions:
                    what = f"role {role}, {action}"
                    refused = [
                        *self._refusals(line, what, partial(give_action, line, probe, action))
                    ]
                    yield from refused or (f"{what}: {why}" for why in lasting(line, action))

    def _refusals(self, line: Line, what: str, give: Callable[[], None]) -> Iterator[str]:
        try:
            with line.transaction():
                give()
        except psycopg.Error as error:
            if line.closed:
                raise
            yield f"{what}: {translated(self._system, error)}"
        except SystemRefused as error:
            yield f"{what}: {error}"


def _detail(role: Role) -> str:
    state = f"may log in until {role.until}" if role.open else "may no longer log in"
    return state if role.system else f"{state}; has lost our comment"


def _until(order: ProvisionOrder) -> sql.Literal:
    return sql.Literal(datetime.fromtimestamp(order.ends_at, UTC).isoformat())


def _version(line: Line) -> int:
    return line.info.server_version // 10_000


def _unable(line: Line) -> list[str]:
    """The reasons why our account can't create roles at all."""
    account, is_super, creates, reads_only = row(line, _ACCOUNT)
    if (version := _version(line)) < OLDEST:
        return [f"it is PostgreSQL {version}; this needs {OLDEST} or newer"]
    if reads_only:
        return [
            "it is a standby, or read-only for our account: no access can be given or revoked there"
        ]
    return (
        []
        if is_super or creates
        else [f"our account {account} may not create roles: ALTER ROLE {account} CREATEROLE"]
    )


def _too_able(line: Line) -> list[str]:
    account, is_super, *_ = row(line, _ACCOUNT)
    return [f"our account {account} is a superuser; it needs only CREATEROLE"] * is_super
