"""Denial rules win: at a request, at a decision, at a renewal and at a start."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.operations.emergencies.start_emergency import Call, start_emergency
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.people.record_people import record_groups
from bot.operations.policy.record_policy import record_loaded
from bot.operations.requests.deny_request import Denied, deny_request
from bot.operations.requests.ping_due import ping_due
from bot.operations.requests.request_access import Submitted, Waiting, request_access
from tests.factories import ANA, BEN, CARA, DAN, GROUPS, START, Made, a_person

HOUR = 3600
RULE = """
[[roles.shop-admin.deny]]
name = "contractors"
{}
reason = "Contractors get staging only."
"""
SAYS = "The rule “contractors” of shop-admin denies it: Contractors get staging only."


def denies(made: Made, conditions: str = 'members = ["@sre"]') -> None:
    made.set_policy(shop_admin=RULE.format(conditions))


def ask(made: Made, person: str = CARA, **more: object) -> object:
    return request_access(made.world, Ask(person, "shop-admin", "because", **more))  # type: ignore[arg-type]


def on_record(made: Made) -> list[tuple[str, str, str, str]]:
    found = made.log("request:rule:denied", "actor, subject, detail")
    details = [(actor, subject, json.loads(detail)) for actor, subject, detail in found]
    return [(actor, subject, each["action"], each["rule"]) for actor, subject, each in details]


def test_a_request_is_refused_with_the_rule_and_its_reason(made: Made) -> None:
    denies(made)
    assert ask(made) == Refused(SAYS, "role", "contractors")
    assert on_record(made) == [(CARA, "", "request", "contractors")]
    assert made.count("requests") == 0 and made.events("request:action:refused") == 0


def test_others_may_ask(made: Made) -> None:
    denies(made)
    assert isinstance(ask(made, ANA), Submitted)


def test_a_decision_is_refused_where_the_rule_came_after_the_request(made: Made) -> None:
    request = made.a_request(person=CARA)
    denies(made)
    assert made.try_to_approve(request) == Refused(SAYS, "role", "contractors")
    assert on_record(made) == [(BEN, CARA, "approve", "contractors")]
    assert made.state("requests", request.id) == "pending"
    assert isinstance(deny_request(made.world, request.id, a_person(BEN), "no"), Denied)


def test_a_renewal_is_refused(made: Made) -> None:
    grant = made.a_grant(person=CARA)
    denies(made)
    made.clock.at += HOUR // 2
    assert renew_grant(made.world, grant.id, CARA) == Refused(SAYS, "role", "contractors")
    assert on_record(made) == [(CARA, CARA, "renew", "contractors")]


STARTS: dict[str, Callable[[Made, str], object]] = {
    "at the reload": lambda made, _grant: record_loaded(made.world, made.world.policy()),
    "at the start": lambda made, grant: begin_attempt(made.world, grant),
}


@pytest.mark.parametrize("judged", STARTS.values(), ids=STARTS)
def test_an_approved_grant_ends_before_it_begins(
    made: Made, judged: Callable[[Made, str], object]
) -> None:
    start_at = None if judged is STARTS["at the start"] else START + HOUR
    grant = made.a_started(made.a_request(person=CARA, start_at=start_at))
    denies(made)
    judged(made, grant.id)
    assert made.grant(grant.id).state == "ending"
    assert on_record(made) == [("system", CARA, "start", "contractors")]
    assert SAYS in made.log("grant:end:asked", "detail")[0][0]


def test_an_active_grant_continues_to_its_end(made: Made) -> None:
    grant = made.a_grant(person=CARA)
    denies(made)
    record_loaded(made.world, made.world.policy())
    assert made.grant(grant.id).state == "active"


def test_hours_count_now_and_at_the_planned_start(made: Made) -> None:
    monday_noon = datetime(2026, 9, 21, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    made.clock.at = int(monday_noon.timestamp())
    denies(made, 'hours = "Mon-Sun 20:00-06:00"')
    at_night = made.clock.at + 10 * HOUR
    refused = ask(made, ANA, start_at=at_night)
    assert isinstance(refused, Refused) and refused.rule == "contractors"
    grant = made.a_started(made.a_request(start_at=made.clock.at + 24 * HOUR))
    made.clock.at = at_night
    made.resolve()
    record_loaded(made.world, made.world.policy())
    assert made.grant(grant.id).state == "scheduled", "it begins outside the hours"
    assert isinstance(ask(made, CARA), Refused)


def test_a_request_waits_until_slack_has_said_who_is_in_the_group(made: Made) -> None:
    made.reload(shop_admin=RULE.format('members = ["@contractors"]'))
    assert ask(made) == Waiting("shop-admin")
    made.set_groups(contractors=[CARA])
    made.resolve()
    assert isinstance(ask(made), Refused)
    assert isinstance(ask(made, ANA), Submitted)


def test_while_the_group_is_unknown_nobody_is_let_in(made: Made) -> None:
    request = made.a_request(person=CARA)
    made.reload(shop_admin=RULE.format('members = ["@contractors"]'))
    refused = made.try_to_approve(request)
    assert isinstance(refused, Refused)
    assert "Slack has not said who is in @contractors" in refused.reason
    assert "Try again" in refused.reason


GONE = "Slack no longer has the user group @sre, so the rule “contractors” of shop-admin denies it"


def without_sre(made: Made) -> None:
    kept = [(f"S0{name.upper()}", name, ids) for name, ids in GROUPS.items() if name != "sre"]
    record_groups(made.world, kept, made.clock.at)
    made.resolve()


class TestDeletedGroup:
    """A rule whose group is not in Slack any more denies everybody."""

    def test_at_the_request_and_at_the_decision(self, made: Made) -> None:
        denies(made)
        request = made.a_request(person=ANA)
        without_sre(made)
        for refused in (ask(made, DAN), made.try_to_approve(request)):
            assert isinstance(refused, Refused) and refused.rule == "contractors"
            assert refused.reason == f"{GONE} to everybody. Ask a lead to correct that."

    def test_at_a_start(self, made: Made) -> None:
        denies(made)
        grant = made.a_started(made.a_request(person=ANA, start_at=START + HOUR))
        without_sre(made)
        assert made.grant(grant.id).state == "ending"
        assert GONE in made.log("grant:end:asked", "detail")[0][0]

    def test_until_the_group_is_there_again(self, made: Made) -> None:
        denies(made)
        without_sre(made)
        made.set_groups()
        assert isinstance(ask(made, ANA), Submitted) and isinstance(ask(made, CARA), Refused)

    def test_that_was_only_renamed_denies_its_people(self, made: Made) -> None:
        denies(made)
        renamed = [
            (f"S0{name.upper()}", "reliability" if name == "sre" else name, ids)
            for name, ids in GROUPS.items()
        ]
        record_groups(made.world, renamed, made.clock.at)
        made.resolve()
        assert isinstance(ask(made, ANA), Submitted) and isinstance(ask(made, CARA), Refused)


RULES = {
    "auto_approve": '[[roles.shop-admin.auto_approve]]\nname = "r"\nmembers = ["@sre"]',
    "escalation": 'approvers = ["@db-leads"]\n'
    '[roles.shop-admin.escalation]\nafter = "30m"\napprovers = ["@sre"]',
    "emergency": '[roles.shop-admin.emergency]\nmembers = ["@sre"]\nmax_duration = "1h"',
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_other_rule_whose_group_was_deleted_gives_nothing(made: Made, rule: str) -> None:
    made.set_policy(shop_admin=rule)
    without_sre(made)
    request = ask(made, CARA)
    assert isinstance(request, Submitted) and request.able == 1
    assert isinstance(start_emergency(made.world, Call(DAN, "shop-admin", "because")), Refused)
    made.clock.at += HOUR
    ping_due(made.world)
    assert isinstance(made.try_to_approve(request.request, DAN), Refused)


def test_a_tier_whose_group_was_deleted_lets_nobody_ask(made: Made) -> None:
    tier = '[[roles.{0}.tiers]]\nname = "{1}"\napprovers = ["@{1}"]\n'
    tiers = tier.format("vault", "sre") + tier.format("vault", "db-leads")
    made.set_policy(
        vault='title = "Vault"\nsystem = "reports"\nactions = ["reports:read"]\n'
        'requesters = ["everyone"]\n' + tiers
    )
    without_sre(made)
    refused = request_access(made.world, Ask(ANA, "vault", "because"))
    assert isinstance(refused, Refused) and "Nobody can approve vault for “sre”" in refused.reason
