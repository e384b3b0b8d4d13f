"""`evidence`: a made-up quarter is written to a folder, and the folder is counted against the
database with SQL of its own."""

from __future__ import annotations

import csv
import json
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bot.core.model import Grant
from bot.core.review import Scope
from bot.operations.audit.verify_audit import verify_audit
from bot.operations.emergencies.start_emergency import Call, start_emergency
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.revoke_grant import revoke_grant
from bot.operations.policy.record_policy import record_loaded
from bot.operations.requests.deny_request import deny_request
from bot.operations.requests.lapse_due import lapse_due
from bot.operations.requests.withdraw_request import withdraw_request
from bot.operations.reviews.start_campaign import Started, start_campaign
from bot.operations.usage.count_usage import sum_usage
from tests.cli.conftest import run
from tests.factories import BEN, CARA, DAN, Made, a_person, make_world

REQUESTS = int(os.environ.get("EVIDENCE_REQUESTS", "200"))
"""The number of requests of the quarter."""

DAY, OPERATOR = 86_400, "os:lea"
RISKY = """
title = "Payments"
system = "shop-admin"
actions = ["payments:write"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"
risk = "high"
risk_reason = "two people are on call"
[roles.payments.emergency]
members = ["@sre"]
max_duration = "1h"
"""
PEOPLE = [f"U0P{n:03}" for n in range(max(25, REQUESTS // 5))]


@dataclass
class Quarter:
    """The made-up quarter: from `start` until before `end`, in UTC seconds."""

    path: Path
    start: int
    end: int
    made: Made

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path / "access.db")) as db:
            return db.execute(text, values).fetchall()

    def count(self, text: str, *values: object) -> int:
        return int(self.sql(f"SELECT COUNT(*) {text}", *values)[0][0])

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.path / "folder" / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    @property
    def words(self) -> tuple[str, ...]:
        days = [
            datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
            for at in (self.start, self.end - 1)
        ]
        return ("evidence", "--from", days[0], "--to", days[1], "--out", "folder", "--seed", "s")


class Story:
    """Plays requests until the clock has passed the quarter."""

    def __init__(self, made: Made) -> None:
        self.made, self.random = made, random.Random(14)
        self.active: list[Grant] = []
        self.turn = 1

    def play(self) -> None:
        made, dice = self.made, self.random
        if self.random.random() < 0.03:
            return self.emergency()
        role = dice.choice(["shop-admin", "shop-admin", "reports-read", "payments"])
        self.turn += 1
        person = PEOPLE[self.turn % len(PEOPLE)]
        request = made.a_request(role, person, dice.choice([1800, 3600, 7200]))
        made.clock.at += dice.randrange(20, 400)
        fate = dice.random()
        if fate < 0.1:
            deny_request(made.world, request.id, a_person(BEN), "not now")
        elif fate < 0.2:
            withdraw_request(made.world, request.id, request.requester)
        elif fate < 0.9:
            self.active.append(made.start(made.a_started(request)))
        return None

    def emergency(self) -> None:
        person = self.random.choice([CARA, DAN])
        start_emergency(self.made.world, Call(person, "payments", "the shop is down"))

    def tick(self, seconds: int) -> None:
        """Lets time pass: some grants are given back or revoked, others expire."""
        made, dice = self.made, self.random
        made.clock.at += seconds
        for grant in self.active:
            if grant.ends_at > made.clock.at and dice.random() < 0.2:
                release_grant(made.world, grant.id, grant.person)
            elif grant.ends_at > made.clock.at and dice.random() < 0.1:
                revoke_grant(made.world, OPERATOR, grant=grant.id)
        expire_due(made.world)
        lapse_due(made.world)
        made.clock.at += dice.randrange(1, 30)
        for grant in self.active:
            if made.grant(grant.id).state == "ending" and dice.random() < 0.97:
                made.close_gates(grant)
                sum_usage(made.world, [grant.id])
        self.active = [grant for grant in self.active if made.grant(grant.id).state != "ended"]


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quarter]:
    folder = tmp_path_factory.mktemp("quarter")
    made = make_world(folder)
    with made.world.db.reading():
        made.world.db.row("PRAGMA synchronous = off")  # nothing here has to survive a crash
    made.set_policy(payments=RISKY)
    end = int(time.time()) // DAY * DAY - 3 * DAY
    start = end - 91 * DAY
    made.clock.at = start - 2 * DAY
    made.know(*[a_person(person) for person in PEOPLE])
    record_loaded(made.world, made.world.policy())
    story = Story(made)
    unconfirmed = made.a_request("shop-admin", PEOPLE[1])
    made.start(made.a_started(unconfirmed))  # nobody confirms its end
    pace = (end - start + 4 * DAY) // REQUESTS
    for number in range(REQUESTS):
        story.play()
        story.tick(story.random.randrange(pace) if number % 3 else pace)
        if number == REQUESTS // 2:
            made.set_policy(payments=RISKY, shop_admin='max_duration = "3h"')
            record_loaded(made.world, made.world.policy())
            assert isinstance(start_campaign(made.world, OPERATOR, Scope()), Started)
            _leave(story)
    with closing(made.world.db):
        yield Quarter(folder, start, end, made)


