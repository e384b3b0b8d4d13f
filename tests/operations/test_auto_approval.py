"""Rules that approve a request at once: what they leave behind, what stops them, and that two
requests in the same second never share the last of a quota."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

import bot.operations._criteria as criteria
from bot.core.approval import NeedsApproval, Refused
from bot.core.eligibility import Ask
from bot.core.model import GrantState
from bot.operations.grants.panic import panic
from bot.operations.grants.release_grant import Ending, release_grant
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.grants.revoke_given import check_revoke, revoke_given
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.request_access import (
    AlreadyHeld,
    GrantedAtOnce,
    Outcome,
    Submitted,
    request_access,
)
from tests.concurrency import processes, together
from tests.factories import ANA, BEN, CARA, DAN, LEA, START, Made, a_person

HOUR = 3600
DAY = 24 * HOUR
RULE = '\n[[roles.{}.auto_approve]]\nname = "on call, short"\n{}\n'
SRE = 'members = ["@sre"]'
BERLIN = ZoneInfo("Europe/Berlin")


PROCESS = """
import sys
from bot.core.eligibility import Ask
from bot.operations._unit_of_work import Context
from bot.operations.grants.release_grant import release_grant
from bot.operations.requests.request_access import GrantedAtOnce, request_access
from bot.tokens import Signer
from storage import audit
from storage.database import Database
from tests.builders import a_policy
from tests.factories import CARA, KEYS, START

db, signer, policy = Database(sys.argv[1]), Signer(KEYS), a_policy(shop_admin=sys.argv[2])
world = Context(db, lambda: START, lambda: policy, audit.Chain(signer), signer.sign_token)
given = 0
for _ in range(10):
    outcome = request_access(world, Ask(CARA, "shop-admin", "because", 3600))
    if isinstance(outcome, GrantedAtOnce):
        given += 1
        release_grant(world, outcome.grant.id, CARA)
