"""Turns an action of a role into a GRANT to one login role, and detects when the server granted
less."""

from collections.abc import Iterable, Iterator

import psycopg
from psycopg import sql

from bot.connectors.postgres.actions import Membership, Privilege, Privileges, Target, parse_action
from bot.connectors.postgres.server import Line, row
from bot.core.errors import SystemRefused

# warning_privilege_not_granted: a GRANT that gave nothing, or less than it says, is no error
_NOT_GIVEN = "01007"
_LASTING = """SELECT r.rolname,
    r.rolsuper OR EXISTS (SELECT FROM pg_shdepend
        WHERE refclassid = 'pg_authid'::regclass AND refobjid = r.oid AND deptype = 'o'),
    EXISTS (SELECT FROM pg_auth_members WHERE member = r.oid AND admin_option),
    EXISTS (SELECT FROM (SELECT relacl FROM pg_class UNION ALL SELECT attacl FROM pg_attribute
        UNION ALL SELECT nspacl FROM pg_namespace UNION ALL SELECT proacl FROM pg_proc
        UNION ALL SELECT datacl FROM pg_database) acls(acl), aclexplode(acl)
        WHERE grantee = r.oid AND is_grantable)
    FROM pg_roles r
    WHERE EXISTS (SELECT FROM pg_roles p WHERE p.rolname = ANY(%s)
        AND pg_has_role(p.oid, r.oid, 'USAGE')) ORDER BY 1"""
_MAY_CONNECT = (
    "SELECT current_database(), has_database_privilege(%s, current_database(), 'CONNECT')"
)


def give_action(line: Line, role: str, action: str) -> None:
    """Grants one action to the role. Raises SystemRefused for an invalid action and for one that
    our account can't grant."""
    try:
        wanted = parse_action(action)
    except ValueError as error:
        raise SystemRefused("action", str(error)) from None
    to = sql.Identifier(role)
    _grant(
        line, _membership(wanted, to) if isinstance(wanted, Membership) else _privileges(wanted, to)
    )


def lasting(line: Line, action: str) -> Iterator[str]:
    """The reasons why a holder could grant rights to others that outlive the access: members may
    grant in the name of a role every right that the role may grant."""
    if not isinstance(wanted := parse_action(action), Membership):
        return
    for name, owns, admin, grants in line.execute(_LASTING.encode(), [[*wanted.roles]]).fetchall():
        whys = {
            "owns things": owns,
            "has ADMIN on a role": admin,
            "has rights WITH GRANT OPTION": grants,
        }
        if found := " and ".join(why for why, so in whys.items() if so):
            yield f"{name} {found}, so a holder could grant it to others beyond the access"


def give_connect(line: Line, role: str) -> None:
    """Every role may connect, unless that was revoked from PUBLIC."""
    database, may = row(line, _MAY_CONNECT, role)
    if not may:
        statement = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
        _grant(line, statement.format(sql.Identifier(database), sql.Identifier(role)))


def _grant(line: Line, statement: sql.Composed) -> None:
    codes: list[str | None] = []

    def collect(notice: psycopg.errors.Diagnostic) -> None:
        codes.append(notice.sqlstate)

    line.add_notice_handler(collect)
    try:
        line.execute(statement)
    finally:
        line.remove_notice_handler(collect)
    if _NOT_GIVEN in codes:
        raise SystemRefused(
            _NOT_GIVEN, "our account may not grant this: it needs it WITH GRANT OPTION"
        )


def _membership(wanted: Membership, role: sql.Identifier) -> sql.Composed:
    """The holder inherits the rights of the roles without SET ROLE, so that every object they make
    is theirs at the end."""
    parents = _listed(sql.Identifier(parent) for parent in wanted.roles)
    return sql.SQL("GRANT {} TO {} WITH INHERIT TRUE, SET FALSE").format(parents, role)


def _privileges(wanted: Privileges, role: sql.Identifier) -> sql.Composed:
    """Safe without quotes: words and kinds are from the grammar's own tables, and types of
    arguments are plain words."""
    what = _listed(map(_privilege, wanted.privileges))
    where = _listed(map(_target, wanted.targets))
    return sql.SQL("GRANT {} ON {} {} TO {}").format(what, sql.SQL(wanted.kind), where, role)


def _privilege(privilege: Privilege) -> sql.Composable:
    if not privilege.columns:
        return sql.SQL(privilege.word)
    return sql.SQL(privilege.word) + sql.SQL(" ({})").format(
        _listed(map(sql.Identifier, privilege.columns))
    )


def _target(target: Target) -> sql.Composable:
    name = sql.Identifier(*target.name)
    if target.arguments is None:
        return name
    return name + sql.SQL("({})").format(_listed(map(sql.SQL, target.arguments)))


def _listed(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
