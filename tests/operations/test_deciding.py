"""Approving and denying: who may decide, what it gives, and that there is one decision in whatever
order people press."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.core.approval import NeedsApproval, Refused
from bot.core.model import Person, RequestState
from bot.operations.grants.panic import panic
from bot.operations.idempotency import do_once
from bot.operations.people.record_people import record_people
from bot.operations.requests.accept_vote import AlreadyDecided, Press, Taken, submit_vote
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.deny_request import Denied, deny_request
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.withdraw_request import Withdrawn, withdraw_request
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, DAN, LEA, START, Made, a_person

DEPLOY = "shop-deploy"
"""Needs two approvals, by @platform-leads or @sre."""


def _approve(made: Made, request: str, by: str, **terms: object) -> object:
    return approve_request(made.world, request, a_person(by), **terms)  # type: ignore[arg-type]


class TestOneDecision:
    def test_of_twenty_approvers_at_once_one_decides(self, made: Made) -> None:
        approvers = [f"U0NR{n}" for n in range(20)]
        record_people(made.world, [a_person(id) for id in approvers])
        made.set_groups(db_leads=approvers)
        request = made.a_request()
        found = together(
            made.world.db, [lambda by=by: _approve(made, request.id, by) for by in approvers]
        )
        assert [type(outcome) for outcome in found].count(Granted) == 1
        assert [type(outcome) for outcome in found].count(AlreadyDecided) == 19
        assert made.events("request:approval:given") == 1
        assert made.count("grants") == 1
        assert made.count("outbox", "kind = 'start_grant'") == 1

    def test_of_an_approval_and_a_denial_at_the_same_moment_one_wins(self, made: Made) -> None:
        made.set_groups(db_leads=[BEN, CARA])
        request = made.a_request()
        calls: list[Callable[[], object]] = [
            lambda: _approve(made, request.id, BEN),
            lambda: deny_request(made.world, request.id, a_person(CARA), "not today"),
        ] * 4
        found = together(made.world.db, calls)
        assert sum(isinstance(outcome, Granted | Denied) for outcome in found) == 1
        assert made.events("request:approval:given") + made.events("request:denial:given") == 1
        assert made.count("grants") == made.events("request:approval:given")

    def test_of_an_approval_and_a_withdrawal_at_the_same_moment_one_wins(self, made: Made) -> None:
        request = made.a_request()
        found = together(
            made.world.db,
            [
                lambda: _approve(made, request.id, BEN),
                lambda: withdraw_request(made.world, request.id, ANA),
            ],
        )
        assert sum(isinstance(outcome, Granted | Withdrawn) for outcome in found) == 1

    @pytest.mark.parametrize("decide", ["approve", "deny"])
    def test_after_its_time_a_request_lapses_even_if_no_worker_has_closed_it(
        self, made: Made, decide: str
    ) -> None:
        request = made.a_request()
        made.clock.at = request.lapses_at
        late = (
            _approve(made, request.id, BEN)
            if decide == "approve"
            else deny_request(made.world, request.id, a_person(BEN), "no")
        )
        assert isinstance(late, AlreadyDecided)
        assert late.request.state is RequestState.LAPSED
        assert made.events("request:access:lapsed") == 1

    @pytest.mark.parametrize("decide", ["approve", "deny"])
    def test_a_second_click_changes_nothing_and_says_who_decided(
        self, made: Made, decide: str
    ) -> None:
        grant = made.a_grant()
        made.clock.at += 600
        late = (
            _approve(made, grant.request, BEN)
            if decide == "approve"
            else deny_request(made.world, grant.request, a_person(BEN), "no")
        )
        assert isinstance(late, AlreadyDecided)
        assert (late.request.state, late.request.decided_by) == (RequestState.APPROVED, BEN)
        assert made.grant(grant.id) == grant

    def test_an_unknown_request_is_refused_and_recorded(self, made: Made) -> None:
        for outcome in (
            _approve(made, "r0", BEN),
            deny_request(made.world, "r0", a_person(BEN), "no"),
        ):
            assert isinstance(outcome, Refused)
        assert made.events("request:action:refused") == 2


class TestQuorum:
    def test_two_of_two_are_needed(self, made: Made) -> None:
        request = made.a_request(DEPLOY)
        assert _approve(made, request.id, CARA) == NeedsApproval((CARA,), 2)
        assert isinstance(_approve(made, request.id, LEA), Granted)

    def test_two_simultaneous_approvals_grant_once_and_never_get_stuck(self, made: Made) -> None:
        request = made.a_request(DEPLOY)
        found = together(
            made.world.db, [lambda by=by: _approve(made, request.id, by) for by in (CARA, LEA)]
        )
        assert sorted(type(outcome).__name__ for outcome in found) == ["Granted", "NeedsApproval"]
        assert made.count("grants") == 1

    def test_pressing_twice_counts_once(self, made: Made) -> None:
        request = made.a_request(DEPLOY)
        for _ in range(3):
            assert _approve(made, request.id, CARA) == NeedsApproval((CARA,), 2)
        assert made.events("request:vote:given") == 1

    def test_a_person_in_two_groups_counts_once(self, made: Made) -> None:
        made.set_groups(sre=[CARA, LEA], platform_leads=[CARA, LEA])
        request = made.a_request(DEPLOY)
        assert _approve(made, request.id, CARA) == NeedsApproval((CARA,), 2)
        assert _approve(made, request.id, CARA) == NeedsApproval((CARA,), 2)

    def test_a_voter_who_left_the_group_before_the_quorum_does_not_count(self, made: Made) -> None:
        request = made.a_request(DEPLOY)
        _approve(made, request.id, CARA)
        made.set_groups(sre=[BEN, DAN])
        assert _approve(made, request.id, LEA) == NeedsApproval((LEA,), 2)
        assert isinstance(_approve(made, request.id, DAN), Granted)

    def test_a_voter_whose_account_was_deactivated_does_not_count(self, made: Made) -> None:
        request = made.a_request(DEPLOY)
        _approve(made, request.id, CARA)
        record_people(made.world, [replace(a_person(CARA), deleted=True, checked_at=START + 1)])
        assert _approve(made, request.id, LEA) == NeedsApproval((LEA,), 2)

    def test_one_denial_ends_it_whatever_was_approved(self, made: Made) -> None:
        request = made.a_request(DEPLOY)
        _approve(made, request.id, CARA)
        assert isinstance(deny_request(made.world, request.id, a_person(DAN), "no"), Denied)
        assert isinstance(_approve(made, request.id, LEA), AlreadyDecided)

    def test_the_actor_of_the_approval_is_the_last_approver(self, made: Made) -> None:
        request = made.a_request(DEPLOY)
        _approve(made, request.id, LEA)
        _approve(made, request.id, CARA)
        ((actor, detail),) = made.log("request:approval:given", "actor, detail")
        assert (actor, '"approvers":["U0CARA","U0LEA"]' in detail) == (CARA, True)


class TestTerms:
    def test_edit_gives_less(self, made: Made) -> None:
        request = made.a_request()
        granted = _approve(made, request.id, BEN, duration=600, actions=("orders:read",))
        assert isinstance(granted, Granted)
        assert (granted.grant.duration, granted.grant.actions) == (600, ("orders:read",))

    @pytest.mark.parametrize(
        ("terms", "field"),
        [
            ({"duration": 3601}, "duration"),
            ({"duration": 0}, "duration"),
            ({"duration": -60}, "duration"),
            ({"actions": ("orders:read", "orders:delete")}, "actions"),
            ({"actions": ()}, "actions"),
        ],
        ids=["longer", "nothing long", "negative", "an action more", "no action"],
    )
    def test_edit_never_gives_more_and_never_nothing(
        self, made: Made, terms: dict[str, object], field: str
    ) -> None:
        request = made.a_request(duration=3600)
        refused = _approve(made, request.id, BEN, **terms)
        assert isinstance(refused, Refused)
        assert refused.field == field
        assert made.state("requests", request.id) == "pending"

    def test_the_strictest_approver_sets_the_terms(self, made: Made) -> None:
        made.set_policy(shop_deploy='actions = ["a", "b", "c"]')
        request = made.a_request(DEPLOY)
        _approve(made, request.id, CARA, duration=1200, actions=("a", "b"))
        granted = _approve(made, request.id, LEA, duration=1800, actions=("b", "c"))
        assert isinstance(granted, Granted)
        assert (granted.grant.duration, granted.grant.actions) == (1200, ("b",))

    def test_approvers_who_agree_on_no_action_are_refused(self, made: Made) -> None:
        made.set_policy(shop_deploy='actions = ["a", "b"]')
        request = made.a_request(DEPLOY)
        _approve(made, request.id, CARA, actions=("a",))
        refused = _approve(made, request.id, LEA, actions=("b",))
        assert isinstance(refused, Refused)
        assert refused.field == "actions"
        assert isinstance(_approve(made, request.id, LEA), Granted)

    def test_an_approver_may_change_their_mind_before_the_quorum(self, made: Made) -> None:
        request = made.a_request(DEPLOY)
        _approve(made, request.id, CARA)
        assert _approve(made, request.id, CARA, duration=300) == NeedsApproval((CARA,), 2)
        granted = _approve(made, request.id, LEA)
        assert isinstance(granted, Granted)
        assert granted.grant.duration == 300
        assert made.events("request:vote:given") == 3

    def test_the_terms_of_an_ineligible_approver_do_not_apply(self, made: Made) -> None:
        request = made.a_request(DEPLOY)
        _approve(made, request.id, CARA, duration=60)
        made.set_groups(sre=[DAN])
        _approve(made, request.id, LEA)
        granted = _approve(made, request.id, DAN)
        assert isinstance(granted, Granted)
        assert granted.grant.duration == 3600


OUTSIDERS: dict[str, Person] = {
    "the requester": a_person(ANA),
    "somebody in no group": a_person(DAN),
    "a lead who is no approver": a_person(LEA),
    "a deactivated approver": a_person(BEN, deleted=True),
    "an approver who became a guest": a_person(BEN, guest=True),
    "somebody of another workspace with an approver's id": a_person(BEN, stranger=True),
    "an app": a_person("U0BOT", bot=True),
}


class TestAuthority:
    @pytest.mark.parametrize("who", OUTSIDERS.values(), ids=OUTSIDERS)
    @pytest.mark.parametrize("decide", ["approve", "deny"])
    def test_nobody_else_decides(self, made: Made, who: Person, decide: str) -> None:
        request = made.a_request()
        outcome = (
            approve_request(made.world, request.id, who)
            if decide == "approve"
            else deny_request(made.world, request.id, who, "no")
        )
        assert isinstance(outcome, Refused)
        assert made.state("requests", request.id) == "pending"
        assert made.log("request:action:refused", "actor, subject, request") == [
            (who.id, ANA, request.id)
        ]

    @pytest.mark.parametrize(
        "approvers",
        [
            '["@db-leads"]',
            f'["{ANA}", "{BEN}"]',
            '["u0ana@example.com", "@db-leads"]',
            '["@engineers", "@db-leads"]',
        ],
        ids=["by group", "by id", "by address", "by either of two groups"],
    )
    def test_the_requester_never_decides_in_any_way(self, made: Made, approvers: str) -> None:
        made.set_groups(db_leads=[ANA, BEN], platform_leads=[ANA])
        made.set_policy(shop_admin=f"approvers = {approvers}")
        request = made.a_request()
        assert isinstance(_approve(made, request.id, ANA), Refused)
        assert isinstance(deny_request(made.world, request.id, a_person(ANA), "no"), Refused)

    def test_the_command_line_decides(self, made: Made) -> None:
        assert isinstance(_approve(made, made.a_request().id, "os:root"), Granted)

    def test_an_approver_who_was_removed_meanwhile_decides_nothing(self, made: Made) -> None:
        request = made.a_request()
        made.set_groups(db_leads=[CARA])
        assert isinstance(_approve(made, request.id, BEN), Refused)
        assert isinstance(_approve(made, request.id, CARA), Granted)

    def test_a_requester_who_became_ineligible_gets_nothing(self, made: Made) -> None:
        request = made.a_request(DEPLOY)
        made.set_groups(engineers=[BEN])
        assert isinstance(_approve(made, request.id, CARA), Refused)

    def test_nothing_is_approved_while_the_panic_switch_is_on(self, made: Made) -> None:
        request = made.a_request()
        panic(made.world, LEA, role="shop-admin")
        refused = _approve(made, request.id, BEN)
        assert isinstance(refused, Refused)
        assert "`access-bot resume --role shop-admin`" in refused.reason


CHANGES = {
    "other actions": 'actions = ["orders:read", "orders:refund", "orders:delete"]',
    "another system": 'system = "reports"',
    "more approvals": "approvals = 2",
}


class TestRoleChanged:
    @pytest.mark.parametrize("lines", CHANGES.values(), ids=CHANGES)
    def test_a_request_whose_role_gives_something_else_now_is_not_approved(
        self, made: Made, lines: str
    ) -> None:
        request = made.a_request()
        made.set_policy(shop_admin=lines)
        refused = _approve(made, request.id, BEN)
        assert isinstance(refused, Refused)
        assert "was changed in roles.toml" in refused.reason
        assert isinstance(deny_request(made.world, request.id, a_person(BEN), "ask again"), Denied)

    def test_a_request_whose_role_gives_the_same_is_approved(self, made: Made) -> None:
        request = made.a_request()
        made.set_policy(shop_admin='title = "Other words"\nmax_duration = "2h"')
        assert isinstance(_approve(made, request.id, BEN), Granted)

    def test_a_request_without_the_ticket_that_is_asked_for_now_is_not_approved(
        self, made: Made
    ) -> None:
        request = made.a_request()
        made.set_policy(shop_admin="ticket = '^INC-[0-9]+$'")
        refused = _approve(made, request.id, BEN)
        assert isinstance(refused, Refused) and refused.field == "ticket"

    def test_a_request_for_a_removed_role_is_not_approved(self, made: Made) -> None:
        request = made.a_request()
        policy = made.policies[-1]
        roles = {name: role for name, role in policy.roles.items() if name != "shop-admin"}
        made.policies.append(replace(policy, roles=roles))
        refused = _approve(made, request.id, BEN)
        assert isinstance(refused, Refused)
        assert "no longer in roles.toml" in refused.reason


class TestDenial:
    @pytest.mark.parametrize("reason", ["", "  \n", "…!?", "x" * 3001, "no\x00", "no \ud83d"])
    def test_needs_a_reason_that_can_be_stored(self, made: Made, reason: str) -> None:
        request = made.a_request()
        outcome = deny_request(made.world, request.id, a_person(BEN), reason)
        assert isinstance(outcome, Refused)
        assert outcome.field == "reason"
        assert made.state("requests", request.id) == "pending"

    def test_is_stored_word_for_word_and_sent(self, made: Made) -> None:
        request = made.a_request()
        deny_request(made.world, request.id, a_person(BEN), "fix: *later* <@U0ANA>")
        assert made.log("request:denial:given", "actor, subject, reason") == [
            (BEN, ANA, "fix: *later* <@U0ANA>")
        ]
        assert made.work()[-2:] == ["update_approval", "notify_person"]


class TestPress:
    def _press(self, made: Made, request: str, by: str = BEN, **more: object) -> object:
        return made.press(request, by, **more)

    def test_is_stored_until_slack_has_identified_the_person(self, made: Made) -> None:
        request = made.a_request()
        assert self._press(made, request.id) == Taken()
        assert made.work()[-1] == "decide"
        assert made.state("requests", request.id) == "pending"

    def test_is_stored_once_however_often_it_is_delivered(self, made: Made) -> None:
        request = made.a_request()
        press = Press(request.id, a_person(BEN), True)

        def act() -> object:
            return do_once(made.world, "envelope", lambda world: submit_vote(world, press))

        found = together(made.world.db, [act] * 6)
        assert sorted(type(outcome).__name__ for outcome in found) == ["Repeated"] * 5 + ["Taken"]
        assert made.work().count("decide") == 1

    def test_of_an_unknown_person_is_stored(self, made: Made) -> None:
        request = made.a_request()
        assert self._press(made, request.id, "U0NEW") == Taken()

    @pytest.mark.parametrize("by", [ANA, CARA], ids=["the requester", "no approver"])
    def test_of_an_ineligible_person_is_refused_at_once(self, made: Made, by: str) -> None:
        request = made.a_request()
        assert isinstance(self._press(made, request.id, by), Refused)
        assert "decide" not in made.work()

    def test_on_a_decided_request_says_so(self, made: Made) -> None:
        grant = made.a_grant()
        assert isinstance(self._press(made, grant.request), AlreadyDecided)

    def test_on_a_copy_stores_the_copy(self, made: Made) -> None:
        request = made.a_request()
        self._press(made, request.id, channel="C1", ts="1.2")
        assert made.rows("SELECT channel, ts FROM messages") == [("C1", "1.2")]


def test_a_decided_request_is_described_without_decision_facts(made: Made) -> None:
    request = made.a_request()
    pending = describe_request(made.world, request.id)
    assert pending and pending.criteria and pending.usual_duration is None and pending.need == 1
    deny_request(made.world, request.id, a_person(BEN), "not today")
    decided = describe_request(made.world, request.id)
    assert decided and decided.request.state is RequestState.DENIED
    assert (decided.deciders, decided.criteria, decided.past) == (pending.deciders, (), ())
