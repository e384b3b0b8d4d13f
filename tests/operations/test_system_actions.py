"""Actions that differ by system: each reaches the system that it is meant for and no other, in
orders, tokens, renewals, ends and what an approver leaves."""

from __future__ import annotations

import json

import pytest

from bot.core.approval import Refused
from bot.core.model import ProvisionOrder
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.record_results import order_for
from bot.operations.grants.renew_grant import Renewed, Submitted, renew_grant
from bot.operations.process.find_unwritten import find_unwritten
from bot.operations.requests.approve_request import Granted, NeedsApproval, approve_request
from bot.operations.requests.describe_request import describe_request
from bot.operations.tokens.introspect_token import TokenActive
from tests.factories import ANA, BEN, CARA, Made, a_person

HOUR = 3600
SHOP, REPORTS = "shop-admin", "reports"
BOTH = f"""
title = "Both"
systems = ["{SHOP}", "{REPORTS}"]
requesters = ["everyone"]
approvers = ["@db-leads"]
max_duration = "4h"
[roles.both.actions]
{SHOP} = ["orders:read", "shared"]
{REPORTS} = ["reports:read", "shared"]
"""
GIVEN = {SHOP: ("orders:read", "shared"), REPORTS: ("reports:read", "shared")}


@pytest.fixture
def both(made: Made) -> Made:
    made.set_policy(both=BOTH)
    return made


def by_system(orders: list[ProvisionOrder]) -> dict[str, tuple[str, ...]]:
    return {order.system: order.actions for order in orders}


class TestEachSystemGetsItsOwn:
    def test_in_the_orders(self, both: Made) -> None:
        grant = both.a_started(both.a_request("both"))
        assert by_system(begin_attempt(both.world, grant.id)) == GIVEN
        assert {each: grant.actions_of(each) for each in grant.systems} == GIVEN

    def test_in_the_scope_of_a_token(self, both: Made) -> None:
        token = both.a_token(both.a_grant("both"))
        for system, actions in GIVEN.items():
            found = both.check(token, system)
            assert isinstance(found, TokenActive)
            assert found.scope.split() == list(actions)

    def test_in_an_extension_and_an_end(self, both: Made) -> None:
        grant = both.a_grant("both")
        both.clock.at += 600
        assert isinstance(renew_grant(both.world, grant.id, ANA), Renewed)
        for system, actions in GIVEN.items():
            order = order_for(both.world, grant.id, system)
            assert order is not None and order.actions == actions

    def test_in_what_another_grant_keeps(self, both: Made) -> None:
        """The other grant has `shared` on the shop alone, so that it keeps nothing of reports."""
        both.set_policy(both=BOTH, shop_admin='actions = ["shared"]')
        grant = both.a_grant("both")
        both.a_grant("shop-admin")
        kept = {system: order_for(both.world, grant.id, system) for system in GIVEN}
        assert {name: order.kept for name, order in kept.items() if order} == {
            SHOP: ("shared",),
            REPORTS: (),
        }

    def test_in_an_outage_of_the_database(self, both: Made) -> None:
        grant = both.a_grant("both")
        both.clock.at += 2 * HOUR
        found = [each.order for each in find_unwritten(both.world, 100, asked=False)]
        assert by_system([order for order in found if order.grant == grant.id]) == GIVEN

    def test_in_the_record_of_the_approval(self, both: Made) -> None:
        both.a_grant("both")
        ((text,),) = both.log("request:approval:given", "detail")
        detail = json.loads(text)
        assert detail["system_actions"] == {name: list(each) for name, each in GIVEN.items()}
        assert detail["given_systems"] == [SHOP, REPORTS]
        assert both.verdict().broken is None and not both.verdict().differences


class TestNarrowed:
    def test_an_action_is_left_out_where_it_was(self, both: Made) -> None:
        request = both.a_request("both")
        done = approve_request(both.world, request.id, a_person(BEN), actions=("orders:read",))
        assert isinstance(done, Granted)
        assert done.grant.systems == (SHOP,)
        orders = by_system(begin_attempt(both.world, done.grant.id))
        assert orders == {SHOP: ("orders:read",)}

    def test_an_action_of_another_system_is_never_added(self, both: Made) -> None:
        request = both.a_request("both")
        done = approve_request(
            both.world, request.id, a_person(BEN), systems=(SHOP,), actions=("reports:read",)
        )
        assert isinstance(done, Refused)
        assert both.count("grants") == 0

    def test_between_approvers_only_what_all_leave_is_given(self, both: Made) -> None:
        both.set_groups(db_leads=[BEN, CARA])
        both.set_policy(both=BOTH.replace("max_duration", "approvals = 2\nmax_duration"))
        request = both.a_request("both")
        first = approve_request(
            both.world, request.id, a_person(BEN), actions=("orders:read", "shared")
        )
        assert isinstance(first, NeedsApproval)
        last = approve_request(both.world, request.id, a_person(CARA), systems=(REPORTS,))
        assert isinstance(last, Granted)
        assert by_system(begin_attempt(both.world, last.grant.id)) == {REPORTS: ("shared",)}


def test_a_changed_action_of_one_system_is_not_approved_or_renewed(both: Made) -> None:
    grant, request = both.a_grant("both"), both.a_request("both", person=CARA)
    less = BOTH.replace('"reports:read", ', "")
    both.set_policy(both=less)
    both.clock.at += 600
    assert isinstance(renew_grant(both.world, grant.id, ANA), Refused)
    assert isinstance(approve_request(both.world, request.id, a_person(BEN)), Refused)


def test_a_moved_action_is_not_renewed(both: Made) -> None:
    """The role keeps its actions as a whole, but each is on the other system."""
    grant = both.a_grant("both")
    moved = BOTH.replace('"orders:read"', '"X"').replace('"reports:read"', '"orders:read"')
    both.set_policy(both=moved.replace('"X"', '"reports:read"'))
    both.clock.at += 600
    assert isinstance(renew_grant(both.world, grant.id, ANA), Refused)


def test_a_renewal_asks_for_what_is_held(both: Made) -> None:
    both.set_policy(both=BOTH.replace("max_duration", "renewal_approval = true\nmax_duration"))
    request = both.a_request("both")
    done = approve_request(both.world, request.id, a_person(BEN), systems=(SHOP,))
    assert isinstance(done, Granted)
    grant = both.start(done.grant)
    both.clock.at += 600
    asked = renew_grant(both.world, grant.id, ANA)
    assert isinstance(asked, Submitted)
    card = describe_request(both.world, asked.request.id)
    assert card is not None
    assert (card.request.systems, card.request.actions_of(REPORTS)) == ((SHOP,), ())


def test_actions_that_were_written_into_a_lease_are_found(both: Made) -> None:
    def written(actions: str) -> None:
        with both.world.db.transaction():
            both.world.db.run("UPDATE leases SET actions = ? WHERE system = ?", actions, REPORTS)

    both.a_grant("both")
    written('["orders:read"]')
    assert any("its lease has" in each.what for each in both.verdict().differences)
    written('["reports:read", "shared"]')
    assert both.verdict().broken is None