db.close()
print(given)
"""
"""Asks again and again, and gives back what it gets; prints how often it got something."""


def rules(made: Made, conditions: str = SRE, more: str = "") -> None:
    own = f'max_duration = "4h"\n{more}'
    made.set_policy(shop_admin=own + RULE.format("shop-admin", conditions))


def ask(made: Made, person: str = CARA, duration: int = HOUR, **more: object) -> Outcome:
    return request_access(made.world, Ask(person, "shop-admin", "because", duration, **more))  # type: ignore[arg-type]


def granted(made: Made, person: str = CARA) -> GrantedAtOnce:
    outcome = ask(made, person)
    assert isinstance(outcome, GrantedAtOnce), outcome
    return outcome


def give_back(made: Made, outcome: GrantedAtOnce) -> None:
    assert isinstance(release_grant(made.world, outcome.grant.id, outcome.grant.person), Ending)


class TestGranted:
    def test_at_once_and_posted_and_started(self, made: Made) -> None:
        rules(made)
        made.forget_work()
        outcome = granted(made)
        assert made.state("requests", outcome.request.id) == "approved"
        assert made.grant(outcome.grant.id).state is GrantState.STARTING
        assert {"post_approval", "start_grant"} <= set(made.work())

    def test_the_log_has_the_rule_and_every_criterion(self, made: Made) -> None:
        rules(made, SRE + '\nmax_duration = "2h"\nquota = "3/week"')
        granted(made)
        ((actor, text),) = made.log("request:rule:applied", "actor, detail")
        detail = json.loads(text)
        assert (actor, detail["rule"]) == ("rule:on call, short", "on call, short")
        assert [(each["name"], each["verdict"], each["text"]) for each in detail["criteria"]] == [
            ("maximum", "met", "1h is within the role's maximum, 4h"),
            ("eligible", "met", "may ask for this role"),
            ("rule_maximum", "met", "1h is within “on call, short”, 2h"),
            ("members", "met", "is in @sre"),
            ("quota", "met", "0 of 3 used this week"),
        ]
        ((by, text),) = made.log("request:approval:given", "actor, detail")
        assert (by, json.loads(text)["approvers"]) == (
            "rule:on call, short",
            ["rule:on call, short"],
        )
        assert made.verdict().broken is None

    def test_the_card_has_the_criteria_of_the_decision(self, made: Made) -> None:
        rules(made, SRE + '\nquota = "1/week"')
        card = describe_request(made.world, granted(made).request.id)
        assert card is not None
        assert [each.text for each in card.criteria if each.name == "quota"] == [
            "0 of 1 used this week"
        ]
        assert card.request.decided_by_each == ("rule:on call, short",)

    def test_nobody_else_has_to_be_able_to_decide(self, made: Made) -> None:
        rules(made, SRE, f'approvers = ["{CARA}"]')
        assert isinstance(ask(made), GrantedAtOnce)

    def test_a_later_start_is_scheduled(self, made: Made) -> None:
        rules(made)
        outcome = ask(made, start_at=START + HOUR)
        assert isinstance(outcome, GrantedAtOnce)
        assert made.grant(outcome.grant.id).state is GrantState.SCHEDULED


STOPS: dict[str, tuple[str, str, dict[str, object]]] = {
    "not a member": (SRE, ANA, {}),
    "longer than the rule's maximum": (SRE + '\nmax_duration = "30m"', CARA, {}),
    "a group that does not exist": ('members = ["@gone"]', CARA, {}),
    "outside its hours": (SRE + '\nhours = "Sun 00:00-01:00"', CARA, {}),
}


class TestWaitsForPeople:
    @pytest.mark.parametrize(("conditions", "person", "more"), STOPS.values(), ids=STOPS)
    def test_where_a_condition_does_not_hold(
        self, made: Made, conditions: str, person: str, more: dict[str, object]
    ) -> None:
        rules(made, conditions)
        outcome = ask(made, person, **more)  # type: ignore[arg-type]
        assert isinstance(outcome, Submitted)
        assert made.events("request:rule:applied") == 0 and made.count("grants") == 0

    def test_where_it_starts_outside_the_hours_of_the_rule(self, made: Made) -> None:
        made.clock.at = int(datetime(2026, 9, 21, 12, tzinfo=BERLIN).timestamp())
        rules(made, SRE + '\nhours = "Mon-Fri 08:00-19:00"')
        made.resolve()
        assert isinstance(ask(made, start_at=made.clock.at + 12 * HOUR), Submitted)
        assert isinstance(ask(made, DAN, start_at=made.clock.at + DAY), GrantedAtOnce)

    def test_while_an_emergency_is_open_and_the_card_says_so(
        self, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rules(made)
        monkeypatch.setattr(criteria, "has_open_emergency", lambda _u, person: person == CARA)
        outcome = ask(made)
        assert isinstance(outcome, Submitted)
        card = describe_request(made.world, outcome.request.id)
        assert card is not None
        assert [each.text for each in card.criteria if not each.met] == [
            "an emergency of this person is open"
        ]
        assert isinstance(ask(made, DAN), GrantedAtOnce)

    def test_a_renewal_that_needs_approval_is_never_decided_by_a_rule(self, made: Made) -> None:
        rules(made, SRE, "renewal_approval = true")
        grant = made.start(granted(made).grant)
        made.clock.at += HOUR // 2
        assert isinstance(renew_grant(made.world, grant.id, CARA, duration=HOUR), Submitted)
        assert made.events("request:rule:applied") == 1


class TestRefused:
    def test_by_a_denial_rule(self, made: Made) -> None:
        deny = '\n[[roles.shop-admin.deny]]\nname = "d"\nmembers = ["@sre"]\nreason = "No."\n'
        made.set_policy(shop_admin=RULE.format("shop-admin", SRE) + deny)
        outcome = ask(made)
        assert isinstance(outcome, Refused) and outcome.rule == "d"

    def test_under_panic(self, made: Made) -> None:
        rules(made)
        panic(made.world, "os:eve", role="shop-admin")
        outcome = ask(made)
        assert isinstance(outcome, Refused) and "panic" in outcome.reason

    def test_what_the_role_itself_refuses(self, made: Made) -> None:
        rules(made)
        assert isinstance(ask(made, duration=5 * HOUR), Refused)
        made.know(a_person(CARA, guest=True))
        assert isinstance(ask(made), Refused)


class TestQuota:
    def test_is_for_each_person_and_role(self, made: Made) -> None:
        rules(made, SRE + '\nquota = "1/day"')
        give_back(made, granted(made))
        assert isinstance(ask(made), Submitted)
        assert isinstance(ask(made, DAN), GrantedAtOnce)

    @pytest.mark.parametrize(
        ("minute", "decided"),
        [(59, Submitted), (60, GrantedAtOnce)],
        ids=["a minute before midnight in Berlin", "midnight in Berlin"],
    )
    def test_begins_again_at_midnight_of_the_workspace(
        self, made: Made, minute: int, decided: type
    ) -> None:
        noon = int(datetime(2026, 9, 22, 12, tzinfo=BERLIN).timestamp())
        midnight = int(datetime(2026, 9, 23, tzinfo=BERLIN).timestamp())
        made.clock.at = noon
        rules(made, SRE + '\nquota = "1/day"')
        give_back(made, granted(made))
        made.clock.at = midnight - HOUR + minute * 60
        made.resolve()
        assert isinstance(ask(made), decided)

    def test_what_people_decided_does_not_count(self, made: Made) -> None:
        by_ben = made.a_grant(person=CARA)
        release_grant(made.world, by_ben.id, CARA)
        rules(made, SRE + '\nquota = "1/day"')
        assert isinstance(ask(made), GrantedAtOnce)

    def test_is_never_exceeded_by_many_at_once(self, made: Made) -> None:
        rules(made, SRE + '\nquota = "2/day"')

        def act() -> object:
            outcome = ask(made)
            if isinstance(outcome, GrantedAtOnce):
                give_back(made, outcome)
            return outcome

        for _ in range(3):
            together(made.world.db, [act] * 6)
        assert made.events("request:rule:applied") == 2

    def test_is_never_exceeded_by_two_processes(self, made: Made, database_url: str) -> None:
        conditions = SRE + '\nquota = "2/day"'
        rules(made, conditions)
        text = 'max_duration = "4h"\n' + RULE.format("shop-admin", conditions)
        given = processes(2, PROCESS, database_url, text)
        assert sum(map(int, given)) == made.events("request:rule:applied") == 2

    def test_many_at_once_get_one_grant(self, made: Made) -> None:
        rules(made)
        found = together(made.world.db, [lambda: ask(made)] * 6)
        assert sorted(type(each).__name__ for each in found) == ["AlreadyHeld"] * 5 + [
            "GrantedAtOnce"
        ]
        assert made.count("grants") == 1


REFUSALS = {
    "the holder": (a_person(CARA), "no", "I'm done"),
    "somebody else": (a_person(DAN), "no", "Only the approvers of shop-admin and leads"),
    "a deactivated approver": (a_person(BEN, deleted=True), "no", "deactivated"),
    "without a reason": (a_person(BEN), " ", "Say why"),
    "one whom Slack has not confirmed": (
        replace(a_person(BEN), checked_at=START - 61),
        "no",
        "did not confirm",
    ),
}


class TestRevoke:
    def test_an_approver_ends_it_with_a_reason(self, made: Made) -> None:
        rules(made)
        outcome = granted(made)
        made.start(outcome.grant)
        assert check_revoke(made.world, outcome.request.id, a_person(BEN)) is None
        ended = revoke_given(made.world, outcome.request.id, a_person(BEN), "not today")
        assert isinstance(ended, Ending)
        found = made.grant(outcome.grant.id)
        assert (found.state, found.end_by, found.end_words) == ("ending", BEN, "not today")
        assert made.log("grant:end:asked") == [(BEN, "not today")]

    @pytest.mark.parametrize(("by", "reason", "why"), REFUSALS.values(), ids=REFUSALS)
    def test_is_refused(self, made: Made, by: object, reason: str, why: str) -> None:
        rules(made)
        outcome = granted(made)
        refused = revoke_given(made.world, outcome.request.id, by, reason)  # type: ignore[arg-type]
        assert isinstance(refused, Refused) and why in refused.reason
        assert made.grant(outcome.grant.id).state is GrantState.STARTING
        assert made.events("request:action:refused") == 1

    def test_a_lead_may_and_twice_is_told(self, made: Made) -> None:
        rules(made)
        outcome = granted(made)
        assert isinstance(revoke_given(made.world, outcome.request.id, a_person(LEA), "no"), Ending)
        again = revoke_given(made.world, outcome.request.id, a_person(BEN), "no")
        assert isinstance(again, Refused) and "ended already" in again.reason


def test_what_changed_between_request_and_decision_is_on_record_and_on_the_card(
    made: Made,
) -> None:
    rules(made, SRE + '\nmax_duration = "30m"')
    outcome = ask(made)
    assert isinstance(outcome, Submitted)
    made.set_groups(sre=[BEN, DAN])
    card = describe_request(made.world, outcome.request.id)
    assert card is not None and card.changed == ("is not in @sre; before: is in @sre",)
    made.a_started(outcome.request)
    ((detail,),) = made.log("request:approval:given", "detail")
    assert json.loads(detail)["changed"] == ["is not in @sre; before: is in @sre"]
    later = describe_request(made.world, outcome.request.id)
    assert later is not None and later.changed == card.changed


def test_a_quorum_is_counted_as_before_where_no_rule_holds(made: Made) -> None:
    rules(made, SRE, "approvals = 2\n" + 'approvers = ["@sre", "@db-leads"]')
    outcome = ask(made, ANA)
    assert isinstance(outcome, Submitted)
    assert isinstance(made.try_to_approve(outcome.request), NeedsApproval)
    assert not isinstance(ask(made, CARA), AlreadyHeld)
