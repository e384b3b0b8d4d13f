"""The bot is killed between a system's call and its record, or while the approved role changes:
access never passes its first possible end, and access that may have been made is found."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.sandbox import Person
from tests.connectors import folder
from tests.faults.processes import command
from tests.faults.running_bot import ROLES, ROOT, Company
from tests.faults.test_sandbox_clock import launch
from tests.waiting import until

HOUR = 3600
BOTH = """
[roles.both]
systems = ["first", "second"]
actions = ["in"]
requesters = ["everyone"]
approvers = ["@db-leads"]
default_duration = "8s"
"""
LONGER = 'max_duration = "4h"\ndefault_duration = "1h"'
SHORTER = 'max_duration = "10m"\ndefault_duration = "10m"'


class Place:
    """A company with two systems, each a folder with one file for each access."""

    def __init__(self, make_company: Callable[..., Company], at: Path) -> None:
        self.first, self.second = at / "first", at / "second"
        packages = at / "packages"
        for each in (self.first, self.second, packages):
            each.mkdir()
        folder.install(packages)
        self.path = f"{ROOT}:{packages}"
        self.company = make_company(environment={"PYTHONPATH": self.path})
        systems = folder.settings("first", self.first) + folder.settings("second", self.second)
        self.company.roles.write_text(ROLES + systems + BOTH)
        self.company.start()

    def approved(self, who: Person, role: str, words: str = "because of the tests") -> str:
        """Requests it and has it approved; returns the id of the grant."""
        company = self.company
        assert company.ben.click(company.card(company.ask(who, role, words)), "Approve").ok
        return until(lambda: company.grant(who, role)[0])

    def row(self, grant: str) -> tuple[object, ...]:
        return self.company.rows(
            "SELECT state, end_reason, started_at, ends_at FROM grants WHERE id = ?", grant
        )[0]

    def ends_on_record(self, grant: str) -> set[object]:
        """The end in each record of this start."""
        events = "'grant:access:started', 'grant:start:unsure'"
        found = self.company.rows(
            f'SELECT detail FROM audit WHERE "grant" = ? AND event IN ({events})', grant
        )
        return {json.loads(detail)["ends_at"] for (detail,) in found}

    def died(self) -> None:
        """Waits until the bot has killed itself in the middle of a call."""
        assert self.company.bot.process.wait(30) == -9

    def found(self) -> dict[str, list[str]]:
        """The findings of drift on each system, by their state."""
        ran = command(self.company, "systems", "drift", "--json")
        assert ran.returncode == 1, ran.stdout + ran.stderr
        found: dict[str, list[str]] = {}
        for each in map(json.loads, ran.stdout.splitlines()):
            found.setdefault(each["system"], []).append(each["what"])
        return found


@pytest.fixture
def place(make_company: Callable[..., Company], tmp_path: Path) -> Iterator[Place]:
    found = Place(make_company, tmp_path)
    yield found
    for bot in found.company.bots:
        for pipe in (bot.process.stdin, bot.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.mark.parametrize("dies", ["first", "second"])
def test_a_half_start_that_is_killed_before_its_record_ends_at_its_first_possible_end(
    place: Place, dies: str
) -> None:
    """The other system answers "try again" before the kill or after it, for as long as the access
    may last."""
    company, who = place.company, place.company.newcomer()
    killer, other = (place.first, place.second) if dies == "first" else (place.second, place.first)
    (killer / ".dies").touch()
    if dies == "first":
        (other / ".down").touch()
    grant = place.approved(who, "both")
    place.died()
    file = killer / f"access-{grant}"
    assert file.exists()
    state, _, _, first_end = place.row(grant)
    assert (state, (killer / ".dies").exists()) == ("starting", False)
    (other / ".down").touch()
    company.start()
    until(lambda: place.ends_on_record(grant) or not file.exists())
    until(lambda: not file.exists())
    _, reason, _, ends_at = place.row(grant)
    assert (ends_at, reason) == (first_end, "expired")
    assert place.ends_on_record(grant) <= {first_end}
    (other / ".down").unlink()
    until(lambda: place.row(grant)[0] == "ended")
    assert not (other / file.name).exists()
    assert command(company, "audit", "verify").returncode == 0


def test_access_that_a_system_made_without_an_answer_ends_and_is_found(place: Place) -> None:
    company, who = place.company, place.company.newcomer()
    for mark in (".mute", ".keeps"):
        (place.first / mark).touch()
    grant = place.approved(who, "first", "4s because of the tests")
    file = place.first / f"access-{grant}"
    until(lambda: place.ends_on_record(grant))
    first_end = place.row(grant)[3]
    company.bot.kill()
    company.start()
    until(lambda: place.row(grant)[0] == "ending")
    assert place.row(grant)[1:] == ("expired", None, first_end)
    assert (file.exists(), place.found()) == (True, {"first": ["ending"]})
    for mark in (".mute", ".keeps"):
        (place.first / mark).unlink()
    until(lambda: place.row(grant)[0] == "ended")
    assert not file.exists()
    file.write_text("an answer that came late")
    assert place.found() == {"first": ["left"]}


def test_a_scheduled_grant_whose_role_changed_while_the_bot_was_down_does_not_start(
    place: Place,
) -> None:
    company = place.company
    removed, shorter, same = (company.newcomer() for _ in range(3))
    wanted = {removed: "first", shorter: "Shop admin", same: "second"}
    roles = {removed: "first", shorter: "shop-admin", same: "second"}
    for who, title in wanted.items():
        company.access(who, "")
        start = int(time.time()) + HOUR // 2
        assert (
            who.fill_and_submit(
                {"Role": title, "Duration": "1h", "Reason": "tonight", "Start": start}
            ).errors
            == {}
        )
        assert company.ben.click(company.card(company.request(who, roles[who])[0]), "Approve").ok
    grants = {who: until(lambda it=who: company.grant(it, roles[it])[0]) for who in wanted}
    assert {place.row(grant)[0] for grant in grants.values()} == {"scheduled"}
    company.bot.kill()
    text = (
        company.roles.read_text()
        .replace(folder.settings("first", place.first), "")
        .replace(BOTH, "")
    )
    company.roles.write_text(text.replace(LONGER, SHORTER, 1))
    launch(company, ["bot.cli.demo_bot"], HOUR)
    until(lambda: place.row(grants[same])[0] == "active")
    assert [file.name for file in place.second.glob("access-*")] == [f"access-{grants[same]}"]
    for who, why in ((removed, "no longer in roles.toml"), (shorter, "at most 10m now")):
        who.wait_dm(why)
        assert place.row(grants[who])[1:3] == ("revoked", None)
        assert company.events(grant=grants[who], event="grant:access:started") == []
        until(lambda it=who: place.row(grants[it])[0] == "ended")
    assert [*place.first.glob("access-*")] == []
