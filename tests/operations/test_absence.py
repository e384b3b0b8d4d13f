"""Absence of approvers: who decides meanwhile, for how long, and what is on record."""

from __future__ import annotations

import json
from dataclasses import replace

from bot.core.approval import NeedsApproval, Refused
from bot.operations._too_often import MOST, WITHIN
from bot.operations.absence.come_back import Back, come_back
from bot.operations.absence.describe_absence import describe_absences
from bot.operations.absence.end_absences import end_absences
from bot.operations.absence.go_away import Away, go_away
from bot.operations.people.describe_person import describe_home
from bot.operations.process.next_due import next_due
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.count_vote import left_to_look_up
from bot.operations.requests.deny_request import Denied, deny_request
from bot.operations.requests.describe_request import describe_request
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, DAN, START, Made, a_person

DAY = 86400


def _away(made: Made, giver: str, delegate: str, until: int = START + DAY) -> Away | Refused:
    return go_away(made.world, giver, a_person(delegate), until)


def _approve(made: Made, request: str, by: str) -> object:
    return approve_request(made.world, request, a_person(by))


def test_the_delegate_decides_and_the_log_says_for_whom(made: Made) -> None:
    assert isinstance(_away(made, BEN, CARA), Away)
    request = made.a_request()
    assert isinstance(_approve(made, request.id, CARA), Granted)
    ((actor, detail),) = made.log("request:vote:given", "actor, detail")
    assert (actor, json.loads(detail)["for"]) == (CARA, BEN)
    assert made.log("delegation:access:given", "actor, subject") == [(BEN, CARA)]


def test_a_denial_of_the_delegate_counts_too(made: Made) -> None:
    _away(made, BEN, CARA)
    request = made.a_request()
    assert isinstance(deny_request(made.world, request.id, a_person(CARA), "no"), Denied)
    ((detail,),) = made.log("request:denial:given", "detail")
    assert json.loads(detail)["for"] == BEN


def test_a_delegate_who_is_the_requester_decides_nothing(made: Made) -> None:
    _away(made, BEN, ANA)
    request = made.a_request(person=ANA)
    outcome = _approve(made, request.id, ANA)
    assert isinstance(outcome, Refused) and "your own request" in outcome.reason


def test_the_delegate_of_the_requester_does_not_decide_on_their_request(made: Made) -> None:
    made.set_groups(db_leads=[BEN, DAN])
    _away(made, BEN, CARA)
    request = made.a_request(person=BEN)
    assert isinstance(_approve(made, request.id, CARA), Refused)
    assert isinstance(_approve(made, request.id, DAN), Granted)


def test_giver_and_delegate_are_one_approval(made: Made) -> None:
    made.set_policy(shop_admin='approvals = 2\napprovers = ["@db-leads", "@platform-leads"]')
    _away(made, BEN, CARA)
    request = made.a_request()
    assert _approve(made, request.id, CARA) == NeedsApproval((CARA,), 2)
    outcome = _approve(made, request.id, BEN)
    assert isinstance(outcome, Refused) and "count as one approval" in outcome.reason
    assert made.count("grants") == 0


def test_an_absence_ends_at_its_date_and_its_votes_with_it(made: Made) -> None:
    made.set_policy(shop_admin='approvals = 2\napprovers = ["@db-leads", "@platform-leads"]')
    _away(made, BEN, CARA, START + 60)
    request = made.a_request()
    _approve(made, request.id, CARA)
    assert next_due(made.world) == START + 60
    made.clock.at += 60
    assert isinstance(_approve(made, request.id, CARA), Refused)
    card = describe_request(made.world, request.id)
    assert card is not None and (card.have, card.stand_ins) == ((), ())
    assert end_absences(made.world) == 1
    assert made.log("delegation:access:taken", "actor, subject") == [("system", CARA)]
    assert end_absences(made.world) == 0


def test_of_two_processes_one_ends_it(made: Made) -> None:
    _away(made, BEN, CARA, START + 60)
    made.clock.at += 60
    together(made.world.db, [lambda: end_absences(made.world)] * 4)
    assert made.events("delegation:access:taken") == 1


