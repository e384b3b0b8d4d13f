"""Requests for a role with tiers, from the first ask to the grant."""

from __future__ import annotations

import pytest

from bot.core.approval import NeedsApproval, Refused
from bot.core.eligibility import Ask
from bot.operations.people.describe_person import describe_home
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.check_decision import check_decision
from bot.operations.requests.deny_request import Denied, deny_request
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.request_access import request_access
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, DAN, LEA, Made, a_person

TIERS = """
system = "shop-admin"
actions = ["orders:read"]
requesters = ["everyone"]
[[roles.vault.tiers]]
name = "lead"
approvers = ["@platform-leads", "@db-leads"]
[[roles.vault.tiers]]
name = "security"
approvers = ["@sre"]
"""


@pytest.fixture
def tiered(made: Made) -> Made:
    made.set_policy(vault=TIERS)
    return made


def _approve(made: Made, request: str, by: str) -> object:
    return approve_request(made.world, request, a_person(by))


def test_the_grant_comes_with_the_last_tier_and_each_vote_is_on_record(tiered: Made) -> None:
    request = tiered.a_request("vault")
    assert _approve(tiered, request.id, LEA) == NeedsApproval((), 1, "security")
    assert isinstance(_approve(tiered, request.id, CARA), Granted)
    votes = tiered.log("request:vote:given", "actor, detail")
    assert [(who, '"tier":"lead"' in detail) for who, detail in votes] == [
        (LEA, True),
        (CARA, False),
    ]
    assert tiered.log("request:approval:given") == [(CARA, "because")]


def test_a_later_tier_decides_nothing_before_its_turn_and_may_deny(tiered: Made) -> None:
    request = tiered.a_request("vault")
    refused = _approve(tiered, request.id, DAN)
    assert isinstance(refused, Refused) and "“lead” is asked now" in refused.reason
    assert isinstance(check_decision(tiered.world, request.id, DAN, "approve"), Refused)
    assert check_decision(tiered.world, request.id, DAN, "deny") is None
    assert tiered.count("votes") == 0
    assert isinstance(deny_request(tiered.world, request.id, a_person(DAN), "no"), Denied)


def test_the_next_tier_is_mentioned_once_when_it_is_asked(tiered: Made) -> None:
    request = tiered.a_request("vault")
    with tiered.world.db.transaction():
        tiered.world.db.run("INSERT INTO messages VALUES (?, 'C1', '1.1')", request.id)
    tiered.forget_work()
    for _ in range(2):
        _approve(tiered, request.id, LEA)
    assert tiered.work().count("ping") == 1


def test_the_message_mentions_only_the_tier_that_is_asked(tiered: Made) -> None:
    request = tiered.a_request("vault")
    card = describe_request(tiered.world, request.id)
    assert card is not None and set(card.groups) == {"@platform-leads", "@db-leads"}
    _approve(tiered, request.id, LEA)
    card = describe_request(tiered.world, request.id)
    assert card is not None and card.groups == ("@sre",)
    assert card.notify == ("S0SRE",)
    assert card.deciders == {BEN, CARA, DAN}


def test_home_shows_a_request_to_the_tier_that_is_asked(tiered: Made) -> None:
    request = tiered.a_request("vault")
    shown = [bool(describe_home(tiered.world, who).waiting_for_me) for who in (LEA, DAN)]
    _approve(tiered, request.id, LEA)
    assert shown == [True, False]
    assert [bool(describe_home(tiered.world, who).waiting_for_me) for who in (LEA, DAN)] == [
        False,
        True,
    ]


def test_a_tier_whose_only_member_is_the_requester_is_refused_at_once(tiered: Made) -> None:
    tiered.set_groups(sre=[ANA])
    refused = request_access(tiered.world, Ask(ANA, "vault", "because"))
    assert isinstance(refused, Refused) and "for “security” right now" in refused.reason
    assert tiered.count("requests") == 0
    assert "notify_security" in tiered.work()


def test_of_two_tiers_pressed_at_once_both_count_in_order_or_one_is_refused(tiered: Made) -> None:
    request = tiered.a_request("vault")
    found = together(
        tiered.world.db, [lambda by=by: _approve(tiered, request.id, by) for by in (LEA, CARA)]
    )
    granted = [isinstance(outcome, Granted) for outcome in found]
    if not any(granted):
        assert isinstance(found[1], Refused)
        assert isinstance(_approve(tiered, request.id, CARA), Granted)
    assert tiered.count("grants") == 1


def test_a_vote_that_finds_the_tiers_complete_still_limits_the_terms(made: Made) -> None:
    made.set_policy(vault=TIERS.replace('["@sre"]', '["@sre"]\napprovals = 2'))
    request = made.a_request("vault", duration=3600)
    for voter in (LEA, CARA):
        assert isinstance(_approve(made, request.id, voter), NeedsApproval)
    made.set_groups(sre=[BEN, DAN])
    assert isinstance(_approve(made, request.id, DAN), NeedsApproval)
    made.set_groups(sre=[BEN, CARA, DAN])
    granted = approve_request(made.world, request.id, a_person(BEN), duration=900)
    assert isinstance(granted, Granted) and granted.grant.duration == 900
