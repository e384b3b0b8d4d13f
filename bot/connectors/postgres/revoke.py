"""Ends a role on a PostgreSQL server: blocks its login, closes its sessions, keeps the objects it
made, and drops it.
"""

import psycopg
from psycopg import sql

from bot.connectors.postgres.roles import Role, join, leftover_owner, take_turn
from bot.connectors.postgres.server import Line, Server, do, row
from bot.core.errors import SystemUnavailable

PATIENCE = 2000
"""Milliseconds for the terminated sessions to end."""

TRIES = 10
"""The number of tries of NOLOGIN against sessions that keep opening and lock the role each time."""

_PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE owner = %s AND database = current_database()"
_PREPARED_IN = "SELECT DISTINCT database FROM pg_prepared_xacts WHERE owner = %s"
_OWNS_IN = """SELECT DISTINCT d.datname FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
    WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = %s
        AND d.datname <> current_database()"""
_END_SESSIONS = """SELECT pg_terminate_backend(pid, %s / count(*) OVER ()) FROM pg_stat_activity
    WHERE usesysid = %s"""


def end_role(server: Server, line: Line, role: Role) -> None:
    """Logins are blocked before anything else: a holder who opens sessions faster than they end, or
    has one that does not end, would delay the rest. Raises SystemUnavailable and SystemRefused; the
    steps up to then are kept."""
    join(line, role.sql)
    if role.open:
        _lock_out(server, line, role)
    _close_sessions(line, role)
    _undo_prepared(server, line, role)
    for (database,) in line.execute(_OWNS_IN.encode(), [role.oid]).fetchall():
        with server.connected(database) as there, there.transaction():
            take_turn(there)
            _reassign(there, role)
    with line.transaction():
        take_turn(line)
        _reassign(line, role)
        if _open_sessions(line, role):
            raise SystemUnavailable(f"a session of {role.name} was opened while it ended", 1)
        do(line, "DROP ROLE {role}", role=role.sql)


def _lock_out(server: Server, line: Line, role: Role) -> None:
    """A session or a prepared transaction that changes its own password holds the lock that NOLOGIN
    needs. So both are ended in the same step; the next session waits behind us."""
    for left in reversed(range(TRIES)):
        try:
            with line.transaction():
                do(line, "SET LOCAL lock_timeout = '500ms'")
                _end_sessions(line, role)
                do(line, "ALTER ROLE {role} NOLOGIN PASSWORD NULL", role=role.sql)
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.InternalError_):
            # The latter: changed meanwhile.
            if not left:
                raise
        _undo_prepared(server, line, role)


def _undo_prepared(server: Server, line: Line, role: Role) -> None:
    """Only the role that prepared a transaction may roll it back, and only in its database."""
    for (database,) in line.execute(_PREPARED_IN.encode(), [role.name]).fetchall():
        with server.connected(database) as there:
            for (gid,) in there.execute(_PREPARED.encode(), [role.name]).fetchall():
                do(there, "GRANT {role} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE", role=role.sql)
                do(there, "SET ROLE {role}", role=role.sql)
                do(there, "ROLLBACK PREPARED {gid}", gid=sql.Literal(gid))
                do(there, "RESET ROLE")


def _close_sessions(line: Line, role: Role) -> None:
    _end_sessions(line, role)
    _end_sessions(line, role, PATIENCE)
    if left := _open_sessions(line, role):
        raise SystemUnavailable(f"{left} sessions of {role.name} did not end")


def _end_sessions(line: Line, role: Role, patience: int = 0) -> None:
    """Terminates all sessions, and waits for each its share of `patience` milliseconds."""
    line.execute(_END_SESSIONS.encode(), [patience, role.oid])


def _open_sessions(line: Line, role: Role) -> int:
    return int(row(line, "SELECT count(*) FROM pg_stat_activity WHERE usesysid = %s", role.oid)[0])


def _reassign(line: Line, role: Role) -> None:
    """Gives the role's objects in this database to the owner of leftovers, and revokes the role's
    privileges here. The new owner of a function or publication must be allowed to create one there,
    so the new owner has the role's privileges for a moment."""
    owner = sql.Identifier(leftover_owner(line))
    do(line, "SET LOCAL lock_timeout = '1s'")  # other locks wait behind this one, and it is retried
    do(line, "GRANT {role} TO {owner} WITH INHERIT TRUE, SET FALSE", role=role.sql, owner=owner)
    do(line, "REASSIGN OWNED BY {role} TO {owner}", role=role.sql, owner=owner)
    do(line, "REVOKE {role} FROM {owner}", role=role.sql, owner=owner)
    do(line, "DROP OWNED BY {role}", role=role.sql)