def test_back_ends_it_at_once_and_only_once(made: Made) -> None:
    _away(made, BEN, CARA)
    request = made.a_request()
    assert come_back(made.world, BEN) == Back("U0Cara")
    assert isinstance(come_back(made.world, BEN), Refused)
    assert isinstance(_approve(made, request.id, CARA), Refused)
    assert made.log("delegation:access:taken", "actor, subject") == [(BEN, CARA)]


def test_another_delegate_replaces_the_first(made: Made) -> None:
    _away(made, BEN, CARA)
    _away(made, BEN, DAN)
    request = made.a_request()
    assert isinstance(_approve(made, request.id, CARA), Refused)
    assert isinstance(_approve(made, request.id, DAN), Granted)
    assert made.log("delegation:access:taken", "actor, subject") == [(BEN, CARA)]


def test_the_same_again_is_recorded_once(made: Made) -> None:
    for _ in range(2):
        assert isinstance(_away(made, BEN, CARA), Away)
    assert made.events("delegation:access:given") == 1


def test_who_approves_nothing_hands_nothing_over(made: Made) -> None:
    outcome = _away(made, ANA, CARA)
    assert isinstance(outcome, Refused) and "You approve no role" in outcome.reason
    assert made.count("delegations") == 0


def test_a_delegate_can_not_hand_on(made: Made) -> None:
    made.set_policy(shop_admin='approvers = ["@db-leads", "U0CARA"]')
    _away(made, BEN, CARA)
    outcome = _away(made, CARA, DAN)
    assert isinstance(outcome, Away) and outcome.also == ("U0Ben",)
    made.set_policy(shop_admin='approvers = ["@db-leads"]')
    request = made.a_request()
    assert isinstance(_approve(made, request.id, DAN), Refused)


def test_a_guest_or_an_absent_person_is_no_delegate(made: Made) -> None:
    made.set_policy(shop_admin='approvers = ["@db-leads", "U0CARA"]')
    guest = go_away(made.world, BEN, replace(a_person(DAN), guest=True), START + DAY)
    assert isinstance(guest, Refused) and "guest" in guest.reason
    _away(made, CARA, DAN)
    assert isinstance(_away(made, BEN, CARA), Refused)


def test_a_delegate_or_giver_who_leaves_ends_it(made: Made) -> None:
    made.set_policy(shop_admin='approvers = ["@db-leads", "U0DAN"]')
    _away(made, BEN, CARA)
    _away(made, DAN, "U0LEA")
    made.know(replace(a_person(CARA), deleted=True, checked_at=START + 1))
    made.know(replace(a_person(DAN), deleted=True, checked_at=START + 1))
    assert made.count("delegations") == 0
    assert made.log("delegation:access:taken", "actor, subject") == [
        ("system", CARA),
        ("system", "U0LEA"),
    ]


def test_a_decision_asks_slack_about_the_absent_approver_too(made: Made) -> None:
    _away(made, BEN, CARA)
    request = made.a_request()
    for approve in (True, False):
        press = {"request": request.id, "voter": CARA, "approve": approve}
        assert left_to_look_up(made.world, [], press) == ((), [BEN])


def test_home_and_card_show_who_decides_for_whom(made: Made) -> None:
    _away(made, BEN, CARA)
    request = made.a_request()
    home = describe_home(made.world, CARA)
    assert [each.id for each in home.waiting_for_me] == [request.id]
    assert home.rights[request.id].seat == BEN
    assert [each.giver for each in home.decides_for] == [BEN]
    assert describe_absences(made.world, BEN).away is not None
    card = describe_request(made.world, request.id)
    assert card is not None and card.names == {BEN: "U0Ben", CARA: "U0Cara"}
    assert CARA in card.notify and CARA in card.deciders


def test_one_person_s_absences_are_limited(made: Made) -> None:
    for each in range(MOST):
        assert isinstance(_away(made, BEN, (CARA, DAN)[each % 2]), Away)
    made.forget_work()
    refused = _away(made, BEN, CARA)
    assert isinstance(refused, Refused) and "named a delegate 30 times" in refused.reason
    assert made.work() == [] and made.events("request:action:refused") == 1
    assert isinstance(come_back(made.world, BEN), Back), "an absence can always end"
    made.clock.at += WITHIN
    made.set_groups()
    assert isinstance(_away(made, BEN, CARA), Away)
