"""The whole state for a test: a real database, a clock that stands still until it is moved, and
grants made by the real operations in the product's order."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import bot.operations.requests.request_access as asking_for
from bot.core.effects import Queue
from bot.core.eligibility import Ask
from bot.core.model import Claims, Grant, Person, Request
from bot.core.roles import Policy, references
from bot.operations._unit_of_work import Context, unknown_person
from bot.operations.audit.verify_audit import Verdict, verify_audit
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.record_results import record_ended, record_started
from bot.operations.grants.show_credentials import Credentials, confirm_shown, show_credentials
from bot.operations.people.record_people import (
    find_person,
    record_emails,
    record_groups,
    record_people,
)
from bot.operations.process.check_storage import begin_log
from bot.operations.requests.accept_vote import Press, submit_vote
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.request_access import Submitted, request_access
from bot.operations.tokens.introspect_token import TokenActive, TokenInactive, introspect_token
from bot.tokens import Signer
from storage import audit, grants
from storage.database import Database
from tests.bot_environment import KEY
from tests.builders import a_policy

KEYS = (KEY,)
START = int(os.environ.get("TEST_START", 1_790_000_000))
"""The clock's first time: 2026-09-21, a Monday, unless the environment says otherwise."""

ANA, BEN, CARA, DAN, LEA = "U0ANA", "U0BEN", "U0CARA", "U0DAN", "U0LEA"
GROUPS = {
    "db-leads": [BEN],
    "platform-leads": [LEA],
    "engineers": [ANA, BEN],
    "sre": [BEN, CARA, DAN],
}


@dataclass
class Clock:
    """UTC seconds that only a test moves."""

    at: int = START

    def __call__(self) -> int:
        return self.at


def a_person(id: str = ANA, email: str | None = None, **facts: object) -> Person:
    address = f"{id.lower()}@example.com" if email is None else email
    return Person(id, id.title(), address, "Europe/Berlin", "T1", START, **facts)  # type: ignore[arg-type]


