"""Requesting a role: what is stored, what is refused and why, and requests that exist already."""

from __future__ import annotations

import pytest

from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.operations.grants.panic import panic, resume
from bot.operations.idempotency import Repeated, do_once
from bot.operations.requests.lapse_due import lapse_due
from bot.operations.requests.request_access import (
    AlreadyHeld,
    AlreadyPending,
    Outcome,
    Submitted,
    request_access,
)
from bot.operations.requests.withdraw_request import Withdrawn, withdraw_request
from tests.concurrency import together
from tests.factories import ANA, BEN, LEA, START, Made, a_person


def _ask(
    made: Made, role: str = "shop-admin", person: str = ANA, reason: str = "because", **more: object
) -> Outcome:
    return request_access(made.world, Ask(person, role, reason, **more))  # type: ignore[arg-type]


class TestStored:
    def test_a_request_leaves_a_record_a_message_and_a_deadline(self, made: Made) -> None:
        made.wakes.clear()
        asked = _ask(made, reason="fix: prod outage")
        assert isinstance(asked, Submitted)
        assert made.log(
            "request:access:asked", 'actor, subject, role, system, request, "grant", reason'
        ) == [(ANA, ANA, "shop-admin", "shop-admin", asked.request.id, "", "fix: prod outage")]
        assert made.work()[-1] == "post_approval"
        assert made.wakes == [(frozenset({"slack"}), START + 8 * 3600)]

    def test_a_repeated_payload_makes_one_request(self, made: Made) -> None:
        def act() -> object:
            ask = Ask(ANA, "shop-admin", "because")
            return do_once(made.world, "envelope 1", lambda world: request_access(world, ask))

        found = together(made.world.db, [act] * 6)
        assert sorted(type(outcome).__name__ for outcome in found) == ["Repeated"] * 5 + [
            "Submitted"
        ]
        assert isinstance(act(), Repeated)

    def test_many_at_once_leave_one_pending_request(self, made: Made) -> None:
        found = together(made.world.db, [lambda: _ask(made)] * 8)
        assert sorted(type(outcome).__name__ for outcome in found) == ["AlreadyPending"] * 7 + [
            "Submitted"
        ]
        assert made.count("requests") == 1

    def test_another_role_may_be_pending_beside_it(self, made: Made) -> None:
        _ask(made)
        assert isinstance(_ask(made, "reports-read", ticket="OPS-1"), Submitted)

    def test_a_pending_request_or_a_held_grant_is_named_instead(self, made: Made) -> None:
        first = _ask(made)
        assert isinstance(first, Submitted)
        assert _ask(made) == AlreadyPending(first.request)
        grant = made.start(made.a_started(first.request))
        assert _ask(made) == AlreadyHeld(grant)

    def test_a_request_approved_at_the_same_moment_is_not_repeated(self, made: Made) -> None:
        request = made.a_request()
        _, again = together(made.world.db, [lambda: made.a_started(request), lambda: _ask(made)])
        assert isinstance(again, AlreadyPending | AlreadyHeld)


LONG = "r" * 3001
REFUSALS: dict[str, tuple[dict[str, object], str, str]] = {
    "an unknown role": ({"role": "shop-admim"}, "role", "Did you mean shop-admin?"),
    "a role like no other": ({"role": "xyz"}, "role", "/access roles"),
    "a very long role": ({"role": "r" * 5000}, "role", "There is no role"),
    "a role with NUL": ({"role": "shop\x00"}, "role", "There is no role"),
    "no reason": ({"reason": ""}, "reason", "Say why"),
    "a reason of dots": ({"reason": " … "}, "reason", "Say why"),
    "a reason too long": ({"reason": LONG}, "reason", "3,001 characters; 3,000"),
    "a reason with NUL": ({"reason": "fix\x00"}, "reason", "type it"),
    "half a character": ({"reason": "fix \ud83d"}, "reason", "type it"),
    "too long": ({"duration": 99 * 3600}, "duration", "at most 4h"),
    "no time": ({"duration": 0}, "duration", "at most"),
    "negative": ({"duration": -3600}, "duration", "at most"),
    "a ticket too long": ({"ticket": "T" * 201}, "ticket", "at most 200"),
    "a ticket with NUL": ({"ticket": "OPS\x00"}, "ticket", "can be read"),
    "no ticket where one is needed": ({"role": "reports-read"}, "ticket", "it is missing"),
    "a ticket that does not match": (
        {"role": "reports-read", "ticket": "ops 1"},
        "ticket",
        "does not match",
    ),
    "a start in the past": ({"start_at": START - 1}, "start", "in the past"),
    "a start too far ahead": ({"start_at": START + 31 * 86400}, "start", "30d ahead"),
    "not among the requesters": (
        {"role": "shop-deploy", "person": LEA},
        "role",
        "only for @engineers",
    ),
    "nobody else could approve": ({"person": BEN}, "", "no one but you"),
    "a stranger": ({"person": "U0NOBODY"}, "role", "other workspaces"),
}


