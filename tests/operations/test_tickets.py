"""Tickets in requests, decisions and active access: what was found counts, what is unknown does
not, and a ticket that is closed ends access where roles.toml says so."""

from __future__ import annotations

import json

import pytest

from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.core.model import EndReason, GrantState
from bot.core.tickets import LOOK_UP_AGAIN, WATCH_EVERY, TicketAnswer
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.request_access import (
    GrantedAtOnce,
    Outcome,
    Submitted,
    Waiting,
    request_access,
)
from bot.operations.tickets.end_closed import claim_watch, end_closed
from bot.operations.tickets.record_ticket import record_ticket
from tests.factories import ANA, BEN, CARA, Made, a_person

ROLE = 'ticket = "^[A-Z]+-[0-9]+$"\n'
RULE = '[[roles.shop-admin.auto_approve]]\nname = "open ticket"\nticket = true\n'
TABLE = '[tickets]\nkind = "jira"\nurl = "https://acme.atlassian.net"\ntoken = "s3cret:x"\n'
OPEN = TicketAnswer(True, True, ("u0cara@example.com",))
CLOSED = TicketAnswer(True, False)
MISSING = TicketAnswer(False)
MINE = "assignee = true\n"


def policy(made: Made, *, rule: bool = False, more: str = "") -> None:
    made.set_policy(shop_admin=ROLE + (RULE if rule else "") + TABLE + more)


def look_up(made: Made, answer: TicketAnswer | str, ticket: str = "OPS-1") -> None:
    tickets = made.world.policy().tickets
    assert tickets is not None
    record_ticket(made.world, tickets, ticket, answer, made.clock.at)


def ask(made: Made, person: str = CARA, ticket: str = "OPS-1") -> Outcome:
    return request_access(made.world, Ask(person, "shop-admin", "because", 3600, ticket))


class TestAsked:
    def test_a_request_waits_until_its_ticket_was_looked_up(self, made: Made) -> None:
        policy(made)
        assert isinstance(ask(made), Waiting)
        look_up(made, OPEN)
        assert isinstance(ask(made), Submitted)

    def test_an_old_answer_is_asked_for_again(self, made: Made) -> None:
        policy(made)
        look_up(made, OPEN)
        made.clock.at += LOOK_UP_AGAIN + 1
        assert isinstance(ask(made), Waiting)

    def test_an_answer_of_another_ticket_system_says_nothing(self, made: Made) -> None:
        policy(made)
        look_up(made, OPEN)
        made.set_policy(shop_admin=ROLE + TABLE.replace("acme", "other"))
        assert isinstance(ask(made), Waiting)

    def test_an_answer_about_another_ticket_says_nothing(self, made: Made) -> None:
        policy(made)
        look_up(made, OPEN, "OPS-2")
        assert isinstance(ask(made), Waiting)

    @pytest.mark.parametrize(
        ("answer", "more", "words"),
        [
            (MISSING, "", "There is no ticket “OPS-1”"),
            (CLOSED, "", "The ticket “OPS-1” is closed"),
            (CLOSED, "open = false\n" + MINE, "The ticket “OPS-1” is not assigned to"),
            (TicketAnswer(True, True), MINE, "The ticket “OPS-1” is not assigned to"),
        ],
        ids=["missing", "closed", "closed and nobody's", "nobody's"],
    )
    def test_a_ticket_that_does_not_do_is_refused_with_the_reason(
        self, made: Made, answer: TicketAnswer, more: str, words: str
    ) -> None:
        policy(made, more=more)
        look_up(made, answer)
        refused = ask(made)
        assert isinstance(refused, Refused) and refused.reason.startswith(words)
        assert refused.field == "ticket"
        ((_, why),) = made.log("request:action:refused", "actor, detail")
        assert json.loads(why)["why"] == refused.reason

    def test_a_ticket_that_does_not_match_is_not_looked_up(self, made: Made) -> None:
        policy(made)
        assert isinstance(ask(made, ticket="../x"), Refused)

    def test_a_closed_ticket_may_do(self, made: Made) -> None:
        policy(made, more="open = false\n")
        look_up(made, CLOSED)
        assert isinstance(ask(made), Submitted)

    def test_the_requester_s_own_ticket_does(self, made: Made) -> None:
        policy(made, more=MINE)
        look_up(made, OPEN)
        assert isinstance(ask(made), Submitted)
        assert isinstance(ask(made, ANA), Refused)