def _leave(story: Story) -> None:
    """A person with access leaves."""
    grant = story.made.start(story.made.a_started(story.made.a_request("shop-admin", PEOPLE[0])))
    left = replace(a_person(PEOPLE[0], deleted=True), checked_at=story.made.clock.at)
    story.made.know(left)
    story.made.clock.at += 9
    story.made.close_gates(grant)
    PEOPLE.pop(0)


@pytest.fixture
def written(quarter: Quarter, configured: Path, monkeypatch: pytest.MonkeyPatch) -> Quarter:
    """The folder, which the first test writes with the command."""
    (quarter.path / "roles.toml").write_text((configured / "roles.toml").read_text())
    monkeypatch.chdir(quarter.path)
    if not (quarter.path / "folder").exists():
        shown = run(*quarter.words)
        assert (shown.exit_code, shown.stderr) == (0, ""), shown.output
        assert "Wrote folder" in shown.stdout
    return quarter


def test_the_populations_are_those_of_the_database(written: Quarter) -> None:
    start, end = written.start, written.end
    requests = written.rows("population-requests.csv")
    states = "state, COUNT(*) FROM requests WHERE created_at >= ? AND created_at < ? GROUP BY state"
    assert Counter(row["state"] for row in requests) == dict(
        written.sql(f"SELECT {states}", start, end)
    )
    assert len({row["request"] for row in requests}) == len(requests) > REQUESTS / 2
    seqs = [int(row["seq"]) for row in requests]
    assert seqs == sorted(seqs)
    grants = {row["grant"] for row in written.rows("population-grants.csv")}
    sql = (
        "SELECT grants.id FROM grants, requests WHERE requests.id = request_id AND decided_at < ?"
        " AND COALESCE(ended_at, ?) >= ?"
    )
    assert grants == {id for (id,) in written.sql(sql, end, end, start)}
    assert all(row["seq"] and row["decided_by"] for row in written.rows("population-grants.csv"))


def test_who_held_what_is_that_of_the_database(written: Quarter) -> None:
    for at in (written.start, written.end):
        day = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
        held = written.rows(f"access-on-{day}.csv")
        told = written.count(
            "FROM grants WHERE started_at <= ? AND COALESCE(ended_at, ?) > ?", at, at + 1, at
        )
        assert len(held) == told > 0


def test_every_end_is_there_with_its_lateness(written: Quarter) -> None:
    ends = written.rows("ends.csv")
    confirmed = [row for row in ends if row["confirmed_at"]]
    of = "FROM audit WHERE event = 'grant:access:ended' AND at >= ?"
    asked = (
        ' AND "grant" IN (SELECT "grant" FROM audit WHERE event = \'grant:end:asked\' AND at < ?)'
    )
    assert len(confirmed) == written.count(of + asked, written.start, written.end) > 10
    late = {row["grant"]: int(row["late_seconds"]) for row in confirmed if row["why"] == "expired"}
    sql = "SELECT id, ended_at - ends_at FROM grants WHERE end_reason = 'expired'"
    assert late and late.items() <= dict(written.sql(sql)).items()
    open_ends = [row for row in ends if not row["confirmed_at"]]
    assert open_ends and len(open_ends) == written.count(
        "FROM leases WHERE state = 'ending' AND grant_id IN (SELECT \"grant\" FROM audit WHERE"
        " event = 'grant:end:asked' AND at < ?)",
        written.end,
    )
    assert all("not confirmed" in row["proof"] for row in open_ends)


