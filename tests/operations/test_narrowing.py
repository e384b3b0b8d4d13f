"""An approver gives less than was asked for: fewer systems, fewer actions, a shorter time, a later
start; never more, never earlier, never nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.core.approval import LATEST_START, Refused
from bot.core.model import EndReason, GrantState
from bot.operations.grants.release_grant import Ending, release_grant
from bot.operations.grants.renew_grant import Submitted, renew_grant
from bot.operations.requests.approve_request import Granted, NeedsApproval, approve_request
from bot.operations.requests.describe_request import describe_request
from tests.factories import ANA, BEN, CARA, START, Made, a_person

HOUR = 3600
SHOP, REPORTS = "shop-admin", "reports"
TWO = f"""
title = "Two systems"
systems = ["{SHOP}", "{REPORTS}"]
actions = ["read", "write"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"
"""


@pytest.fixture
def two(made: Made) -> Made:
    made.set_policy(two=TWO)
    return made


def approve(made: Made, request: str, person: str = BEN, **terms: Any) -> object:
    return approve_request(made.world, request, a_person(person), **terms)


class TestLess:
    def test_leaves_out_a_system(self, two: Made) -> None:
        done = approve(two, two.a_request("two").id, systems=(SHOP,))
        assert isinstance(done, Granted)
        assert two.rows("SELECT system FROM leases") == [(SHOP,)]
        assert two.grant(done.grant.id).systems == (SHOP,)
        ((text,),) = two.log("request:approval:given", "detail")
        assert json.loads(text)["given_systems"] == [SHOP]
        assert two.verdict().broken is None and not two.verdict().differences

    def test_starts_later(self, two: Made) -> None:
        done = approve(two, two.a_request("two").id, start_at=START + HOUR, duration=HOUR // 2)
        assert isinstance(done, Granted)
        grant = two.grant(done.grant.id)
        assert grant.state is GrantState.SCHEDULED
        assert (grant.starts_at, grant.ends_at) == (START + HOUR, START + HOUR + HOUR // 2)

    def test_may_be_given_back_before_it_starts(self, two: Made) -> None:
        done = approve(two, two.a_request("two").id, start_at=START + HOUR)
        assert isinstance(done, Granted)
        assert isinstance(release_grant(two.world, done.grant.id, ANA), Ending)
        assert two.grant(done.grant.id).end_reason is EndReason.RELEASED


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "another system": ({}, {"systems": (SHOP, "payroll")}, "systems"),
    "no system": ({}, {"systems": ()}, "systems"),
    "a start in the past": ({}, {"start_at": START - 1}, "start"),
    "a start before the one asked for": (
        {"start_at": START + HOUR},
        {"start_at": START + HOUR - 1},
        "start",
    ),
    "a start in two months": ({}, {"start_at": START + LATEST_START + 60}, "start"),
    "longer": ({}, {"duration": 2 * HOUR}, "duration"),
    "another action": ({}, {"actions": ("read", "delete")}, "actions"),
}


@pytest.mark.parametrize(("asked", "terms", "field"), REFUSED.values(), ids=REFUSED)
def test_more_or_earlier_or_nothing_is_refused(
    two: Made, asked: dict[str, Any], terms: dict[str, Any], field: str
) -> None:
    refused = approve(two, two.a_request("two", **asked).id, **terms)
    assert isinstance(refused, Refused)
    assert refused.field == field
    assert two.count("grants") == 0 and two.count("votes") == 0


class TestSeveralApprovers:
    @pytest.fixture
    def pair(self, two: Made) -> Made:
        two.set_groups(db_leads=[BEN, CARA])
        two.set_policy(two=TWO + "approvals = 2\nrenewal_approval = false")
        return two

    def test_the_latest_start_and_what_both_leave_count(self, pair: Made) -> None:
        request = pair.a_request("two").id
        first = approve(pair, request, start_at=START + 2 * HOUR, actions=("read",))
        assert isinstance(first, NeedsApproval)
        last = approve(pair, request, CARA, start_at=START + HOUR, systems=(REPORTS,))
        assert isinstance(last, Granted)
        grant = pair.grant(last.grant.id)
        assert (grant.systems, grant.actions) == ((REPORTS,), ("read",))
        assert grant.starts_at == START + 2 * HOUR

    def test_the_start_of_one_counts_where_the_other_gives_none(self, pair: Made) -> None:
        request = pair.a_request("two", start_at=START + HOUR).id
        approve(pair, request)
        last = approve(pair, request, CARA, start_at=START + 3 * HOUR)
        assert isinstance(last, Granted)
        assert last.grant.starts_at == START + 3 * HOUR

    def test_nothing_left_between_them_is_refused(self, pair: Made) -> None:
        request = pair.a_request("two").id
        approve(pair, request, systems=(SHOP,))
        refused = approve(pair, request, CARA, systems=(REPORTS,))
        assert isinstance(refused, Refused)
        assert refused.field == "systems" and "at least one system" in refused.reason
        assert isinstance(approve(pair, request, CARA, systems=(SHOP,)), Granted)


def test_a_denial_rule_at_the_later_start_counts(two: Made) -> None:
    deny = '\n[[roles.two.deny]]\nname = "never"\nhours = "Mon-Sun 00:00-24:00"\nreason = "No."'
    request = two.a_request("two").id
    two.set_policy(two=TWO + deny.replace("Mon-Sun 00:00-24:00", _hours(two, START + HOUR)))
    assert isinstance(approve(two, request, start_at=START + HOUR), Refused)
    assert isinstance(approve(two, request), Granted)


def _hours(made: Made, at: int) -> str:
    """Hours that hold at `at`, and not yet half an hour before."""
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    begin = datetime.fromtimestamp(at, ZoneInfo("Europe/Berlin")) - timedelta(minutes=20)
    end = begin + timedelta(minutes=40)
    return f"{begin:%a} {begin:%H:%M}-{end:%H:%M}"


@pytest.mark.parametrize(
    "terms", [{"systems": (SHOP,)}, {"actions": ("read",)}, {"start_at": START + 2 * HOUR}], ids=str
)
def test_a_renewal_is_only_shortened(two: Made, terms: dict[str, Any]) -> None:
    two.set_policy(two=TWO + "renewal_approval = true")
    grant = two.a_grant("two")
    two.clock.at += 600
    asked = renew_grant(two.world, grant.id, ANA)
    assert isinstance(asked, Submitted)
    assert isinstance(approve(two, asked.request.id, **terms), Refused)
    assert describe_request(two.world, asked.request.id) is not None
    assert isinstance(approve(two, asked.request.id, duration=HOUR // 2), Granted)