@dataclass
class Made:
    """The state of one test, and everything that a test may change in it."""

    world: Context
    clock: Clock
    signer: Signer
    path: Path
    policies: list[Policy] = field(default_factory=list)
    wakes: list[tuple[frozenset[Queue], int | None]] = field(default_factory=list)
    forged: bool = False
    """Whether the test changed rows directly, so that the log differs from them."""

    def another_process(self, db: Database | None = None) -> Context:
        """Another process on this database, with empty caches."""
        ours = self.world
        return Context(db or ours.db, ours.now, ours.policy, ours.chain, ours.sign, ours.wake)

    def set_groups(self, **members: list[str]) -> None:
        """Slack's user groups as they are from now on; write `_` for `-` in a handle."""
        groups = GROUPS | {handle.replace("_", "-"): ids for handle, ids in members.items()}
        self._record([(f"S0{handle.upper()}", handle, ids) for handle, ids in groups.items()])

    def _record(self, groups: list[tuple[str, str, list[str]]]) -> None:
        """Stores people so that they count as known however far a test moves the clock."""
        record_groups(self.world, groups, self.clock.at)
        with self.world.db.transaction():
            self.world.db.run("DELETE FROM key_values WHERE key = 'groups read'")

    def set_policy(self, **overrides: str) -> None:
        """A roles.toml that is in force from now on, with its groups looked up in Slack; see
        `a_policy`."""
        self.reload(**overrides)
        self.resolve()

    def reload(self, **overrides: str) -> None:
        """Like `set_policy`, before its people and groups were looked up in Slack."""
        self.policies.append(a_policy(**overrides))

    def resolve(self) -> None:
        """Slack was asked about everybody whom roles.toml names."""
        with self.world.db.reading():
            groups = self.world.db.rows("SELECT id, handle, members FROM user_groups")
        self._record([(str(i), str(h), json.loads(str(members))) for i, h, members in groups])
        record_emails(self.world, references(self.world.policy()))

    def a_request(
        self, role: str = "shop-admin", person: str = ANA, duration: int = 3600, **more: Any
    ) -> Request:
        """A pending request, however many the person made before: the limit has its own tests."""
        with patch.object(asking_for, "MOST_REQUESTS", 100_000):
            asked = request_access(
                self.world, Ask(person, role, "because", duration, "OPS-1", **more)
            )
        assert isinstance(asked, Submitted), asked
        return asked.request

    def a_started(self, request: Request, by: str = BEN) -> Grant:
        """The grant of an approved request, about to start."""
        granted = approve_request(self.world, request.id, a_person(by))
        assert isinstance(granted, Granted), granted
        return granted.grant

    def a_grant(self, role: str = "shop-admin", person: str = ANA, duration: int = 3600) -> Grant:
        """An active grant: requested, approved by Ben, opened at its gates as the gateway connector
        does."""
        return self.start(self.a_started(self.a_request(role, person, duration)))

    def start(self, grant: Grant) -> Grant:
        """The dispatcher's part for a grant that is starting."""
        for order in begin_attempt(self.world, grant.id):
            self.open_gate(order.grant, order.system, order.ends_at)
        record_started(self.world, grant.id)
        return self.grant(grant.id)

    def a_token(self, grant: Grant) -> str:
        """The token that the holder sees; it replaces the one before."""
        shown = show_credentials(self.world, grant.id, grant.person)
        assert isinstance(shown, Credentials), shown
        confirm_shown(self.world, shown)
        return shown.token

    def grant(self, id: str) -> Grant:
        with self.world.db.reading():
            found = grants.get(self.world.db, id)
        assert found is not None
        return found

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query, straight from the database."""
        with self.world.db.reading():
            return self.world.db.rows(sql, *values)

    def count(self, table: str, condition: str = "1 = 1") -> int:
        return int(self.rows(f"SELECT COUNT(*) FROM {table} WHERE {condition}")[0][0])

    def state(self, table: str, id: str) -> str:
        return str(self.rows(f"SELECT state FROM {table} WHERE id = ?", id)[0][0])

    def log(self, event: str, columns: str = "actor, reason") -> list[tuple[Any, ...]]:
        """These columns of every audit record of that event, oldest first."""
        return self.rows(f"SELECT {columns} FROM audit WHERE event = ? ORDER BY seq", event)

    def events(self, event: str) -> int:
        """The number of audit records of that event."""
        return len(self.log(event))

    def work(self) -> list[str]:
        """The kinds of waiting work, in the order in which it was added."""
        return [kind for (kind,) in self.rows("SELECT kind FROM outbox ORDER BY id")]

    def forget_work(self) -> None:
        """Empties the outbox, so that a test sees only later work."""
        with self.world.db.transaction():
            self.world.db.run("DELETE FROM outbox")

    def ask_again(self, person: str = ANA) -> object:
        """Requests the same once more, whatever the result."""
        return request_access(self.world, Ask(person, "shop-admin", "because"))

    def press(self, request: str, person: str, approve: bool = True, **more: object) -> object:
        """A person presses Approve or Deny, and is known already."""
        voter = find_person(self.world, person) or unknown_person(person)
        return submit_vote(self.world, Press(request, voter, approve, **more))  # type: ignore[arg-type]

    def break_database(self) -> None:
        """From now on the database doesn't answer."""
        self.world = replace(self.world, db=Database("postgresql:///none?host=/nowhere", wait=1))

    def know(self, *people: Person) -> None:
        """Stores what Slack says about these people."""
        record_people(self.world, people)

    def verdict(self) -> Verdict:
        return verify_audit(self.world)

    def try_to_approve(self, request: Request, by: str = BEN) -> object:
        return approve_request(self.world, request.id, a_person(by))

    def check(self, token: str, system: str = "shop-admin") -> TokenActive | TokenInactive:
        """The answer that a system gets when it checks the token."""
        claims = self.signer.read_token(token)
        assert isinstance(claims, Claims), claims
        return introspect_token(self.world, claims, system)

    def opens(self, token: str, system: str = "shop-admin") -> bool:
        return isinstance(self.check(token, system), TokenActive)

    def open_gate(self, grant: str, system: str, until: int) -> None:
        with self.world.db.transaction():
            grants.open_gate(self.world.db, grant, system, until)

    def close_gates(self, grant: Grant) -> None:
        """The gateway connector's and the dispatcher's part of an end."""
        for system in grant.systems:
            with self.world.db.transaction():
                grants.close_gate(self.world.db, grant.id, system)
            record_ended(self.world, grant.id, system)


@cache
def _migrated() -> bytes:
    """A SQLite file with the whole schema, because a copy takes a fifth of the time of the
    migrations."""
    with tempfile.TemporaryDirectory() as folder:
        with closing(Database(f"sqlite:///{folder}/migrated.db")) as template:
            template.migrate()
        return Path(folder, "migrated.db").read_bytes()


def make_world(
    tmp_path: Path,
    url: str = "",
    policy: Policy | None = None,
    keys: Sequence[str] = KEYS,
    db: Database | None = None,
) -> Made:
    """A migrated database (SQLite under `tmp_path` unless `url`, or `db` that is migrated already,
    says otherwise) with Ana, Ben who approves, Cara and Dan who are on call, and Lea who leads."""
    path = tmp_path / "access.db"
    if not url and db is None and not path.exists():
        path.write_bytes(_migrated())
    db = db or Database(url or f"sqlite:///{path}")
    if url:
        db.migrate()
    clock, signer, policies = Clock(), Signer(keys), [policy or a_policy()]
    made = Made(
        Context(db, clock, lambda: policies[-1], audit.Chain(signer), signer.sign_token),
        clock,
        signer,
        path,
        policies,
    )
    begin_log(made.world)
    record_people(made.world, [a_person(person) for person in (ANA, BEN, CARA, DAN, LEA)])
    made.set_groups()
    made.resolve()
    made.world = replace(made.world, wake=lambda queues, due: made.wakes.append((queues, due)))
    return made
