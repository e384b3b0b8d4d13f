"""No write works: due access ends on its system anyway, the leads are notified, and everything is
recorded afterwards."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.connectors.gates_client import Gates
from tests.faults.processes import command
from tests.faults.running_bot import ROLES, Bot, Company
from tests.full_disk import SmallDisk
from tests.waiting import until

ROLE = """
[roles.lab]
title = "Laboratory"
system = "lab"
actions = ["enter"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "1h"
"""
DOWN, BACK = "The database takes no writes", "The database takes writes again"


def with_a_gate(company: Company, folder: Path) -> Gates:
    """Adds the role `lab`, whose access is a file in that folder."""
    folder.mkdir()
    argv = json.dumps([sys.executable, "-I", str(folder / "run")])
    system = (
        f'\n[systems.lab]\nconnector = "command"\nargv = {argv}\nenv = {{ DOORS = "{folder}" }}\n'
    )
    company.roles.write_text(ROLES + system + ROLE)
    return Gates(folder)


def reports(company: Company, words: str) -> int:
    return sum(
        words in str(each) for each in company.sandbox.inspector.messages("#access-security")
    )


def database_of(bot: Bot) -> str:
    return str(json.loads(bot.get("/readyz")[1])["checks"]["database"])


def resumptions(company: Company) -> list[Any]:
    """The record of each worker when it could write again."""
    found = company.rows("SELECT detail FROM audit WHERE event = 'process:writing:resumed'")
    return [json.loads(detail) for (detail,) in found]


def ends_anyway(
    company: Company, gates: Gates, no_writes: Callable[[], AbstractContextManager[None]]
) -> None:
    """A person's access ends while nothing can be written."""
    company.expect("nothing was changed: The database does not answer")
    who, refused = company.newcomer(), company.newcomer()
    grant = company.hold(who, "lab", "5s before it is full")
    door = gates.folder / f"{grant}.json"
    assert door.exists()
    company.quiet()
    with no_writes():
        until(lambda: not door.exists())
        assert company.grant(who, "lab") == (grant, "active")
        until(lambda: reports(company, DOWN))
        assert company.bot.get("/readyz")[0] == 503
        assert database_of(company.bot) == "takes no writes"
        assert "nothing was changed" in company.access(refused, "request lab 1h").text
        before_writes = time.time()
    until(lambda: company.grant(who, "lab") == (grant, "ended"))
    until(lambda: reports(company, BACK))
    company.quiet()
    assert (reports(company, DOWN), reports(company, BACK)) == (1, 1)
    ((at,),) = company.rows("SELECT ended_at FROM grants WHERE id = ?", grant)
    assert at <= before_writes
    ((detail,),) = company.rows("SELECT detail FROM audit WHERE event = 'grant:access:ended'")
    assert json.loads(detail)["ended_at"] == at
    # Of two workers one or both may have made the end, and one the report; each records what it
    # did itself.
    until(lambda: any(each["ended"] == 1 for each in resumptions(company)))
    until(lambda: any(each["reported"] for each in resumptions(company)))
    assert command(company, "audit", "verify").returncode == 0
    until(company.bot.is_ready)


def test_on_a_full_disk_due_access_ends_and_is_recorded_afterwards(
    make_company: Callable[..., Company], small_disk: SmallDisk, tmp_path: Path
) -> None:
    company = make_company(environment={"DATABASE_URL": f"sqlite:///{small_disk.folder}/access.db"})
    gates = with_a_gate(company, tmp_path / "doors")
    company.start()
    ends_anyway(company, gates, small_disk.full)


def test_on_a_postgresql_that_became_a_standby_two_workers_do_so_and_one_reports_it(
    make_company: Callable[..., Company], postgres_url: str, tmp_path: Path
) -> None:
    company = make_company(environment={"DATABASE_URL": postgres_url})
    company.expect("notices of other processes come late")
    gates = with_a_gate(company, tmp_path / "doors")
    company.start()
    company.start("worker")

    @contextmanager
    def read_only() -> Iterator[None]:
        """Cuts its sessions, and the next ones can only read, until one worker leaves the report to
        the other."""
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("SET default_transaction_read_only = off")
            set_read_only(other, "on")
            yield
            until(lambda: any("another process reports" in bot.output for bot in company.bots))
            set_read_only(other, "off")

    ends_anyway(company, gates, read_only)


def set_read_only(line: psycopg.Connection[tuple[object, ...]], value: str) -> None:
    database = line.info.dbname
    line.execute(
        f'ALTER DATABASE "{database}" SET default_transaction_read_only = {value}'.encode()
    )
    line.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
