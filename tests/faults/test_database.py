"""The database is locked, full, gone for a while or the wrong one: waiting people are notified,
nothing is half done, no gate opens, and afterwards all work continues."""

from __future__ import annotations

import json
import re
import resource
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.core.errors import StorageUnavailable
from storage import key_values
from storage.database import Database
from tests.faults.processes import command, ready_at
from tests.faults.running_bot import Bot, Company
from tests.postgres import Postgres
from tests.waiting import until

DOWN = "The database does not answer right now, so nothing was changed."
LOGGED = (
    r"nothing was changed: The database does not answer",
    r"the last counts of token checks are lost",
)


def counted(company: Company) -> list[int]:
    tables = ("requests", "grants", "audit", "outbox", "seen", "votes")
    return [company.rows(f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables]


# --- SQLite


@contextmanager
def locked(company: Company) -> Iterator[None]:
    """Another process holds the write lock."""
    with closing(
        sqlite3.connect(company.folder / "access.db", isolation_level=None, timeout=10)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_a_locked_database_is_reported_in_time_and_changes_nothing(own_company: Company) -> None:
    company = own_company
    company.expect(*LOGGED)
    who = company.newcomer()
    held = company.hold(who, "brief", "8s before the lock")
    token = company.token(who, "brief")
    company.quiet()
    card = company.card(company.ask(who, "shop-admin"))
    company.quiet()
    with locked(company):
        before = counted(company)
        said = company.access(who, "request reports-read 1h while it is locked")
        assert said.ok and DOWN in said.text
        assert company.ben.click(card, "Approve").ok
        assert DOWN in company.ben.plain(company.ben.wait_view())
        until(lambda: company.check(token) != 200)  # it is over, although that can't be recorded
        assert counted(company) == before
    until(lambda: company.grant(who, "brief") == (held, "ended"))
    assert company.ask(who, "reports-read", "1h once more")
    assert company.ben.click(card, "Approve").ok
    until(lambda: company.grant(who, "shop-admin")[1] == "active")
    assert command(company, "audit", "verify").returncode == 0


@contextmanager
def full_disk(bot: Bot, company: Company) -> Iterator[None]:
    """No file of the process may grow beyond the size that its log still needs; the database's
    write-ahead log is larger already."""
    limit = bot.log.stat().st_size + 64 * 1024
    wal = company.folder / "access.db-wal"
    with closing(sqlite3.connect(company.folder / "access.db", timeout=10)) as other:
        while wal.stat().st_size < 2 * limit:
            with other:
                other.execute("INSERT INTO seen (key, at) VALUES (hex(randomblob(20000)), 0)")
    before = resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE, before)


def writable(bot: Bot) -> tuple[int, str, int]:
    """The state of the database in `/readyz` and `/metrics`."""
    status, body, _ = bot.get("/readyz")
    metric = re.search(r"^access_bot_database_writable (\d)", bot.get("/metrics")[1], re.MULTILINE)
    assert metric is not None
    return status, json.loads(body)["checks"]["database"], int(metric[1])


def test_a_full_disk_is_reported_and_leaves_nothing_half_written(own_company: Company) -> None:
    company = own_company
    company.expect(*LOGGED)
    who = company.newcomer()
    held = company.hold(who, "brief", "8s before it is full")
    token = company.token(who, "brief")
    company.quiet()
    with full_disk(company.bot, company):
        before = counted(company)
        for _ in range(3):
            said = company.access(who, "request shop-admin 1h while it is full")
            assert said.ok and DOWN in said.text
        assert writable(company.bot) == (503, "takes no writes", 0)
        until(lambda: company.check(token) == 401)
        assert counted(company) == before
        assert company.bot.alive
    until(lambda: writable(company.bot) == (200, "well", 1))
    until(lambda: company.grant(who, "brief") == (held, "ended"))
    company.hold(who, "shop-admin", "1h there is room again")
    company.quiet()
    assert command(company, "audit", "verify").returncode == 0


def test_many_writers_of_one_process_all_get_their_turn(tmp_path: Path) -> None:
    """With SQLite alone, some of them would retry until their time limit."""
    with closing(Database(f"sqlite:///{tmp_path / 'access.db'}")) as database:
        database.migrate()
        failed: list[StorageUnavailable] = []

        def write(name: int) -> None:
            for turn in range(25):
                try:
                    with database.transaction():
                        key_values.put(database, f"{name}-{turn}", "written")
                except StorageUnavailable as error:
                    failed.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        with database.reading():
            assert database.rows("SELECT COUNT(*) FROM key_values") == [(1000,)]


# --- PostgreSQL


def test_nothing_is_lost_when_the_database_goes_and_comes_back(
    postgres: Postgres, postgres_url: str, make_company: Callable[..., Company]
) -> None:
    company = make_company(environment={"DATABASE_URL": postgres_url})
    company.expect(*LOGGED)
    worker = company.start("worker")
    web = company.launch("web")
    ready_at(web)
    who = company.newcomer()
    held = company.hold(who, "brief", "8s before it goes")
    token = company.token(who, "brief")
    assert company.check(token) == 200
    ((ends_at,),) = company.rows("SELECT ends_at FROM grants WHERE id = ?", held)
    company.quiet()
    company.db.close()
    postgres.stop()
    try:
        until(lambda: not web.is_ready() and not worker.is_ready())
        assert [bot.get("/readyz")[0] for bot in (web, worker)] == [503, 503]
        assert [bot.get("/healthz")[0] for bot in (web, worker)] == [200, 200]
        assert company.check(token) == 503
        said = company.access(who, "request shop-admin 1h while it is gone")
        assert said.ok and DOWN in said.text
        heard = set[int]()
        until(lambda: heard.add(company.check(token)) or time.time() > ends_at + 1)
        assert heard == {503}
    finally:
        postgres.start()
    ready_at(web)
    ready_at(worker)
    until(lambda: company.grant(who, "brief") == (held, "ended"))
    assert company.check(token) == 401
    company.hold(who, "shop-admin", "1h it is back")
    company.quiet()
    assert company.request(who, "shop-admin")[1] == "approved"
    assert command(company, "audit", "verify").returncode == 0


# --- the wrong one


def refused(company: Company, verb: str) -> list[str]:
    """Starts a process that must end on its own, and returns its output."""
    ended = command(company, verb)
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr.strip().splitlines()


@pytest.fixture
def nowhere() -> Iterator[dict[str, str]]:
    """Databases that don't answer: no server, a silent server, a missing directory."""
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as silent,
        closing(socket.socket()) as closed,
    ):
        closed.bind(("127.0.0.1", 0))
        yield {
            "closed": f"postgresql://bot:secret-word@127.0.0.1:{closed.getsockname()[1]}/access",
            "silent": f"postgresql://bot:secret-word@127.0.0.1:{silent.getsockname()[1]}/access",
            "no directory": "sqlite:////nowhere/at/all/access.db",
        }