class TestRefused:
    @pytest.mark.parametrize(("asked", "field", "why"), REFUSALS.values(), ids=REFUSALS)
    def test_says_why_and_is_recorded(
        self, made: Made, asked: dict[str, object], field: str, why: str
    ) -> None:
        outcome = _ask(made, **asked)  # type: ignore[arg-type]
        assert isinstance(outcome, Refused)
        assert (outcome.field, why in outcome.reason) == (field, True), outcome
        assert made.events("request:action:refused") == 1
        assert made.count("requests") == 0
        assert made.verdict().broken is None

    @pytest.mark.parametrize("kind", ["deleted", "bot", "guest", "stranger", "unconfirmed"])
    def test_only_full_members_request(self, made: Made, kind: str) -> None:
        made.know(a_person("U0ODD", **{kind: True}))
        assert isinstance(_ask(made, person="U0ODD"), Refused)

    def test_a_role_without_a_possible_approver_is_reported_to_security(self, made: Made) -> None:
        made.set_groups(db_leads=[])
        made.forget_work()
        assert isinstance(_ask(made), Refused)
        assert made.work() == ["notify_security"]

    def test_too_few_possible_approvers_are_refused(self, made: Made) -> None:
        made.set_groups(sre=[], platform_leads=[LEA])
        outcome = _ask(made, "shop-deploy")
        assert isinstance(outcome, Refused)
        assert "needs 2 approvals, but only 1" in outcome.reason

    @pytest.mark.parametrize(
        "switch",
        [{}, {"role": "shop-admin"}, {"person": ANA}],
        ids=["everything", "the role", "the person"],
    )
    def test_no_request_is_made_during_a_panic(self, made: Made, switch: dict[str, str]) -> None:
        panic(made.world, LEA, **switch)
        outcome = _ask(made)
        assert isinstance(outcome, Refused)
        assert "resume" in outcome.reason
        assert resume(made.world, LEA, **switch)
        assert isinstance(_ask(made), Submitted)


class TestClosed:
    def test_the_requester_withdraws(self, made: Made) -> None:
        request = made.a_request()
        assert isinstance(withdraw_request(made.world, request.id, ANA), Withdrawn)
        assert made.log("request:access:withdrawn", "actor, request") == [(ANA, request.id)]
        assert made.work()[-1] == "update_approval"
        assert isinstance(_ask(made), Submitted)

    @pytest.mark.parametrize("by", [BEN, LEA], ids=["an approver", "a lead"])
    def test_nobody_else_does(self, made: Made, by: str) -> None:
        request = made.a_request()
        assert isinstance(withdraw_request(made.world, request.id, by), Refused)
        assert made.state("requests", request.id) == "pending"

    def test_a_decided_request_is_not_withdrawn(self, made: Made) -> None:
        grant = made.a_grant()
        assert isinstance(withdraw_request(made.world, grant.request, ANA), Refused)

    def test_an_unanswered_request_lapses_on_time_and_not_before(self, made: Made) -> None:
        request = made.a_request()
        made.clock.at = request.lapses_at - 1
        assert lapse_due(made.world) == 0
        made.clock.at = request.lapses_at
        assert (lapse_due(made.world), lapse_due(made.world)) == (1, 0)
        assert made.state("requests", request.id) == "lapsed"
        assert made.log("request:access:lapsed", "actor, subject") == [("system", ANA)]
        assert made.work()[-2:] == ["update_approval", "notify_person"]

    def test_more_than_a_batch_lapses_at_once(self, made: Made) -> None:
        people = [f"U0N{n}" for n in range(130)]
        made.know(*(a_person(id) for id in people))
        for person in people:
            made.a_request(person=person)
        made.clock.at += 9 * 3600
        assert sum(together(made.world.db, [lambda: lapse_due(made.world)] * 3)) == 130
        assert made.events("request:access:lapsed") == 130
