"""A company with the real bot: the sandbox as Slack, the bot as a process, and people at work.
Tests start the bot as an operator does, use it as people do, and watch it by its endpoints, its
log, its database and its calls of Slack."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.sandbox import Outcome, Person, Sandbox, running_sandbox
from bot.sandbox.rules import notifications, validate_message, validate_view
from bot.slack.manifest import manifest
from storage.database import Database
from tests.bot_environment import bot_environment
from tests.builders import SYSTEMS, WORKSPACE
from tests.waiting import until

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]

ACK_SECONDS = 30
"""Longer than Slack waits for an ack, because a machine that runs many tests may stand still."""

HURRIED = """
[roles.hurried]
title = "Answered at once or not at all"
system = "reports"
actions = ["reports:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "1h"
pending_timeout = "4s"
"""
ROLES = f"""{WORKSPACE}{SYSTEMS}
[roles.shop-admin]
title = "Shop admin"
system = "shop-admin"
actions = ["orders:read", "orders:refund"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"
default_duration = "1h"
max_renewals = 2
max_total = "12h"

[roles.shop-deploy]
title = "Shop deploy"
system = "shop-admin"
actions = ["deploy:write"]
requesters = ["@engineers"]
approvers = ["@platform-leads", "@sre"]
approvals = 2
max_duration = "2h"

[roles.customer-data]
title = "Customer records"
system = "shop-admin"
actions = ["customers:read"]
requesters = ["@engineers"]
approvers = ["@db-leads"]
channel = "#db-approvals"
ticket = '^[A-Z]+-\\d+$'
max_duration = "2h"

[roles.reports-read]
title = "Sales reports"
system = "reports"
actions = ["reports:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
channel = "#db-approvals"
max_duration = "3d"
default_duration = "8h"
renewal_approval = true

[roles.brief]
title = "Over before you know"
system = "shop-admin"
actions = ["orders:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "1h"
default_duration = "8s"
reminders = ["5s"]
max_renewals = 1

[roles.oncall]
title = "On call"
systems = ["shop-admin", "reports"]
actions = ["orders:read"]
requesters = ["@oncall-backend"]
approvers = ["@sre"]
max_duration = "12h"

{HURRIED}"""


class Bot:
    """One process of the bot; its whole log goes to `log`."""

    def __init__(self, verb: str, env: dict[str, str], folder: Path, name: str) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as out:
            command = [sys.executable, "-m", "bot", *verb.split()]
            self.process = subprocess.Popen(
                command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stderr=out
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @cached_property
    def url(self) -> str:
        """The address on which it serves; it takes any free port and prints it."""
        return str(until(self._url, 20))

    def _url(self) -> str | None:
        found = re.search(r"running on (http://[\w.:]+)", self.output)
        if found is None and not self.alive:
            raise AssertionError(f"the bot ended with {self.process.returncode}:\n{self.output}")
        return found[1] if found else None

    def get(
        self, path: str, timeout: float = 10, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """Status, body and headers of a GET. Write `_` for `-` in a header's name."""
        with closing(
            http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=timeout)
        ) as line:
            line.request(
                "GET",
                path,
                headers={name.replace("_", "-"): value for name, value in headers.items()},
            )
            answer = line.getresponse()
            return (
                answer.status,
                answer.read().decode(),
                {k.lower(): v for k, v in answer.getheaders()},
            )

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz", timeout=2)[0] == 200
        except OSError:
            return False

    def stop(self, timeout: float = 60) -> int:
        """Asks it to stop, as a supervisor does, and returns its exit code."""
        self.process.terminate()
        return self.process.wait(timeout)

    def kill(self) -> None:
        """Sends SIGKILL, so that it finishes nothing."""
        self.process.kill()
        self.process.wait(10)


class Company:
    """The sandbox, the bot and the people. The bot starts with the variables that its mode
    requires, with `all_set` also with the optional ones; `environment` has the variables of a
    single test."""

    def __init__(
        self,
        sandbox: Sandbox,
        folder: Path,
        environment: dict[str, str] | None = None,
        mode: str = "socket",
        all_set: bool = False,
    ) -> None:
        self.sandbox, self.folder, self.mode = sandbox, folder, mode
        self.roles = folder / "roles.toml"
        self.roles.write_text(ROLES)
        self.env = bot_environment(sandbox.environment, mode, all_set=all_set) | (environment or {})
        self.command = self.env.get("ACCESS_COMMAND", "/access")
        self.bots: list[Bot] = []
        self.expected = [
            "slack_sdk.web.base_client"
        ]  # logged by Slack's client when Slack does not answer
        self._db: Database | None = None

    # the bot

    @property
    def bot(self) -> Bot:
        return self.bots[-1]

    def launch(self, verb: str = "run") -> Bot:
        """Starts a process and doesn't wait for it."""
        self.bots.append(Bot(verb, self.env, self.folder, f"bot{len(self.bots)}"))
        return self.bot

    def start(self, verb: str = "run") -> Bot:
        """Starts a process and waits until it is ready and knows the people and groups."""
        bot = self.launch(verb)
        until(lambda: _alive(bot) and bot.is_ready(), 25)
        if self.mode == "http" and verb != "worker":
            self.sandbox.admin.delivery(request_url=f"{bot.url}/slack/events")
        until(
            lambda: (
                not self.rows("SELECT id FROM outbox WHERE ordering_key IN ('groups', 'people')")
            )
        )
        return bot

    def restart(self) -> Bot:
        """Stops the process cleanly and starts a new one."""
        assert self.bot.stop() == 0
        return self.start()

    def close(self) -> None:
        """Stops everything; then the log must have no unexpected errors."""
        for bot in self.bots:
            if bot.alive:
                bot.kill() if bot is not self.bot else bot.process.terminate()
        for bot in self.bots:
            try:
                bot.process.wait(20)
            except subprocess.TimeoutExpired:
                bot.kill()
                raise AssertionError(
                    f"the bot did not end when asked to:\n{bot.output[-3000:]}"
                ) from None
        if self._db is not None:
            self._db.close()

    def expect(self, *patterns: str) -> None:
        """Marks lines of the log as expected errors of the test."""
        self.expected += patterns

    def surprises(self) -> list[str]:
        """Unexpected lines of the logs: errors, and everything of a traceback or a warning of
        Python."""
        marks = re.compile(r" (ERROR|CRITICAL) |Traceback|Exception ignored|Warning: ")
        lines = [
            line for bot in self.bots for line in bot.output.splitlines() if marks.search(line)
        ]
        return [
            line for line in lines if not any(re.search(pattern, line) for pattern in self.expected)
        ]

    # the database

    @property
    def db(self) -> Database:
        if self._db is None:
            url = self.env.get("DATABASE_URL", "sqlite:///access.db")
            self._db = Database(
                url.replace("sqlite:///access.db", f"sqlite:///{self.folder}/access.db")
            )
        return self._db

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self.db.reading():
            return self.db.rows(sql, *values)

    def grant(self, person: Person, role: str) -> tuple[str, str]:
        """Id and state of this person's newest grant of the role; two empty strings if there is
        none."""
        found = self.rows(
            "SELECT id, state FROM grants WHERE person = ? AND role = ? ORDER BY starts_at DESC,"
            " CASE state WHEN 'ended' THEN 1 ELSE 0 END LIMIT 1",  # two may start in one second
            person.id,
            role,
        )
        return found[0] if found else ("", "")

    def request(self, person: Person, role: str) -> tuple[str, str]:
        """Id and state of this person's newest request for the role; two empty strings if there is
        none."""
        found = self.rows(
            "SELECT id, state FROM requests WHERE requester = ? AND role = ? ORDER BY created_at"
            " DESC, CASE state WHEN 'pending' THEN 0 ELSE 1 END LIMIT 1",
            person.id,
            role,
        )
        return found[0] if found else ("", "")

    def events(self, **where: str) -> list[str]:
        """The events of the audit log with these columns, oldest first."""
        conditions = "".join(f' AND "{name}" = ?' for name in where)
        return [
            row[0]
            for row in self.rows(
                f"SELECT event FROM audit WHERE 1 = 1{conditions} ORDER BY seq", *where.values()
            )
        ]

    def quiet(self, timeout: float = 60) -> None:
        """Waits until no due work is left."""
        until(lambda: not self.left(), timeout)

    def left(self) -> list[tuple[Any, ...]]:
        """The waiting work, without the checks five minutes after an end whose start may still
        arrive."""
        looks = "kind = 'end_lease' AND due_at > created_at + 60"
        return self.rows(f"SELECT id, kind, error FROM outbox WHERE NOT ({looks})")

    # people at work

    def __getattr__(self, name: str) -> Person:
        """`company.ana` is Ana."""
        try:
            found = self.sandbox.person(name)
        except KeyError:
            raise AttributeError(name) from None
        setattr(self, name, found)
        return found

    def newcomer(self, handle: str = "") -> Person:
        """A new full member of the workspace, whom no other test knows."""
        handle = handle or f"new{secrets.token_hex(4)}"
        self.sandbox.admin.create_user(handle, handle.capitalize())
        return self.sandbox.person(handle)

    def access(self, person: Person, words: str, **where: str) -> Outcome:
        """Types the bot's command and these words."""
        return person.command(self.command, words, **where)

    def ask(self, person: Person, role: str, words: str = "because of the tests") -> str:
        """Requests a role by command; returns the id of the request, once there is one: it waits
        while the bot's groups are out of date."""
        before = self.request(person, role)[0]
        said = self.access(person, f"request {role} {words}")
        assert said.ok, said

        def asked() -> tuple[str, str] | None:
            found = self.request(person, role)
            return found if found[0] != before else None

        found, state = until(asked)
        assert state in (
            "pending",
            "lapsed",
        ), said.text  # the grant of a very short role may be over already
        return found

    def card(self, request: str, timeout: float = 60) -> Json:
        """The approval message of a request in its channel, once it is posted."""
        channel, ts = until(lambda: self._posted(request), timeout)
        return next(each for each in self.sandbox.inspector.messages(channel) if each["ts"] == ts)

    def _posted(self, request: str) -> tuple[str, str] | None:
        found = self.rows("SELECT channel, ts FROM messages WHERE request_id = ?", request)
        return found[0] if found else None

    def card_text(self, request: str) -> str:
        """The text of the approval message as people read it."""
        return self.sandbox.person("chiara").plain(self.card(request))

    def wait_card(self, request: str, contains: str, timeout: float = 60) -> Json:
        """The approval message, once it contains these words."""
        self.sandbox.wait_for(lambda: contains in self.card_text(request), timeout)
        return self.card(request)

    def hold(
        self, person: Person, role: str, words: str = "because of the tests", by: str = "ben"
    ) -> str:
        """Gives a person an active grant, by a request and one approval; returns the id of the
        grant."""
        request = self.ask(person, role, words)
        assert self.sandbox.person(by).click(self.card(request), "Approve").ok
        until(lambda: self.grant(person, role)[1] == "active")
        person.wait_dm("Show credentials")
        return self.grant(person, role)[0]

    def renew(self, person: Person, words: str) -> Outcome:
        """Renews by command until it is accepted: within the second of the start it would add
        nothing."""

        def renewed() -> Outcome | None:
            said = self.access(person, f"renew {words}")
            return said if "Renewed" in said.text else None

        return until(renewed)

    def about(self, person: Person, role: str, button: str = "") -> Json:
        """The newest direct message with buttons (with this one) for this person's newest grant of
        the role, once there is one. A reminder may have come since, and has other buttons."""
        grant = self.grant(person, role)[0]

        def newest() -> Json | None:
            ours = [
                dm for dm in person.dms() if grant and f'"{grant}"' in str(dm).replace("'", '"')
            ]
            found = [dm for dm in ours if button in str(dm)]
            return found[-1] if found else None

        return person.wait_for(newest)

    def token(self, person: Person, role: str) -> str:
        """Presses Show credentials, reads the token from the modal, and closes it."""
        assert person.click(self.about(person, role, "Show credentials"), "Show credentials").ok
        return self.read_token(person)

    def read_token(self, person: Person) -> str:
        """The token in the modal that is open."""
        view = person.wait_view()
        found = [
            part["text"]
            for part in parts(view)
            if re.fullmatch(r"[\w.-]{40,}", str(part.get("text", "")))
        ]
        assert len(found) == 1, person.plain(view)
        person.close_view()
        return str(found[0])

    def check(self, token: str, system: str = "shop-admin") -> int:
        """The answer that a gateway of `system` gets about a token."""
        return self.bot.get("/auth", Authorization=f"Bearer {token}", X_Access_System=system)[0]

    # calls of Slack

    def complaints(self) -> list[str]:
        """The complaints of Slack's rules about the calls so far: warnings, and refusals of the
        call itself."""
        found = []
        for call in self.sandbox.inspector.calls():
            if (call.get("args") or {}).get("channel") == "NOWHERE":
                continue  # the bot's test whether Slack answers posts at all
            if call.get("warnings"):
                found.append(f"{call['method']}: warnings {call['warnings']}")
            if call.get("error") in (
                "invalid_blocks",
                "invalid_arguments",
                "msg_too_long",
                "no_text",
                "missing_argument",
            ):
                found.append(f"{call['method']}: {call['error']} {call.get('args')}")
            args = call.get("args") or {}
            if call["method"] in ("chat.postMessage", "chat.update", "chat.postEphemeral"):
                found += [f"{call['method']}: {problem}" for problem in validate_message(args)]
            if call["method"].startswith("views.") and isinstance(args.get("view"), dict):
                found += [f"{call['method']}: {problem}" for problem in validate_view(args["view"])]
        return found

    def reactions(self) -> list[str]:
        """Everything in the messages so far on which Slack would act, except mentions of people who
        are there."""
        known = self.sandbox.inspector.directory()
        usual = {f"<@{each}>" for each in known["users"]} | {
            f"<!subteam^{each}>" for each in known["groups"]
        }
        usual |= {f"<#{each}>" for each in known["channels"]}
        said = [args for call in self.sandbox.inspector.calls() if (args := call.get("args") or {})]
        said += [args["view"] for args in said if isinstance(args.get("view"), dict)]
        said += [
            each["ack"].get("view") or each["ack"]
            for each in self.sandbox.inspector.deliveries()
            if each["ack"]
        ]
        return [mark for message in said for mark in notifications(message) if mark not in usual]


def parts(value: Any) -> Iterator[Json]:
    """Every object inside a message or view."""
    if isinstance(value, dict):
        yield value
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from parts(item)


def _alive(bot: Bot) -> bool:
    assert bot.alive, f"the bot ended with {bot.process.returncode}:\n{bot.output}"
    return True


@contextmanager
def running_company(
    folder: Path,
    *,
    environment: dict[str, str] | None = None,
    rate_limits: bool = False,
    mode: str = "socket",
    all_set: bool = False,
) -> Iterator[Company]:
    """The sandbox with the app installed by the bot's own manifest; the test starts the bot."""
    installed = manifest(mode, "https://access.example.com") if mode == "http" else manifest(mode)
    with (
        running_sandbox(manifest=installed, rate_limits=rate_limits) as sandbox,
        _watched(Company(sandbox, folder, environment, mode, all_set)) as company,
    ):
        sandbox.admin.delivery(ack_seconds=ACK_SECONDS)
        yield company


@contextmanager
def second_company(first: Company, folder: Path, environment: dict[str, str]) -> Iterator[Company]:
    """One more bot in the workspace of the first: its own app, by the manifest that it prints, its
    own folder, and `environment` with its name and keys. It is in the channels of the first."""
    printed = subprocess.run(
        [sys.executable, "-m", "bot", "manifest", "--mode", "socket"],
        env=first.env | environment,
        cwd=folder,
        capture_output=True,
        check=True,
    )
    sandbox = first.sandbox.install(json.loads(printed.stdout))
    for channel in ("#access-approvals", "#access-security", "#db-approvals"):
        sandbox.admin.add_to_channel(channel)
    with _watched(Company(sandbox, folder, environment)) as company:
        yield company


@contextmanager
def _watched(company: Company) -> Iterator[Company]:
    """Stops the bot at the end, and then looks for unexpected lines in its log."""
    try:
        yield company
    finally:
        company.sandbox.faults.clear()
        company.close()
    assert not (found := company.surprises()), "in the bot's log:\n" + "\n".join(found)