NOWHERE = {"closed": "web", "silent": "worker", "no directory": "run"}
"""A verb for each of them: all verbs open the database in the same way."""


@pytest.mark.parametrize("which", NOWHERE)
def test_a_database_that_does_not_answer_stops_the_start_with_one_clear_line(
    make_company: Callable[..., Company], nowhere: dict[str, str], which: str
) -> None:
    company = make_company(environment={"DATABASE_URL": nowhere[which]})
    lines = refused(company, NOWHERE[which])
    assert len(lines) == 1 and "database" in lines[0].lower(), lines
    assert "secret-word" not in lines[0]


# tests/storage/test_database.py refuses one on each database: here each verb reports that.
@pytest.mark.parametrize(
    ("url", "verb"), [("sqlite_url", "run"), ("postgres_url", "web"), ("sqlite_url", "worker")]
)
def test_a_schema_newer_than_the_code_refuses_to_start(
    request: pytest.FixtureRequest, make_company: Callable[..., Company], url: str, verb: str
) -> None:
    company = make_company(environment={"DATABASE_URL": request.getfixturevalue(url)})
    with company.db.transaction():
        sql = "INSERT INTO schema_migration (name, applied) VALUES (?, ?)"
        company.db.run(sql, "0999_later", "2030-01-01 00:00:00")
    (line,) = refused(company, verb)
    assert "newer than this version" in line and "0999_later" in line


@pytest.mark.parametrize("verb", ["web", "worker"])
def test_a_schema_that_is_behind_is_left_to_migrate_and_run(
    make_company: Callable[..., Company], verb: str
) -> None:
    company = make_company()
    (line,) = refused(company, verb)
    assert "access-bot migrate" in line
    assert command(company, "migrate").returncode == 0
    bot = company.launch(verb)
    ready_at(bot)


def test_run_brings_the_schema_up_to_date(
    make_company: Callable[..., Company], postgres: Postgres
) -> None:
    with postgres.a_database("template0") as url:
        company = make_company(environment={"DATABASE_URL": url})
        company.start("run")
        company.db.check_schema()
        assert company.bot.stop() == 0
        company.db.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_several_processes_may_migrate_at_once(
    make_company: Callable[..., Company], postgres: Postgres, kind: str
) -> None:
    with postgres.a_database("template0") as url:
        company = make_company(environment={"DATABASE_URL": url} if kind == "postgresql" else {})
        at_once = [
            subprocess.Popen(
                [sys.executable, "-m", "bot", "migrate"],
                env=company.env,
                cwd=company.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(4)
        ]
        said = [process.communicate(timeout=60)[0] for process in at_once]
        assert [process.returncode for process in at_once] == [0] * 4, said
        company.db.check_schema()
        company.db.close()
