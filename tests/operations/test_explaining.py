"""`explain` says what a request would meet, and to whom it says that about somebody else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.core.explanation import Explanation, ForPerson, Would
from bot.core.preapproval import Terms
from bot.operations.grants.panic import panic
from bot.operations.people.record_people import record_groups, record_people
from bot.operations.policy.explain_role import explain_role
from bot.operations.preapprovals.give_preapproval import Given, give_preapproval
from bot.operations.requests.request_access import GrantedAtOnce, request_access
from tests.factories import ANA, BEN, CARA, LEA, START, Made, a_person

RULE = '\n[[roles.shop-admin.auto_approve]]\nname = "on call"\nmembers = ["@sre"]\nquota = "1/week"'


def explained(made: Made, by: str = ANA, about: str = ANA, role: str = "shop-admin") -> Explanation:
    found = explain_role(made.world, by, role, about)
    assert isinstance(found, Explanation), found
    return found


def own(made: Made, by: str = ANA, about: str = ANA) -> ForPerson:
    found = explained(made, by, about).own
    assert found is not None
    return found


def test_it_says_what_a_request_then_gets(made: Made) -> None:
    made.set_policy(shop_admin=RULE)
    before = own(made, CARA, CARA)
    assert (before.would, before.text) == (
        Would.GRANTED,
        "The rule “on call” approves it at once.",
    )
    outcome = request_access(made.world, Ask(CARA, "shop-admin", "because"))
    assert isinstance(outcome, GrantedAtOnce)
    (quota,) = (c for c in own(made, CARA, CARA).rules[0].conditions if c.name == "quota")
    assert quota.text == "1 of 1 used this week"
    assert own(made, CARA, CARA).would is Would.WAITS


def test_it_names_a_denial_and_the_panic_switch(made: Made) -> None:
    made.set_policy(
        shop_admin='\n[[roles.shop-admin.deny]]\nname = "no sre"\nmembers = ["@sre"]\n'
        'reason = "No."'
    )
    assert "The rule “no sre” of shop-admin denies it: No." in own(made, CARA, CARA).text
    assert own(made).would is Would.WAITS
    panic(made.world, LEA, role="shop-admin")
    assert "panic switch" in own(made).text


def test_it_shows_what_was_approved_in_advance(made: Made) -> None:
    terms = Terms(7200, START + 86400, "")
    given = give_preapproval(made.world, a_person(BEN), a_person(ANA), "shop-admin", terms)
    assert isinstance(given, Given), given
    found = own(made)
    assert found.would is Would.GRANTED
    assert [each.giver for each in found.preapprovals] == [BEN]


@pytest.mark.parametrize(
    ("by", "shown"),
    [
        pytest.param(ANA, True, id="the person"),
        pytest.param(LEA, True, id="a lead"),
        pytest.param(BEN, True, id="somebody who may decide"),
        pytest.param("os:eve", True, id="the command line"),
        pytest.param(CARA, False, id="anybody else"),
    ],
)
def test_who_sees_it_for_somebody_else(made: Made, by: str, shown: bool) -> None:
    found = explained(made, by, ANA)
    assert (found.own is not None, found.withheld) == (shown, not shown)
    assert found.points


def test_a_guest_sees_nothing(made: Made) -> None:
    record_people(made.world, [replace(a_person("U0GUEST"), guest=True)])
    for who in ("U0GUEST", "U0NOBODY"):
        found = explain_role(made.world, who, "shop-admin", who)
        assert isinstance(found, Refused) and "You can't ask for access" in found.reason


def test_an_unknown_role_names_the_nearest(made: Made) -> None:
    found = explain_role(made.world, ANA, "shop-admn", ANA)
    assert isinstance(found, Refused) and "Did you mean shop-admin?" in found.reason


def test_groups_that_are_too_old_could_not_be_checked(made: Made) -> None:
    made.set_policy(shop_admin='requesters = ["@engineers"]')
    record_groups(made.world, [("S0DB-LEADS", "db-leads", [BEN])], START)
    made.clock.at += 700
    found = own(made)
    assert found.would is Would.UNKNOWN
    assert found.unchecked == ("@engineers", "@db-leads")


def test_a_request_records_the_facts_about_its_requester(made: Made) -> None:
    duty = '\n[oncall.backend]\ngroup = "@sre"'
    made.set_policy(reports_read=f'ticket = "^OPS-1$"\n{duty}')
    made.a_request("shop-admin", CARA)
    ((detail,),) = made.log("request:access:asked", "detail")
    facts = json.loads(detail)["facts"]
    assert facts == {"groups": ["@sre", "S0SRE"], "on_call": {"backend": True}}
