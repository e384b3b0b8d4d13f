"""Names, marks, finds and creates the roles of this product on a PostgreSQL server."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from bot.connectors.postgres.actions import LONGEST_NAME
from bot.connectors.postgres.server import Line, do, row
from bot.core.errors import SystemRefused
from bot.core.model import ProvisionOrder

_NAME = re.compile(r"access_[a-z0-9_]+_(g[0-9a-z]{11})(?:_[2-9])?")
_MARK = re.compile(r"Access Bot: grant (\S+) on (\S+)")

_COLUMNS = "r.oid::bigint, r.rolname, d.description, r.rolcanlogin, r.rolvaliduntil::text"
_COMMENTED = """pg_roles r LEFT JOIN pg_shdescription d ON d.objoid = r.oid
    AND d.classoid = 'pg_authid'::regclass"""
_OURS = r"(r.rolname LIKE 'access\_%%' OR d.description LIKE 'Access Bot: grant %%')"
_ROLES = f"""SELECT {_COLUMNS} FROM {_COMMENTED}
    WHERE {_OURS} AND (position(%s in r.rolname) > 0 OR position(%s in d.description) > 0)"""  # noqa: S608
_SESSIONS = f"""SELECT {_COLUMNS}, a.pid || ' ' || extract(epoch FROM a.backend_start),
    coalesce(host(a.client_addr), 'local'), floor(extract(epoch FROM a.backend_start))::bigint
    FROM {_COMMENTED} JOIN pg_stat_activity a ON a.usesysid = r.oid
    WHERE {_OURS} AND a.backend_type = %s AND a.backend_start IS NOT NULL"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Role:
    """A role that this product made, or that looks like it; `system` is "" if it is unknown."""

    oid: int
    name: str
    grant: str
    system: str
    open: bool
    until: str

    @property
    def sql(self) -> sql.Identifier:
        return sql.Identifier(self.name)


def mark(order: ProvisionOrder, system: str) -> str:
    """The comment on the order's role. Only an administrator of the role can set it."""
    return f"Access Bot: grant {order.grant} on {system}"


def role_name(order: ProvisionOrder, taken: Iterable[str] = ()) -> str:
    """`access_<user>_<grant>`, from the person's address, with a number if another database of the
    same server uses that name: roles belong to the whole server, but each database needs its own
    password."""
    local = (
        unicodedata.normalize("NFKD", order.person.email.partition("@")[0])
        .encode("ascii", "ignore")
        .decode()
    )
    who = re.sub(r"[^a-z0-9]+", "_", local.lower()).strip("_") or re.sub(
        r"[^a-z0-9]+", "_", order.person.id.lower()
    )
    room = LONGEST_NAME - len(f"access__{order.grant}_9")
    name = f"access_{who[:room]}_{order.grant}"
    if not _NAME.fullmatch(name):
        raise SystemRefused("name", f"{order.grant} can't be part of a role's name")
    return next(
        each
        for each in (name, *(f"{name}_{number}" for number in range(2, 10)))
        if each not in taken
    )


def find_roles(line: Line, grant: str = "") -> list[Role]:
    """The roles of a grant, or all of them, by name or comment, so that renaming one does not hide
    it."""
    found = (_read(row) for row in line.execute(_ROLES.encode(), [grant, grant]))
    return [role for role in found if role is not None and grant in ("", role.grant)]


def _read(row: Sequence[Any]) -> Role | None:
    oid, name, comment, may_login, until = row
    named, marked = _NAME.fullmatch(name), _MARK.fullmatch(comment or "")
    if not named and not marked:
        return None
    grant, system = marked.groups() if marked else (named[1] if named else "", "")
    return Role(oid, name, grant, system, may_login, until or "indefinitely")


def find_sessions(line: Line) -> list[tuple[Role, Sequence[Any]]]:
    """The open sessions of all of them, with the server's id of the session, its origin and its
    start."""
    rows = line.execute(_SESSIONS.encode(), ["client backend"]).fetchall()
    found = ((_read(each[:5]), each[5:]) for each in rows)
    return [(role, session) for role, session in found if role is not None]


def join(line: Line, role: sql.Identifier) -> None:
    """Membership lets us see and end the role's sessions and reassign its objects."""
    do(line, "GRANT {role} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE", role=role)


def leftover_owner(line: Line) -> str:
    """The role that gets the objects that holders leave. It is not our account, because those
    objects may be code that runs with its owner's rights."""
    (account,) = row(line, "SELECT current_user")
    return f"{account.encode()[: LONGEST_NAME - 5].decode(errors='ignore')}_left"


def take_turn(line: Line) -> None:
    """Locks this server against other changes by the bot until the transaction ends.

    GRANTs that meet on one table fail ("tuple concurrently updated"), and a start whose answer was
    lost may be a commit that is still waited for. It is no advisory lock, because any holder could
    take that and keep it."""
    owner = leftover_owner(line)
    name = sql.Identifier(owner)
    if line.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [owner]).fetchone() is None:
        do(line, "CREATE ROLE {name} NOLOGIN NOINHERIT", name=name)
        do(line, "GRANT {name} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE", name=name)
    do(
        line,
        "COMMENT ON ROLE {name} IS 'Access Bot: what holders of access left behind when it ended'",
        name=name,
    )
