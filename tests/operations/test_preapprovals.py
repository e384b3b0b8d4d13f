"""Approval in advance: what it gives, who may give and take it, and when it ends."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import bot.operations.requests.request_access as asking
from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.core.model import Person
from bot.core.preapproval import Terms
from bot.operations._too_often import MOST, WITHIN
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.revoke_given import revoke_given
from bot.operations.people.describe_person import describe_home
from bot.operations.people.record_people import people_to_check
from bot.operations.policy.record_policy import record_loaded
from bot.operations.preapprovals.describe_preapprovals import list_preapprovals
from bot.operations.preapprovals.give_preapproval import Given, give_preapproval
from bot.operations.preapprovals.take_preapprovals import take_preapproval, take_preapprovals
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.request_access import GrantedAtOnce, Submitted, request_access
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, LEA, START, Made, a_person

HOUR, DAY = 3600, 86400


def give(
    made: Made, giver: str = BEN, person: str = CARA, role: str = "shop-admin", **more: object
) -> Given | Refused:
    terms = replace(Terms(2 * HOUR, START + 7 * DAY, "SHOP-7"), **more)  # type: ignore[arg-type]
    return give_preapproval(made.world, a_person(giver), a_person(person), role, terms)


def ask(made: Made, person: str = CARA, duration: int = HOUR, **more: object) -> object:
    return request_access(made.world, Ask(person, "shop-admin", "because", duration, **more))  # type: ignore[arg-type]


def given(made: Made, **more: object) -> str:
    outcome = give(made, **more)  # type: ignore[arg-type]
    assert isinstance(outcome, Given), outcome
    return outcome.given.id


def taken(made: Made) -> list[tuple[str, str]]:
    return [
        (actor, json.loads(detail)["why"])
        for actor, detail in made.log("preapproval:access:taken", "actor, detail")
    ]


class TestGiven:
    def test_is_on_record_and_told_to_the_receiver(self, made: Made) -> None:
        made.forget_work()
        id = given(made)
        ((actor, subject, role, reason, detail),) = made.log(
            "preapproval:access:given", "actor, subject, role, reason, detail"
        )
        assert (actor, subject, role, reason) == (BEN, CARA, "shop-admin", "SHOP-7")
        assert json.loads(detail)["until"] == START + 7 * DAY
        answers = made.rows("SELECT data FROM outbox WHERE kind = 'answer'")
        assert [json.loads(data)["preapproval"] for (data,) in answers] == [id]

    def test_a_request_needs_nobody(self, made: Made) -> None:
        id = given(made)
        outcome = ask(made)
        assert isinstance(outcome, GrantedAtOnce) and outcome.givers == (BEN,)
        ((actor, detail),) = made.log("request:approval:given", "actor, detail")
        assert (actor, json.loads(detail)["approvers"]) == ("system", [BEN])
        assert json.loads(detail)["in_advance"] == [
            {"preapproval": id, "giver": BEN, "until": START + 7 * DAY}
        ]
        card = describe_request(made.world, outcome.request.id)
        assert card is not None and [each.id for each in card.in_advance] == [id]
        assert made.verdict().broken is None

    def test_again_and_again_until_its_date(self, made: Made) -> None:
        given(made)
        for _ in range(2):
            outcome = ask(made)
            assert isinstance(outcome, GrantedAtOnce)
            release_grant(made.world, outcome.grant.id, CARA)
        made.clock.at = START + 7 * DAY
        assert isinstance(ask(made), Submitted)

    def test_many_at_once_get_one_grant(self, made: Made) -> None:
        given(made)
        together(made.world.db, [lambda: ask(made)] * 6)
        assert made.count("grants") == 1

    def test_an_approver_can_revoke_what_it_gave(self, made: Made) -> None:
        given(made)
        outcome = ask(made)
        assert isinstance(outcome, GrantedAtOnce)
        revoke_given(made.world, outcome.request.id, a_person(BEN), "not today")
        assert made.grant(outcome.grant.id).end_words == "not today"

    def test_what_people_decided_is_not_revoked_like_that(self, made: Made) -> None:
        grant = made.a_grant(person=CARA)
        refused = revoke_given(made.world, grant.request, a_person(BEN), "not today")
        assert isinstance(refused, Refused) and "People decided" in refused.reason

    def test_both_see_it_in_home_and_a_lead_in_the_list(self, made: Made) -> None:
        given(made)
        for person in (BEN, CARA):
            (view,) = describe_home(made.world, person).preapprovals
            assert (view.given.giver, view.given.person, view.holds) == (BEN, CARA, True)
        assert describe_home(made.world, ANA).preapprovals == ()
        assert len(list_preapprovals(made.world, LEA)) == 1

    def test_the_newer_one_of_the_same_people_replaces_it(self, made: Made) -> None:
        given(made)
        given(made, duration=HOUR // 2)
        assert isinstance(ask(made), Submitted)
        assert taken(made) == [(BEN, "it was replaced by a new one")]

    def test_one_that_has_lapsed_can_be_given_again(self, made: Made) -> None:
        given(made, until=START + HOUR)
        made.clock.at += 2 * HOUR
        ben, cara = (replace(a_person(who), checked_at=made.clock.at) for who in (BEN, CARA))
        terms = Terms(HOUR, made.clock.at + DAY, "")
        assert isinstance(give_preapproval(made.world, ben, cara, "shop-admin", terms), Given)


CHANGES = {
    "for longer": "UPDATE preapprovals SET duration = duration + 1",
    "until later": "UPDATE preapprovals SET until = until + 1",
    "by somebody else": "UPDATE preapprovals SET giver = 'U0LEA'",
    "for somebody else": "UPDATE preapprovals SET person = 'U0ANA'",
    "for another text of the role": "UPDATE preapprovals SET fingerprint = 'x'",
    "after it was taken back": "UPDATE preapprovals SET taken_at = NULL",
}


@pytest.mark.parametrize("what", CHANGES)
def test_one_that_holds_against_the_log_is_found(made: Made, what: str) -> None:
    id = given(made)
    if what.startswith("after"):
        take_preapproval(made.world, a_person(BEN), id)
    assert made.verdict().broken is None
    made.forged = True
    with made.world.db.transaction():
        made.world.db.run(CHANGES[what])
    broken = made.verdict().broken
    assert broken is not None and "pre-approval of shop-admin" in broken.why


DENY = '\n[[roles.shop-admin.deny]]\nname = "d"\nmembers = ["@sre"]\nreason = "No."\n'


class TestPeopleAreStillNeeded:
    def test_for_longer_than_it_says(self, made: Made) -> None:
        given(made)
        assert isinstance(ask(made, duration=3 * HOUR), Submitted)

    def test_for_what_starts_after_its_date(self, made: Made) -> None:
        given(made)
        assert isinstance(ask(made, start_at=START + 7 * DAY), Submitted)

    def test_for_somebody_else(self, made: Made) -> None:
        given(made)
        assert isinstance(ask(made, ANA), Submitted)

    def test_where_the_role_needs_two(self, made: Made) -> None:
        made.set_policy(shop_admin='approvals = 2\napprovers = ["@db-leads", "@platform-leads"]')
        given(made)
        outcome = ask(made)
        assert isinstance(outcome, Submitted)
        card = describe_request(made.world, outcome.request.id)
        assert card is not None and [each.giver for each in card.in_advance] == [BEN]
        given(made, giver=LEA, person=ANA)
        given(made, giver=BEN, person=ANA)
        assert isinstance(ask(made, ANA), GrantedAtOnce)

    def test_while_an_emergency_is_open(self, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
        given(made)
        monkeypatch.setattr(asking, "has_open_emergency", lambda _u, _person: True)
        assert isinstance(ask(made), Submitted)

    def test_a_denial_rule_wins(self, made: Made) -> None:
        given(made)
        made.set_policy(shop_admin=DENY)
        outcome = ask(made)
        assert isinstance(outcome, Refused) and outcome.rule == "d"

    def test_while_nobody_knows_who_may_decide(self, made: Made) -> None:
        given(made)
        with made.world.db.transaction():
            made.world.db.run(
                "INSERT INTO key_values (key, value) VALUES ('groups read', ?)", str(START - 601)
            )
        (view,) = list_preapprovals(made.another_process(), BEN)
        assert not view.holds


STRANGER = a_person("U0NOBODY", stranger=True)
REFUSED: dict[str, tuple[Person, Person, str, Terms, str]] = {
    "for oneself": (
        a_person(BEN),
        a_person(BEN),
        "shop-admin",
        Terms(HOUR, START + DAY, ""),
        "your own requests",
    ),
    "by somebody who may not decide": (
        a_person(ANA),
        a_person(CARA),
        "shop-admin",
        Terms(HOUR, START + DAY, ""),
        "Only the approvers of shop-admin (@db-leads) and leads",
    ),
    "by a deactivated approver": (
        a_person(BEN, deleted=True),
        a_person(CARA),
        "shop-admin",
        Terms(HOUR, START + DAY, ""),
        "deactivated",
    ),
    "by an approver whom Slack has not confirmed": (
        replace(a_person(BEN), checked_at=START - 61),
        a_person(CARA),
        "shop-admin",
        Terms(HOUR, START + DAY, ""),
        "did not confirm",
    ),
    "for a stranger": (
        a_person(BEN),
        STRANGER,
        "shop-admin",
        Terms(HOUR, START + DAY, ""),
        "may not ask",
    ),
    "an unknown role": (
        a_person(BEN),
        a_person(CARA),
        "shop-admim",
        Terms(HOUR, START + DAY, ""),
        "Did you mean shop-admin?",
    ),
    "for too long": (
        a_person(BEN),
        a_person(CARA),
        "shop-admin",
        Terms(HOUR, START + 91 * DAY, ""),
        "at most 90d",
    ),
}


@pytest.mark.parametrize(
    ("giver", "receiver", "role", "terms", "why"), REFUSED.values(), ids=REFUSED
)
def test_is_refused(
    made: Made, giver: Person, receiver: Person, role: str, terms: Terms, why: str
) -> None:
    refused = give_preapproval(made.world, giver, receiver, role, terms)
    assert isinstance(refused, Refused) and why in refused.reason, refused
    assert made.count("preapprovals") == 0 and made.events("request:action:refused") == 1


def test_a_denial_rule_refuses_it_and_is_on_record(made: Made) -> None:
    made.set_policy(shop_admin=DENY)
    assert isinstance(give(made), Refused)
    assert made.events("request:rule:denied") == 1 and made.count("preapprovals") == 0


class TestEnds:
    def test_when_it_is_taken_back(self, made: Made) -> None:
        given(made)
        assert take_preapprovals(made.world, a_person(LEA), CARA, "shop-admin") != ()
        assert taken(made) == [(LEA, "taken back")]
        assert isinstance(ask(made), Submitted)

    def test_by_its_button_once(self, made: Made) -> None:
        id = given(made)
        assert take_preapproval(made.world, a_person(CARA), id) != ()
        again = take_preapproval(made.world, a_person(BEN), id)
        assert isinstance(again, Refused) and "no such" in again.reason
        assert made.events("preapproval:access:taken") == 1

    def test_not_by_somebody_else(self, made: Made) -> None:
        id = given(made)
        assert isinstance(take_preapproval(made.world, a_person(ANA), id), Refused)
        assert isinstance(ask(made), GrantedAtOnce)

    def test_when_its_giver_leaves_the_group(self, made: Made) -> None:
        given(made)
        made.set_groups(db_leads=[LEA])
        assert taken(made) == [("system", "the person who gave it may no longer decide")]
        made.set_groups()
        assert isinstance(ask(made), Submitted), "it does not come back"

    def test_when_its_giver_leaves_the_workspace(self, made: Made) -> None:
        given(made)
        made.know(a_person(BEN, deleted=True))
        assert taken(made) == [("system", "this Slack account is deactivated")]

    def test_when_the_role_changes(self, made: Made) -> None:
        given(made)
        made.set_policy(shop_admin='actions = ["orders:*"]')
        record_loaded(made.world, made.world.policy())
        assert taken(made) == [("system", "the role was changed in roles.toml")]

    def test_both_are_told(self, made: Made) -> None:
        given(made)
        made.forget_work()
        made.set_groups(db_leads=[LEA])
        told = [
            json.loads(data)["person"]
            for (data,) in made.rows("SELECT data FROM outbox WHERE kind = 'answer'")
        ]
        assert sorted(told) == sorted([BEN, CARA])


def test_one_person_s_pre_approvals_are_limited(made: Made) -> None:
    for each in range(MOST):
        given(made, until=START + DAY + each)
    made.forget_work()
    refused = give(made)
    assert isinstance(refused, Refused) and "approved in advance 30 times" in refused.reason
    assert made.work() == [] and made.events("request:action:refused") == 1
    assert isinstance(give(made, giver=LEA), Given), "others are not held up"
    made.clock.at += WITHIN
    ben, cara = (replace(a_person(each), checked_at=made.clock.at) for each in (BEN, CARA))
    terms = Terms(HOUR, START + 7 * DAY, "")
    assert isinstance(give_preapproval(made.world, ben, cara, "shop-admin", terms), Given)


def test_its_giver_is_looked_up_once_a_minute_while_it_holds(made: Made) -> None:
    id = given(made)
    made.clock.at += 60
    assert BEN in people_to_check(made.world, START, 60)
    take_preapproval(made.world, a_person(BEN), id)
    assert BEN not in people_to_check(made.world, START, 60)
