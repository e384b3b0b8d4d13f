"""The end of a role on a PostgreSQL server: nobody gets in, nobody is in, what it made is kept, and it is gone.
It doesn't know why it ends, nor who asked.
"""

from psycopg import sql

from bot.connectors.postgres_roles import Role, join, shelf_of, take_turn
from bot.connectors.postgres_server import Line, Server, do, row
from bot.core.errors import SystemUnavailable

PATIENCE = 2000
"""Milliseconds in which a session that was told to end has to be gone."""

_PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE owner = %s AND database = current_database()"
_PREPARED_IN = "SELECT DISTINCT database FROM pg_prepared_xacts WHERE owner = %s"
_OWNS_IN = """SELECT DISTINCT d.datname FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
    WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = %s AND d.datname <> current_database()"""
_SCHEMAS = """SELECT nspname, nspowner::bigint FROM pg_namespace WHERE has_schema_privilege(%s, oid, 'CREATE')
    AND has_schema_privilege(current_user, oid, 'CREATE WITH GRANT OPTION')
    AND NOT has_schema_privilege(%s, oid, 'CREATE')"""


def end_role(server: Server, line: Line, role: Role) -> None:
    """Sessions go first and once more, and prepared transactions with them: one that the holder left open can have
    locked the role against us. Raises SystemUnavailable and SystemRefused; what was done until then stays done."""
    join(line, role.sql)
    _close_sessions(line, role)
    for (database,) in line.execute(_PREPARED_IN.encode(), [role.name]).fetchall():
        with server.connected(database) as there:
            _undo_prepared(there, role)
    do(line, "ALTER ROLE {role} NOLOGIN PASSWORD NULL", role=role.sql)
    _close_sessions(line, role)
    for (database,) in line.execute(_OWNS_IN.encode(), [role.oid]).fetchall():
        with server.connected(database) as there, there.transaction():
            _hand_over(there, role)
    with line.transaction():
        take_turn(line)
        _hand_over(line, role)
        if _open_sessions(line, role):
            raise SystemUnavailable(f"a session of {role.name} was opened while it ended", 1)
        do(line, "DROP ROLE {role}", role=role.sql)


def _undo_prepared(line: Line, role: Role) -> None:
    """Only who prepared a transaction may undo it, and only in its database."""
    for (gid,) in line.execute(_PREPARED.encode(), [role.name]).fetchall():
        do(line, "GRANT {role} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE", role=role.sql)
        do(line, "SET ROLE {role}", role=role.sql)
        do(line, "ROLLBACK PREPARED {gid}", gid=sql.Literal(gid))
        do(line, "RESET ROLE")


def _close_sessions(line: Line, role: Role) -> None:
    for wait in (0, PATIENCE):  # all are told before any is waited for
        line.execute("SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE usesysid = %s", [wait, role.oid])
    if left := _open_sessions(line, role):
        raise SystemUnavailable(f"{left} sessions of {role.name} don't end")


def _open_sessions(line: Line, role: Role) -> int:
    return int(row(line, "SELECT count(*) FROM pg_stat_activity WHERE usesysid = %s", role.oid)[0])


def _hand_over(line: Line, role: Role) -> None:
    """What the role owns in this database goes to the shelf, what it may here is taken back. The owner of a function
    needs CREATE on its schema, so the shelf has that for this moment."""
    shelf = sql.Identifier(shelf_of(line))
    found = line.execute(_SCHEMAS.encode(), [role.name, shelf_of(line)]).fetchall()
    schemas = [(sql.Identifier(name), owner == role.oid) for name, owner in found]
    for schema, _ in schemas:
        do(line, "GRANT CREATE ON SCHEMA {schema} TO {shelf}", schema=schema, shelf=shelf)
    do(line, "REASSIGN OWNED BY {role} TO {shelf}", role=role.sql, shelf=shelf)
    do(line, "DROP OWNED BY {role}", role=role.sql)
    for schema in (schema for schema, now_its_own in schemas if not now_its_own):
        do(line, "REVOKE CREATE ON SCHEMA {schema} FROM {shelf}", schema=schema, shelf=shelf)
