"""Renewals without approval: a limited number for one grant, and for one person in a period. Beyond
them somebody else decides, and nothing passes the longest total."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from bot.core.model import Grant
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.renew_grant import Outcome, Refused, Renewed, Submitted, renew_grant
from bot.operations.process.forget_old import forget_old
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.withdraw_request import withdraw_request
from tests.concurrency import together
from tests.factories import ANA, BEN, START, Made, a_person

HOUR = 3600
DAY = 24 * HOUR
LONG = 'max_duration = "2h"\nmax_total = "3d"\n'


def renew(made: Made, grant: Grant, reason: str = "") -> Outcome:
    made.clock.at += 600
    return renew_grant(made.world, grant.id, grant.person, reason=reason)


def waits(outcome: Outcome, why: str) -> Submitted:
    assert isinstance(outcome, Submitted), outcome
    assert why in outcome.why
    return outcome


BEYOND: dict[str, tuple[str, str]] = {
    "the number of renewals": (
        "max_renewals = 1",
        "This is beyond what needs no approval: renewal 2, and only the first needs no approval.",
    ),
    "the quota of the person": (
        'max_renewals = 9\nrenewal_quota = "1/day"',
        "This is beyond what needs no approval: 1 of 1 renewals without approval used this day.",
    ),
    "a role that always asks": (
        "renewal_approval = true",
        "shop-admin is renewed only with a new approval.",
    ),
}


class TestBeyond:
    @pytest.mark.parametrize(("lines", "why"), BEYOND.values(), ids=BEYOND)
    def test_somebody_else_decides(self, made: Made, lines: str, why: str) -> None:
        made.set_policy(shop_admin=LONG + lines)
        grant = made.a_grant(duration=HOUR)
        outcome = renew(made, grant)
        if "renewal_approval" not in lines:
            assert isinstance(outcome, Renewed)
            outcome = renew(made, grant)
        before = made.grant(grant.id).ends_at
        asked = waits(outcome, why)
        assert asked.why == why
        assert made.grant(grant.id).ends_at == before
        (text,) = made.log("request:access:asked", "detail")[-1]
        assert json.loads(text)["why"] == why
        assert isinstance(approve_request(made.world, asked.request.id, a_person(ANA)), Refused)
        assert isinstance(approve_request(made.world, asked.request.id, a_person(BEN)), Granted)
        assert made.grant(grant.id).ends_at > before
        assert made.verdict().broken is None

    def test_the_card_says_what_is_exceeded(self, made: Made) -> None:
        made.set_policy(shop_admin=LONG + 'max_renewals = 1\nrenewal_quota = "9/week"')
        grant = made.a_grant(duration=HOUR)
        renew(made, grant)
        asked = waits(renew(made, grant), "renewal 2")
        card = describe_request(made.world, asked.request.id)
        assert card is not None
        assert {each.name: each.met for each in card.criteria} == {
            "maximum": True,
            "eligible": True,
            "renewals": False,
            "renewal_quota": True,
        }

    def test_the_longest_total_stays_a_limit_for_every_decider(self, made: Made) -> None:
        made.set_policy(shop_admin='max_duration = "2h"\nmax_total = "3h"\nmax_renewals = 1')
        grant = made.a_grant(duration=2 * HOUR)
        made.clock.at += HOUR // 2
        renew(made, grant)
        asked = waits(renew(made, grant), "renewal 2")
        made.clock.at += HOUR
        assert isinstance(approve_request(made.world, asked.request.id, a_person(BEN)), Granted)
        assert made.grant(grant.id).ends_at == START + 3 * HOUR
        refused = renew(made, grant)
        assert isinstance(refused, Refused)
        assert "lasts up to 3h" in refused.reason

    def test_a_role_that_is_never_renewed_is_not_asked_for(self, made: Made) -> None:
        made.set_policy(shop_admin=LONG + "max_renewals = 0")
        assert isinstance(renew(made, made.a_grant(duration=HOUR)), Refused)

    def test_a_rule_of_the_role_does_not_decide_in_place_of_a_person(self, made: Made) -> None:
        rule = '\n[[roles.shop-admin.auto_approve]]\nname = "all"\nmax_duration = "2h"\n'
        made.set_policy(shop_admin=LONG + "max_renewals = 1")
        grant = made.a_grant(duration=HOUR)
        made.set_policy(shop_admin=LONG + "max_renewals = 1" + rule)
        renew(made, grant)
        waits(renew(made, grant), "renewal 2")


class TestQuota:
    LINES = LONG + 'max_renewals = 9\nrenewal_quota = "2/day"'

    def test_counts_over_all_grants_of_the_role(self, made: Made) -> None:
        made.set_policy(shop_admin=self.LINES)
        first = made.a_grant(duration=HOUR)
        assert isinstance(renew(made, first), Renewed)
        release_grant(made.world, first.id, ANA)
        second = made.a_grant(duration=HOUR)
        assert isinstance(renew(made, second), Renewed)
        waits(renew(made, second), "2 of 2")

    def test_a_renewal_that_somebody_approved_does_not_count(self, made: Made) -> None:
        made.set_policy(shop_admin=LONG + 'renewal_approval = true\nrenewal_quota = "1/day"')
        grant = made.a_grant(duration=HOUR)
        asked = waits(renew(made, grant), "new approval")
        assert isinstance(approve_request(made.world, asked.request.id, a_person(BEN)), Granted)
        made.set_policy(
            shop_admin=LONG + 'max_renewals = 9\nrenewal_approval = false\nrenewal_quota = "1/day"'
        )
        assert isinstance(renew(made, grant), Renewed)
        waits(renew(made, grant), "1 of 1")

    def test_begins_again_at_midnight_of_the_workspace(self, made: Made) -> None:
        made.set_policy(shop_admin=self.LINES.replace("2/day", "1/day"))
        midnight = datetime(2026, 12, 2, tzinfo=ZoneInfo("Europe/Berlin"))
        made.clock.at = int(midnight.timestamp()) - HOUR
        grant = made.a_grant(duration=2 * HOUR)
        assert isinstance(renew(made, grant), Renewed)
        asked = waits(renew(made, grant), "1 of 1")
        withdraw_request(made.world, asked.request.id, ANA)
        made.clock.at = int(midnight.timestamp())
        assert isinstance(renew(made, grant), Renewed)

    def test_two_at_once_never_share_the_last(self, made: Made) -> None:
        made.set_policy(shop_admin=self.LINES.replace("2/day", "1/day"))
        grant = made.a_grant(duration=HOUR)
        made.clock.at += 600
        acts: list[Callable[[], object]] = [
            partial(renew_grant, made.world, grant.id, ANA, duration=HOUR - 60 * less)
            for less in range(4)
        ]
        found = [type(each).__name__ for each in together(made.world.db, acts)]
        assert found.count("Renewed") == 1
        assert made.count("renewals") == 1

    def test_is_kept_as_long_as_a_quota_may_count(self, made: Made) -> None:
        made.set_policy(shop_admin=self.LINES)
        renew(made, made.a_grant(duration=HOUR))
        made.clock.at += 62 * DAY
        forget_old(made.world)
        assert made.count("renewals") == 1
        made.clock.at += 40 * DAY
        forget_old(made.world)
        assert made.count("renewals") == 0


class TestReason:
    def test_is_that_of_the_renewal(self, made: Made) -> None:
        renew(made, made.a_grant(duration=HOUR), "still at it")
        assert made.log("grant:access:renewed") == [(ANA, "still at it")]

    def test_is_that_of_the_request_without_one(self, made: Made) -> None:
        renew(made, made.a_grant(duration=HOUR))
        assert made.log("grant:access:renewed") == [(ANA, "because")]

    def test_is_that_of_the_approved_renewal(self, made: Made) -> None:
        made.set_policy(shop_admin=LONG + "renewal_approval = true")
        asked = waits(renew(made, made.a_grant(duration=HOUR), "one more hour"), "approval")
        approve_request(made.world, asked.request.id, a_person(BEN))
        assert made.log("grant:access:renewed") == [(BEN, "one more hour")]
