"""People who keep a bot busy while it is killed, stopped or cut off, and what must be true of it
afterwards."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bot.sandbox import Person, SandboxError
from tests.builders import SYSTEMS, WORKSPACE
from tests.faults.running_bot import HURRIED, Bot, Company, parts
from tests.waiting import until

ROLES = f"""{WORKSPACE}{SYSTEMS}
[roles.quick]
title = "Quick"
system = "shop-admin"
actions = ["orders:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "1h"
default_duration = "3s"
max_renewals = 5
pending_timeout = "10m"

[roles.both]
title = "Both"
systems = ["shop-admin", "reports"]
actions = ["orders:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "1h"
default_duration = "4s"
reminders = ["2s"]
pending_timeout = "10m"

{HURRIED}"""

WORDS = (
    ["request quick load"] * 4
    + ["request both load"] * 3
    + ["renew quick 3s", "renew both 3s", "done quick", "done both", "cancel quick", "list"]
)
CHANNEL = "#access-approvals"


class Load:
    """Some people ask, renew, give back and cancel, and two approve everything they see, until it
    is enough. What they do while no bot is there comes to nothing, as with Slack."""

    def __init__(self, company: Company, seed: int, people: int = 4) -> None:
        self.company, self.pressed = company, 0
        self._enough, self._closed = threading.Event(), threading.Event()
        randoms = random.Random(seed)

        def busy(what: Callable[[Person, random.Random], None], who: Person) -> threading.Thread:
            return threading.Thread(target=what, args=(who, random.Random(randoms.random())))

        self._users = [busy(self._use, company.newcomer()) for _ in range(people)]
        self._approvers = [busy(self._approve, who) for who in (company.ben, company.gwen)]

    def start(self) -> None:
        for thread in (*self._users, *self._approvers):
            thread.start()

    def stop(self) -> None:
        """Nobody asks for anything new; what is pending is still decided."""
        self._enough.set()
        self._end(self._users)

    def close(self) -> None:
        self.stop()
        self._closed.set()
        self._end(self._approvers)

    @staticmethod
    def _end(threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()

    def _use(self, who: Person, chance: random.Random) -> None:
        while not self._enough.wait(chance.uniform(0.05, 0.25)):
            try:
                self.company.access(who, chance.choice(WORDS))
            except (SandboxError, OSError):
                continue

    def _approve(self, who: Person, chance: random.Random) -> None:
        while not self._closed.wait(chance.uniform(0.05, 0.15)):
            for message in who.messages(CHANNEL)[-30:]:
                if any(part.get("action_id") == "approve" for part in parts(message)):
                    self._press(who, message)

    def _press(self, who: Person, message: dict[str, object]) -> None:
        try:
            self.pressed += who.click(message, "Approve").ok
        except (SandboxError, LookupError, OSError):
            return  # decided, and so changed, meanwhile


@contextmanager
def under_load(company: Company, seed: int, people: int = 4) -> Iterator[Load]:
    print(f"seed {seed}")  # noqa: T201, so that a failure can be repeated
    load = Load(company, seed, people)
    load.start()
    try:
        yield load
    finally:
        load.close()


def a_seed() -> int:
    """`FAULT_SEED` repeats a run; the order of threads stays the machine's."""
    return int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(10**6))


def command(company: Company, *words: str) -> subprocess.CompletedProcess[str]:
    """A verb of the command line on the company's database."""
    return subprocess.run(
        [sys.executable, "-m", "bot", *words],
        env=company.env,
        cwd=company.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def ready_at(bot: Bot, timeout: float = 30) -> float:
    """Waits for readiness and gives the moment at which it was first said."""
    until(bot.is_ready, timeout, every=0.02)
    return time.time()


def finish(company: Company, load: Load) -> None:
    """Lets everything that was asked for come to its end."""
    load.stop()
    until(lambda: not company.rows("SELECT id FROM requests WHERE state = 'pending'"))
    until(
        lambda: not company.rows("SELECT id FROM grants WHERE state NOT IN ('ended', 'failed')"), 30
    )
    company.quiet(30)


def assert_sound(company: Company, times: int = 1) -> None:
    """Each thing was done once, each message said `times` at most, nothing is open, and the log
    tells all of it."""
    undelivered = len(company.events(event="message:delivery:failed"))
    requests = company.rows("SELECT id, state, renews FROM requests")
    assert requests, "the load asked for nothing"
    assert {state for _, state, _ in requests} <= {"approved", "denied", "withdrawn", "lapsed"}
    approved = {
        request for request, state, renews in requests if state == "approved" and not renews
    }
    made = Counter(request for (request,) in company.rows("SELECT request_id FROM grants"))
    assert made == dict.fromkeys(approved, 1)
    _assert_recorded_once(company, approved)
    assert company.rows("SELECT * FROM gates") == []
    company.quiet()  # a flag may still be on its way
    _assert_said(company, {request for request, _, _ in requests}, times, undelivered)
    verdict = command(company, "audit", "verify")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def _assert_recorded_once(company: Company, approved: set[str]) -> None:
    for event, column in (
        ("request:access:asked", "request"),
        ("request:approval:given", "request"),
    ):
        rows = company.rows(
            f'SELECT "{column}", COUNT(*) FROM audit WHERE event = ? GROUP BY 1', event
        )
        assert not [row for row in rows if row[1] != 1], event
    given = company.rows("SELECT request FROM audit WHERE event = 'request:approval:given'")
    assert approved <= {request for (request,) in given}
    leases = Counter(
        (grant, system) for grant, system in company.rows("SELECT grant_id, system FROM leases")
    )
    for event, each in (("grant:access:started", False), ("grant:access:ended", True)):
        found = Counter(
            (grant, system)
            for grant, system in company.rows(
                'SELECT "grant", system FROM audit WHERE event = ?', event
            )
        )
        assert found and not [key for key, count in found.items() if count != 1], event
        assert found.keys() <= leases.keys()
        assert not each or not (leases - found), _lives(company, leases - found)
    summed = company.rows("SELECT \"grant\", system FROM audit WHERE event = 'grant:use:summed'")
    assert Counter(summed) == leases


def _assert_said(company: Company, requests: set[str], times: int, undelivered: int) -> None:
    """Posts of a request's card and of a grant's beginning, by the ids in their buttons."""
    cards: Counter[str] = Counter()
    begun: Counter[str] = Counter()
    for call in company.sandbox.inspector.calls("chat.postMessage"):
        if call["ok"]:
            ids = {(part.get("action_id"), part.get("value")) for part in parts(call["args"])}
            cards.update(str(value) for action, value in ids if action == "approve")
            text = json.dumps(call["args"])
            begun.update(
                str(value)
                for action, value in ids
                if action == "show_credentials" and "Renewed" not in text
            )
    assert cards and begun, "buttons of requests and of grants were posted"
    assert max(cards.values()) <= times
    # A reminder.
    assert (
        max((count for grant, count in begun.items() if re.match("g", grant)), default=0)
        <= times + 1
    )
    missing = requests - cards.keys() - _closed_unposted(company)
    assert len(missing) <= undelivered, missing


def _lives(
    company: Company, found: Counter[tuple[str, str]]
) -> dict[str, list[tuple[object, ...]]]:
    """All records about these grants, for the report of a failed test."""
    sql = 'SELECT seq, at, event, system, reason, detail FROM audit WHERE "grant" = ? ORDER BY seq'
    return {grant: company.rows(sql, grant) for grant, _ in found}


def _closed_unposted(company: Company) -> set[str]:
    """Requests whose card showed no buttons any more when it was first posted."""
    return {r for (r,) in company.rows("SELECT id FROM requests WHERE state = 'withdrawn'")}
