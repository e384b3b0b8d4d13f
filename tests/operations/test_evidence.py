"""The folder of evidence on each of the two databases."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bot.cli.evidence import write_folder
from bot.core.audit import rfc3339
from bot.core.evidence import Period, Sample
from bot.operations.emergencies.start_emergency import Call, start_emergency
from bot.operations.evidence.collect_evidence import collect_evidence
from bot.operations.flags.answer_flag import expect_flag
from bot.operations.flags.describe_flags import list_flags
from bot.operations.flags.raise_flags import FlagRaiser
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.record_results import (
    recheck_late_start,
    record_end_failed,
    record_ended,
)
from bot.operations.grants.release_grant import release_grant
from bot.operations.policy.record_policy import record_loaded
from bot.operations.requests.withdraw_request import withdraw_request
from bot.operations.usage.count_usage import sum_usage
from bot.operations.usage.report_session import Report, report_use
from tests.factories import ANA, CARA, LEA, START, Made, a_person
from tests.reviews import a_campaign, answer_rest

RISKY = """
risk = "high"
risk_reason = "two people are on call"
[roles.shop-admin.emergency]
members = ["@sre"]
max_duration = "1h"
"""


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_table_is_filled_from_either_database(made: Made, tmp_path: Path) -> None:
    made.set_policy(shop_admin=RISKY)
    record_loaded(made.world, made.world.policy())
    grant = made.a_grant()
    start_emergency(made.world, Call(CARA, "shop-admin", "the shop is down"))
    made.clock.at = grant.ends_at + 7
    expire_due(made.world)
    made.close_gates(made.grant(grant.id))
    made.know(replace(a_person(deleted=True), checked_at=made.clock.at))
    made.clock.at += 60
    out, period = tmp_path / "folder", Period(START, made.clock.at)
    write_folder(made.world, "os:ana", period, Sample(5, "s"), made.verdict(), out)
    names = [name for name in json.loads(_manifest(out))["files"] if name.endswith(".csv")]
    counts = {name: len(_rows(out, name)) for name in names}
    assert counts["population-requests.csv"] == counts["population-grants.csv"] == 2
    assert counts["emergencies.csv"] == counts["leavers.csv"] == counts["policies/index.csv"] == 1
    assert counts["privileged.csv"] == 2 and counts["self-approvals.csv"] == 0
    (end,) = [row for row in _rows(out, "ends.csv") if row["grant"] == grant.id]
    assert (end["late_seconds"], end["why"]) == ("7", "expired")
    assert {row["grant"] for row in _rows(out, "sample.csv")} > {grant.id}
    assert made.events("evidence:folder:written") == 1


def test_an_archived_part_is_said_to_be_missing(made: Made, tmp_path: Path) -> None:
    made.a_grant()
    verdict = replace(made.verdict(), archived=40)
    out = tmp_path / "folder"
    write_folder(made.world, "os:ana", Period(0, START + 9), Sample(5, "s"), verdict, out)
    assert "records 1 to 40 of the log" in " ".join((out / "README.md").read_text().split())
    assert json.loads(_manifest(out))["archived"] == 40


def _manifest(folder: Path) -> str:
    return (folder / "manifest.json").read_text()


def test_a_period_that_is_over_knows_how_long_its_rules_were_in_force(
    made: Made, tmp_path: Path
) -> None:
    made.set_policy(shop_admin='max_duration = "8h"')
    record_loaded(made.world, made.world.policy())
    made.clock.at += 3600
    period = Period(START, made.clock.at)
    made.clock.at += 3600
    made.set_policy(shop_admin='max_duration = "9h"')
    record_loaded(made.world, made.world.policy())
    out = tmp_path / "folder"
    write_folder(made.world, "os:ana", period, Sample(5, "s"), made.verdict(), out)
    (rules,) = _rows(out, "policies/index.csv")
    assert rules["to"] == rfc3339(made.clock.at)


def test_a_leaver_who_came_back_is_still_shown(made: Made, tmp_path: Path) -> None:
    grant = made.a_grant()
    made.know(replace(a_person(deleted=True), checked_at=made.clock.at))
    left_at = made.clock.at
    made.clock.at += 60
    made.know(replace(a_person(), checked_at=made.clock.at))
    made.close_gates(grant)
    made.a_grant()
    out, period = tmp_path / "folder", Period(START, made.clock.at)
    write_folder(made.world, "os:ana", period, Sample(5, "s"), made.verdict(), out)
    (leaver,) = _rows(out, "leavers.csv")
    assert (leaver["noticed_at"], leaver["came_back"]) == (rfc3339(left_at), "yes")
    assert (leaver["seconds_between"], leaver["grants_not_ended"]) == ("60", "0")


def test_reviews_and_flags_are_those_of_the_same_moment(made: Made) -> None:
    campaign = a_campaign(made)
    for _ in range(5):
        withdraw_request(made.world, made.a_request().id, ANA)
    FlagRaiser(made.world).raise_new()
    (flag,) = list_flags(made.world, 9)
    period = Period(START, made.clock.at + 60)
    with made.world.db.snapshot() as view:
        found = collect_evidence(
            made.world, view, period, Sample(1, "s"), made.verdict(), "os:ana", "1"
        )
        answer_rest(made, campaign)
        made.know(replace(a_person(LEA), checked_at=made.clock.at))
        assert expect_flag(made.world, LEA, flag.id, "a test") is None
        items = [*csv.DictReader(found.reviews)]
        (flags,) = [[*table.rows] for table in found.tables if table.name == "flags.csv"]
    assert {each["state"] for each in items} == {"pending"}
    assert "a test" not in flags[0]


def test_use_that_was_summed_up_again_counts_once(made: Made, tmp_path: Path) -> None:
    made.set_policy(shop_admin=RISKY)
    record_loaded(made.world, made.world.policy())
    grant = made.a_grant()
    made.clock.at = grant.ends_at
    expire_due(made.world)
    made.close_gates(made.grant(grant.id))
    for name in ("first", "second"):
        opened = Report(grant.id, "opened", name, "192.0.2.7", grant.starts_at)
        report_use(made.world, "shop-admin", opened)
        sum_usage(made.world, [grant.id])
    out, period = tmp_path / "folder", Period(START, made.clock.at)
    write_folder(made.world, "os:ana", period, Sample(5, "s"), made.verdict(), out)
    assert [row["sessions"] for row in _rows(out, "privileged.csv")] == ["2"]


def test_an_end_that_had_to_be_confirmed_again_is_one_row(made: Made, tmp_path: Path) -> None:
    grant = made.a_grant()
    release_grant(made.world, grant.id, ANA)
    made.close_gates(grant)
    recheck_late_start(made.world, grant.id, "shop-admin")
    made.clock.at += 300
    with made.world.db.transaction():
        made.world.db.run("UPDATE outbox SET claimed_by = 'w' WHERE kind = 'end_lease'")
    record_end_failed(made.world, grant.id, "shop-admin", "still there", 1)
    made.know(replace(a_person(deleted=True), checked_at=made.clock.at))
    period = Period(START, made.clock.at + 600)
    for wanted, held in (("not confirmed yet", "1"), ("no longer showed it", "0")):
        out = tmp_path / wanted
        write_folder(made.world, "os:ana", period, Sample(5, "s"), made.verdict(), out)
        (end,) = _rows(out, "ends.csv")
        assert wanted in end["proof"], end
        (leaver,) = _rows(out, "leavers.csv")
        assert leaver["grants_not_ended"] == held
        made.clock.at += 60
        record_ended(made.world, grant.id, "shop-admin")
    assert end["confirmed_at"] == rfc3339(made.clock.at - 60)


def test_no_folder_is_written_without_a_record(made: Made, tmp_path: Path) -> None:
    made.a_grant()
    verdict, out = made.verdict(), tmp_path / "folder"
    broken = replace(made.world, chain=None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        write_folder(broken, "os:ana", Period(START, START + 9), Sample(5, "s"), verdict, out)
    assert not [*tmp_path.glob("folder*")]
