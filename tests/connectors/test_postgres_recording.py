"""`record = "statements"`: the server's log has every statement of a holder under the grant's
role."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from bot.connectors.postgres.connector import Postgres, role_name
from bot.connectors.postgres.recording import record_statements, recording_problems
from bot.core.errors import SystemRefused
from tests.connectors.postgres_rig import (
    ACTIONS,
    PasswordServer,
    an_order,
    connector,
    holder,
    roles,
    url,
)
from tests.postgres import new_folder
from tests.waiting import until

PGAUDIT = sorted(Path("/usr/lib/postgresql").glob("*/lib/pgaudit.so"))


@pytest.fixture
def recording(server: PasswordServer) -> Iterator[Postgres]:
    """A system that records statements, in a database that otherwise logs none."""
    server.execute("ALTER DATABASE orders SET log_statement = 'none'")
    it = connector(url(server.port), record="statements")
    yield it
    server.execute("ALTER DATABASE orders RESET log_statement")
    for found in it.list_active():
        it.remove(found)


def logged(log: str, role: str) -> list[str]:
    """The statements in the log under this role."""
    return [
        line.partition(" statement: ")[2] or line.partition("execute <unnamed>: ")[2]
        for line in log.splitlines()
        if f" {role}@orders LOG:" in line and ("statement: " in line or "execute " in line)
    ]


def test_the_servers_log_has_each_statement_under_the_grants_role(
    recording: Postgres, server: PasswordServer
) -> None:
    order, plain = an_order(), an_order()
    recording.grant(order)
    connector(url(server.port)).grant(plain)
    before = len(server.log)
    for each in (order, plain):
        with holder(recording, each) as line:
            line.execute("SELECT what FROM orders WHERE id = 1")
            line.execute("SELECT id FROM orders WHERE what = %s", ["tea"])
    said = server.log[before:]
    assert logged(said, role_name(order)) == [
        "SELECT what FROM orders WHERE id = 1",
        "SELECT id FROM orders WHERE what = $1",
    ]
    assert logged(said, role_name(plain)) == []


def test_the_holder_cannot_turn_the_log_off(recording: Postgres, server: PasswordServer) -> None:
    order = an_order()
    recording.grant(order)
    role = sql.Identifier(role_name(order))
    with holder(recording, order) as line:
        for statement in (
            sql.SQL("SET log_statement = 'none'"),
            sql.SQL("ALTER ROLE {} SET log_statement = 'none'").format(role),
            sql.SQL("ALTER ROLE {} RESET log_statement").format(role),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                line.execute(statement)
        line.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(role))
    with holder(recording, order) as line:
        line.execute("SELECT 'still logged'")
    assert "SELECT 'still logged'" in logged(server.log, role_name(order))


def test_without_the_right_nothing_starts_and_the_doctor_says_why(
    recording: Postgres, server: PasswordServer
) -> None:
    assert recording.check({"it": ACTIONS}) == []
    before = roles(server)
    server.execute("REVOKE SET ON PARAMETER log_statement FROM access_bot")
    try:
        (problem,) = recording.check({"it": ACTIONS})
        with pytest.raises(SystemRefused, match="may not set log_statement"):
            recording.grant(an_order())
        assert connector(url(server.port)).check({"it": ACTIONS}) == []
    finally:
        server.execute("GRANT SET ON PARAMETER log_statement TO access_bot")
    assert problem.endswith("GRANT SET ON PARAMETER log_statement TO access_bot")
    assert roles(server) == before


def test_the_doctor_finds_a_log_that_names_no_role(
    recording: Postgres, server: PasswordServer
) -> None:
    was = server.execute("SHOW log_line_prefix")[0][0]
    _set_prefix(server, "%m [%p] ")
    try:
        (problem,) = recording.check({})
    finally:
        _set_prefix(server, was)
    assert "%u into log_line_prefix" in problem


def _set_prefix(server: PasswordServer, prefix: str) -> None:
    server.execute(f"ALTER SYSTEM SET log_line_prefix = '{prefix}'")
    server.execute("SELECT pg_reload_conf()")
    until(lambda: server.execute("SHOW log_line_prefix") == [(prefix,)])


@pytest.mark.skipif(not PGAUDIT, reason="needs Debian's package of pgaudit")
def test_with_pgaudit_its_own_log_is_set_instead() -> None:
    """On Debian's server, whichever version it has: only the setting is tested, not the whole
    connector."""
    with debians_server(PGAUDIT[-1].parents[1]) as (folder, admin):
        admin.execute("CREATE ROLE access_bot LOGIN CREATEROLE; CREATE TABLE tea (id integer)")
        with psycopg.connect(f"host={folder} user=access_bot dbname=postgres") as line:
            line.execute("CREATE ROLE access_ana LOGIN")
            with pytest.raises(SystemRefused, match=r"may not set pgaudit\.log"):
                record_statements(line, sql.Identifier("access_ana"))
            assert "pgaudit.log TO access_bot" in next(iter(recording_problems(line)))
            admin.execute('GRANT SET ON PARAMETER "pgaudit.log" TO access_bot')
            record_statements(line, sql.Identifier("access_ana"))
        with psycopg.connect(f"host={folder} user=access_ana dbname=postgres") as line:
            line.execute("SELECT 1 AS mine")
        log = (folder / "log").read_text()
        assert "access_ana LOG:  AUDIT: SESSION" in log and "SELECT 1 AS mine" in log


@contextmanager
def debians_server(place: Path) -> Iterator[tuple[Path, psycopg.Connection[tuple[object, ...]]]]:
    folder = new_folder("access-bot-pgaudit-")
    folder.chmod(0o777)
    data, user = folder / "data", "postgres"

    def run(program: str, *words: str) -> None:
        command = [str(place / "bin" / program), *words]
        subprocess.run(command, user=user, check=True, capture_output=True, cwd=folder)

    run("initdb", "-D", str(data), "-A", "trust", "-N")
    options = (
        f"-k {folder} -c listen_addresses= -c fsync=off -c shared_preload_libraries=pgaudit"
        " -c log_line_prefix='%u '"
    )
    run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        where = f"host={folder} user=postgres dbname=postgres"
        with psycopg.connect(where, autocommit=True) as admin:
            yield folder, admin
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