class TestRules:
    def test_a_closed_ticket_is_never_enough(self, made: Made) -> None:
        policy(made, rule=True, more="open = false\n")
        look_up(made, CLOSED)
        assert isinstance(ask(made), Submitted)

    def test_an_open_ticket_is_approved_at_once(self, made: Made) -> None:
        policy(made, rule=True)
        look_up(made, OPEN)
        assert isinstance(ask(made), GrantedAtOnce)

    def test_what_could_not_be_checked_waits_for_a_person(self, made: Made) -> None:
        policy(made, rule=True)
        look_up(made, "acme.atlassian.net answered 500")
        asked = ask(made)
        assert isinstance(asked, Submitted)
        assert isinstance(approve_request(made.world, asked.request.id, a_person(BEN)), Granted)


class TestDecided:
    def asked(self, made: Made) -> str:
        policy(made)
        look_up(made, OPEN)
        asked = ask(made)
        assert isinstance(asked, Submitted)
        made.clock.at += 600
        return asked.request.id

    def test_a_ticket_that_was_closed_meanwhile_is_refused(self, made: Made) -> None:
        request = self.asked(made)
        look_up(made, CLOSED)
        outcome = approve_request(made.world, request, a_person(BEN))
        assert isinstance(outcome, Refused)
        assert outcome.reason.startswith("The ticket “OPS-1” is closed")
        assert made.state("requests", request) == "pending"

    def test_what_cannot_be_checked_any_more_may_be_decided_and_is_on_record(
        self, made: Made
    ) -> None:
        request = self.asked(made)
        look_up(made, "acme.atlassian.net answered 500")
        assert isinstance(approve_request(made.world, request, a_person(BEN)), Granted)
        ((detail,),) = made.log("request:approval:given", "detail")
        assert any("could not be looked up" in each for each in json.loads(detail)["changed"])


class TestEndsAccess:
    def held(self, made: Made, more: str = "ends_access = true\n") -> str:
        policy(made, rule=True, more=more)
        look_up(made, OPEN)
        asked = ask(made)
        assert isinstance(asked, GrantedAtOnce)
        return made.start(asked.grant).id

    def test_one_process_looks_every_five_minutes(self, made: Made) -> None:
        self.held(made)
        assert claim_watch(made.world) == ["OPS-1"]
        assert claim_watch(made.another_process()) == []
        made.clock.at += WATCH_EVERY
        assert claim_watch(made.world) == ["OPS-1"]

    def test_a_closed_ticket_ends_access_once_and_says_why(self, made: Made) -> None:
        grant = self.held(made)
        look_up(made, CLOSED)
        assert (end_closed(made.world), end_closed(made.another_process())) == (1, 0)
        found = made.grant(grant)
        assert (found.state, found.end_reason) == (GrantState.ENDING, EndReason.REVOKED)
        ((actor, detail),) = made.log("grant:end:asked", "actor, detail")
        assert (actor, json.loads(detail)["because"]) == ("system", "its ticket OPS-1 was closed")

    @pytest.mark.parametrize(
        "answer", [OPEN, MISSING, "acme.atlassian.net answered 500"], ids=["open", "gone", "error"]
    )
    def test_nothing_else_ends_access(self, made: Made, answer: TicketAnswer | str) -> None:
        grant = self.held(made)
        look_up(made, answer)
        assert end_closed(made.world) == 0
        assert made.grant(grant).state is GrantState.ACTIVE

    def test_an_old_answer_ends_nothing(self, made: Made) -> None:
        grant = self.held(made)
        look_up(made, CLOSED)
        made.clock.at += WATCH_EVERY + 1
        assert end_closed(made.world) == 0
        assert made.grant(grant).state is GrantState.ACTIVE

    def test_where_roles_toml_does_not_say_so_nothing_is_looked_at(self, made: Made) -> None:
        self.held(made, more="")
        look_up(made, CLOSED)
        assert (claim_watch(made.world), end_closed(made.world)) == ([], 0)