def test_leavers_emergencies_and_high_risk_are_those_of_the_database(written: Quarter) -> None:
    (leaver,) = written.rows("leavers.csv")
    assert leaver["person"] == "U0P000" and leaver["seconds_between"] == "9"
    in_period = "FROM emergencies WHERE started_at < ? AND COALESCE(signed_at, ?) >= ?"
    told = written.count(in_period, written.end, written.end, written.start)
    assert len(written.rows("emergencies.csv")) == told > 0
    held = {row["grant"] for row in written.rows("privileged.csv")}
    population = written.rows("population-grants.csv")
    assert held == {row["grant"] for row in population if row["role"] == "payments"} != set()


def test_nobody_decided_on_their_own_request(written: Quarter) -> None:
    assert written.rows("self-approvals.csv") == []


def test_the_sample_can_be_drawn_again_and_tells_whole_stories(written: Quarter) -> None:
    population = [row["grant"] for row in written.rows("population-grants.csv")]
    drawn = sorted(population, key=lambda grant: sha256(f"s:{grant}".encode()).hexdigest())[:25]
    sample = written.rows("sample.csv")
    assert list(dict.fromkeys(row["grant"] for row in sample)) == drawn
    for grant in drawn[:5]:
        told = [int(row["seq"]) for row in sample if row["grant"] == grant]
        sql = (
            'SELECT seq FROM audit WHERE "grant" = ? OR request = (SELECT request_id FROM grants'
            " WHERE id = ?) ORDER BY seq"
        )
        assert told == [seq for (seq,) in written.sql(sql, grant, grant)]
    assert any("approved it for" in row["sentence"] for row in sample)


def test_the_rules_in_force_are_there_without_a_gap(written: Quarter) -> None:
    index = written.rows("policies/index.csv")
    assert [row["to"] for row in index[:-1]] == [row["from"] for row in index[1:]]
    assert len(index) == 2 and index[-1]["to"] == ""
    for row in index:
        text = (written.path / "folder" / row["file"]).read_bytes()
        assert sha256(text).hexdigest() == row["sha256"]


def test_reviews_and_the_manifest_agree_with_the_folder(written: Quarter) -> None:
    folder = written.path / "folder"
    manifest = json.loads((folder / "manifest.json").read_text())
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == {*manifest["files"], "manifest.json"}
    for name, told in manifest["files"].items():
        assert sha256((folder / name).read_bytes()).hexdigest() == told["sha256"]
        if "rows" in told:
            assert len(written.rows(name)) == told["rows"], name
    assert len(written.rows("reviews.csv")) == written.count("FROM review_items") > 0
    assert manifest["verify"]["result"] == "intact"
    digest = sha256((folder / "manifest.json").read_bytes()).hexdigest()
    ((detail,),) = written.sql("SELECT detail FROM audit WHERE event = 'evidence:folder:written'")
    assert json.loads(detail)["manifest"] == digest
    readme = (folder / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in there if name.endswith(".csv"))


def test_a_folder_is_never_overwritten(written: Quarter) -> None:
    before = (written.path / "folder/manifest.json").read_bytes()
    shown = run(*written.words)
    assert shown.exit_code == 2 and "exists" in shown.stderr
    assert (written.path / "folder/manifest.json").read_bytes() == before


def test_an_own_approval_that_was_forged_is_shown(written: Quarter, tmp_path: Path) -> None:
    """Also a broken log is written, and reported."""
    world = replace(written.made.world)
    with world.db.transaction():
        for (name,) in world.db.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            world.db.run(f"DROP TRIGGER {name}")
        world.db.run("UPDATE audit SET actor = subject WHERE event = 'request:vote:given'")
    words = [str(tmp_path / "other") if word == "folder" else word for word in written.words]
    shown = run(*words)
    assert shown.exit_code == 1 and "BROKEN" in shown.stderr
    with (tmp_path / "other/self-approvals.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) > 10
    assert verify_audit(world).broken is not None
