"""Requests with parameters: their values reach the grant and the log, and stay the same through
approval, renewal, pre-approval, rules and emergencies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.core.model import Grant, Request
from bot.core.preapproval import Terms
from bot.operations.emergencies.start_emergency import Call, Started, start_emergency
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.renew_grant import Renewed, renew_grant
from bot.operations.idempotency import do_together
from bot.operations.preapprovals.give_preapproval import Given, give_preapproval
from bot.operations.requests.answer_waiting import answer_waiting
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.request_access import (
    GrantedAtOnce,
    Submitted,
    Waiting,
    request_access,
)
from storage.database import Database
from tests.factories import ANA, BEN, CARA, START, Made, a_person, make_world

HOUR, DAY = 3600, 86400
ROLE = """
system = "shop-admin"
actions = ["customer:{customer}", "orders:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"
[roles.customers.parameters]
customer = "^[0-9]{1,8}$"
"""
RULE = '[[roles.customers.auto_approve]]\nname = "short"\nmax_duration = "30m"\n'
EMERGENCY = '[roles.customers.emergency]\nmembers = ["@sre"]\nmax_duration = "1h"\n'
GIVEN = ("customer:4711", "orders:read")


@pytest.fixture
def made(sqlite_url: str, tmp_path: Path) -> Iterator[Made]:
    """On SQLite, because the values are one more text in rows that other tests have on both."""
    with closing(Database(sqlite_url)) as database:
        made = make_world(tmp_path, db=database)
        made.set_policy(customers=ROLE + RULE + EMERGENCY)
        yield made


def ask(made: Made, customer: str = "4711", person: str = ANA, duration: int = HOUR) -> object:
    values = {"customer": customer} if customer else {}
    given = Ask(person, "customers", "why", duration, parameters=values)
    return request_access(made.world, given)


def asked(made: Made) -> Request:
    outcome = ask(made)
    assert isinstance(outcome, Submitted), outcome
    return outcome.request


def approved(made: Made) -> Grant:
    granted = approve_request(made.world, asked(made).id, a_person(BEN))
    assert isinstance(granted, Granted), granted
    return granted.grant


def test_the_values_reach_the_grant_and_the_log(made: Made) -> None:
    grant = approved(made)
    (order,) = begin_attempt(made.world, grant.id)
    assert (grant.actions, order.actions, grant.parameters) == (GIVEN, GIVEN, {"customer": "4711"})
    ((detail,),) = made.log("request:access:asked", "detail")
    assert json.loads(str(detail))["parameters"] == {"customer": "4711"}
    ((detail,),) = made.log("request:approval:given", "detail")
    assert json.loads(str(detail))["actions"] == [*GIVEN]
    assert made.verdict().broken is None
    with made.world.db.transaction():
        made.world.db.run('UPDATE requests SET parameters = \'{"customer": "1"}\'')
    made.forged = True
    assert "parameters" in str(made.verdict().broken)


def test_a_request_without_good_values_is_refused_and_recorded(made: Made) -> None:
    for value in ("", "4711\n", "*", "123456789"):
        outcome = ask(made, value)
        assert isinstance(outcome, Refused) and outcome.field == "parameter:customer"
    assert made.count("requests") == 0
    assert made.events("request:action:refused") == 4


def test_a_change_of_the_pattern_stops_a_pending_request_and_a_start(made: Made) -> None:
    pending, policy = asked(made), ROLE.replace("1,8", "1,9")
    made.set_policy(customers=policy)
    refused = approve_request(made.world, pending.id, a_person(BEN))
    assert isinstance(refused, Refused) and "changed" in refused.reason
    made.set_policy(customers=ROLE)
    granted = approve_request(made.world, pending.id, a_person(BEN))
    assert isinstance(granted, Granted), granted
    made.set_policy(customers=policy)
    assert begin_attempt(made.world, granted.grant.id) == []
    assert made.grant(granted.grant.id).state in ("failed", "ending", "ended")


def test_a_renewal_keeps_the_values(made: Made) -> None:
    grant = made.start(approved(made))
    made.clock.at += HOUR // 2
    made.know(a_person(ANA))
    renewed = renew_grant(made.world, grant.id, ANA)
    assert isinstance(renewed, Renewed), renewed
    assert renewed.grant.actions == GIVEN
    made.set_policy(customers=ROLE.replace("1,8", "1,3"))
    made.clock.at += HOUR // 2
    assert isinstance(renew_grant(made.world, grant.id, ANA), Refused)


def test_a_pre_approval_holds_for_all_values(made: Made) -> None:
    given = give_preapproval(
        made.world, a_person(BEN), a_person(CARA), "customers", Terms(HOUR, START + DAY, "SHOP-7")
    )
    assert isinstance(given, Given), given
    outcome = ask(made, "7", CARA)
    assert isinstance(outcome, GrantedAtOnce) and outcome.givers == (BEN,)
    assert outcome.grant.actions == ("customer:7", "orders:read")


def test_a_rule_approves_a_request_with_good_values_only(made: Made) -> None:
    assert isinstance(ask(made, "x", duration=600), Refused)
    outcome = ask(made, duration=600)
    assert isinstance(outcome, GrantedAtOnce) and outcome.grant.actions == GIVEN


def test_an_emergency_asks_for_the_values_too(made: Made) -> None:
    assert isinstance(start_emergency(made.world, Call(CARA, "customers", "down")), Refused)
    call = Call(CARA, "customers", "down", parameters={"customer": "4711"})
    outcome = start_emergency(made.world, call)
    assert isinstance(outcome, Started), outcome
    assert [order.actions for order in begin_attempt(made.world, outcome.grant.id)] == [GIVEN]
    assert made.verdict().broken is None


def test_a_request_that_waited_for_slack_keeps_the_values(made: Made) -> None:
    given = Ask(ANA, "customers", "why", HOUR, parameters={"customer": "4711"})
    assert isinstance(request_access(made.world, given, look_up_first=True), Waiting)
    ((data,),) = made.rows("SELECT data FROM outbox WHERE kind = 'ask'")
    do_together(made.world, lambda world: answer_waiting(world, json.loads(str(data))))
    ((actions,),) = made.rows("SELECT actions FROM requests")
    assert json.loads(str(actions)) == [*GIVEN]
