"""The demo's bot follows the demo's clock in everything; a bot in production can't be moved."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.cli import cli
from bot.cli.demo_bot import OffsetClock
from bot.cli.lazy import loaded
from bot.sandbox import Person
from tests.faults.running_bot import ROOT, Bot, Company
from tests.waiting import until

MINUTE, HOUR = 60, 3600


class Led(Bot):
    """A process that reads on its standard input how far its clock is to be ahead."""

    def __init__(self, command: list[str], env: dict[str, str], folder: Path, name: str) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=env,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
            )

    def tell(self, ahead: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"ahead": ahead}).encode() + b"\n")
        self.process.stdin.flush()

    def lead(self, ahead: float) -> dict[str, Any]:
        """Sends the offset, and returns the next line of output."""
        self.tell(ahead)
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))


def launch(company: Company, command: list[str], ahead: float) -> Led:
    """Starts a process, sends the offset once, and waits until it is ready and knows the people and
    groups."""
    bot = Led(command, company.env, company.folder, f"led{len(company.bots)}")
    company.bots.append(bot)
    bot.tell(ahead)
    until(bot.is_ready, 25)
    until(
        lambda: not company.rows("SELECT id FROM outbox WHERE ordering_key IN ('groups', 'people')")
    )
    return bot


@pytest.fixture
def company(make_company: Callable[..., Company]) -> Iterator[Company]:
    """A company in which nothing runs yet."""
    found = make_company()
    yield found
    for bot in found.bots:
        for pipe in (bot.process.stdin, bot.process.stdout):
            if pipe is not None:
                pipe.close()


def times(company: Company, grant: str) -> tuple[int, int]:
    """The start and the end of a grant."""
    (found,) = company.rows("SELECT started_at, ends_at FROM grants WHERE id = ?", grant)
    return found[0], found[1]


class Led4Hours:
    """A person with access for four hours in a workspace whose clock can be moved; both clocks move
    together."""

    def __init__(self, company: Company, ahead: float = 0.0) -> None:
        self.company, self.ahead = company, 0.0
        self.move(ahead)
        self.bot = launch(company, ["bot.cli.demo_bot"], ahead)
        self.who: Person = company.newcomer()
        self.grant = company.hold(self.who, "shop-admin", "4h to be seen through in a minute")
        self.token = company.token(self.who, "shop-admin")

    def move(self, ahead: float) -> None:
        self.company.sandbox.admin.advance_clock(ahead - self.ahead)
        self.ahead = ahead

    def jump(self, moment: int) -> dict[str, Any]:
        """Moves to that moment of the workspace."""
        self.move(moment - time.time())
        return self.bot.lead(self.ahead)


def test_a_grant_of_four_hours_passes_in_a_minute(company: Company) -> None:
    led = Led4Hours(company)
    began, ends = times(company, led.grant)
    assert (ends - began, abs(began - time.time()) < HOUR / 2) == (4 * HOUR, True)
    said = led.bot.lead(0)
    holder = {"person": led.who.id, "role": "shop-admin"}
    assert said["end"] == {"at": ends, **holder}
    assert said["reminder"]["person"] == led.who.id
    said = led.jump(said["reminder"]["at"])
    assert said["now"] >= ends - HOUR
    led.who.wait_dm("ends")
    until(lambda: "grant:reminder:sent" in company.events(grant=led.grant))
    assert company.check(led.token) == 200
    led.jump(ends)
    assert company.check(led.token) == 401
    until(lambda: company.grant(led.who, "shop-admin")[1] == "ended")
    company.quiet()
    (ended,) = company.rows("SELECT ended_at FROM grants WHERE id = ?", led.grant)[0]
    assert ends <= ended < ends + HOUR / 2
    assert float(led.who.dms()[-1]["ts"]) >= ends
    assert led.bot.lead(led.ahead) | {"now": 0} == {"now": 0, "reminder": None, "end": None}
    verified = subprocess.run(
        [sys.executable, "-m", "bot", "audit", "verify"],
        env=company.env,
        cwd=company.folder,
        capture_output=True,
    )
    assert verified.returncode == 0


def test_the_clock_never_goes_back_and_continues_where_it_was_left(company: Company) -> None:
    led = Led4Hours(company, ahead=10 * HOUR)
    began, _ = times(company, led.grant)
    assert began >= time.time() + 9 * HOUR
    for ahead in (10 * HOUR, 5, -HOUR):
        assert led.bot.lead(ahead)["now"] >= began
    assert company.check(led.token) == 200


def test_a_message_that_is_being_sent_during_a_jump_is_not_sent_twice(company: Company) -> None:
    led = Led4Hours(company)
    _, ends = times(company, led.grant)
    company.quiet()
    company.sandbox.faults.latency("*", 1.5)
    company.access(led.who, "done shop-admin")
    until(
        lambda: company.rows(
            "SELECT id FROM outbox WHERE claimed_by IS NOT NULL AND queue = 'slack'"
        )
    )
    led.jump(ends)
    time.sleep(1)
    assert company.rows("SELECT id FROM outbox WHERE outcome_unknown > 0") == []
    company.sandbox.faults.clear()
    company.quiet()
    assert len([dm for dm in led.who.dms() if "has ended" in led.who.plain(dm)]) == 1
    assert company.rows("SELECT id FROM outbox WHERE outcome_unknown > 0") == []


def test_a_restarted_bot_does_the_work_that_became_due_meanwhile(company: Company) -> None:
    led = Led4Hours(company)
    _, ends = times(company, led.grant)
    led.bot.kill()
    led.move(ends + HOUR - time.time())
    led.bot = launch(company, ["bot.cli.demo_bot"], led.ahead)
    assert company.check(led.token) == 401
    until(lambda: company.grant(led.who, "shop-admin")[1] == "ended")


def test_the_bot_stops_when_its_parent_has_gone(company: Company) -> None:
    bot = launch(company, ["bot.cli.demo_bot"], 0)
    assert bot.process.stdin is not None
    bot.process.stdin.close()
    assert bot.process.wait(20) == 0


def test_the_bot_stops_when_it_reads_an_invalid_offset(company: Company) -> None:
    """It is better to have no bot than one that no longer follows the clock."""
    company.expect("follower", "Traceback", "JSONDecodeError")
    bot = launch(company, ["bot.cli.demo_bot"], 0)
    assert bot.process.stdin is not None
    bot.process.stdin.write(b"an hour, please\n")
    bot.process.stdin.flush()
    assert bot.process.wait(20) == 0


@pytest.mark.parametrize(
    ("environment", "told", "words"),
    [
        (
            {"SLACK_API_URL": "https://slack.com/api/"},
            '{"ahead": 0}\n',
            "must be a Slack sandbox on this machine",
        ),
        ({"SLACK_API_URL": ""}, '{"ahead": 0}\n', "must be a Slack sandbox on this machine"),
        ({}, "", "on standard input"),
    ],
    ids=["real Slack", "Slack by default", "nobody who leads"],
)
def test_the_demo_s_bot_does_not_start_outside_the_sandbox(
    company: Company, environment: dict[str, str], told: str, words: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "bot.cli.demo_bot"],
        env=company.env | environment,
        cwd=company.folder,
        input=told,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (ended.returncode != 0, words in ended.stderr) == (True, True), ended.stderr
    assert not (company.folder / "access.db").exists()


# --- production


def test_a_bot_in_production_uses_the_machine_s_clock_whatever_its_input(
    company: Company,
) -> None:
    names = (
        "AHEAD",
        "CLOCK",
        "CLOCK_OFFSET",
        "ACCESS_AHEAD",
        "ACCESS_CLOCK",
        "SANDBOX",
        "SLACK_CLOCK",
    )
    company.env |= dict.fromkeys(names, str(10 * HOUR))
    bot = launch(company, ["bot", "run"], 10 * HOUR)
    who = company.newcomer()
    grant = company.hold(who, "shop-admin", "1h by the clock of the machine")
    token = company.token(who, "shop-admin")
    began, ends = times(company, grant)
    assert abs(began - time.time()) < HOUR / 2
    bot.tell(20 * HOUR)
    company.sandbox.admin.advance_clock(20 * HOUR)
    time.sleep(1.5)
    assert (company.check(token), company.grant(who, "shop-admin")[1]) == (200, "active")
    assert times(company, grant) == (began, ends)


def test_no_command_takes_a_clock_and_no_import_leads_to_a_movable_one() -> None:
    taken = {
        verb: [param.opts for param in loaded(cli.commands[verb]).params]
        for verb in ("run", "web", "worker")
    }
    accept = [["--accept-clock"]]  # still the machine's clock
    assert taken == {"run": accept, "web": [], "worker": accept}
    makers, users = set(), set()
    for room in ("bot", "storage"):
        for path in (ROOT / room).rglob("*.py"):
            tree = ast.parse(path.read_text())
            called = {
                node.func.id
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and _named(node)
            }
            makers |= {path.name} if "Clock" in called and "bot.clock" in _names(tree) else set()
            users |= {path.name} if _names(tree) & {"bot.cli.demo_bot", "demo_bot"} else set()
    assert makers == {"app.py", "demo_bot.py"}
    assert users == set()


def _named(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name)


def _names(tree: ast.AST) -> set[str]:
    """The modules that are imported, and what is imported from them."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.name for alias in node.names}
            found |= {node.module or ""} if isinstance(node, ast.ImportFrom) else set()
    return found


def test_the_offset_only_grows() -> None:
    ahead = OffsetClock(wall=lambda: 1000.0)
    assert (ahead(), ahead.move(50.0), ahead(), ahead.move(20.0), ahead()) == (
        1000.0,
        50.0,
        1050.0,
        0.0,
        1050.0,
    )
