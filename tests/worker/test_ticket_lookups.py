"""Tickets on their way through the worker, against a real ticket system: a request and a press wait
for the look-up, and access ends with its ticket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from bot.core.effects import Queue
from bot.core.eligibility import Ask
from bot.core.errors import SystemUnavailable
from bot.core.model import EndReason, GrantState
from bot.core.rules import Tickets
from bot.core.tickets import LOOK_UP_AGAIN, WATCH_EVERY, TicketAnswer
from bot.operations.grants.start_due import start_due
from bot.operations.requests.accept_vote import Press, submit_vote
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.request_access import Waiting, request_access
from bot.worker.ticket_lookups import TicketLookups
from tests.connectors.raw_server import RawServer, read_request
from tests.factories import BEN, CARA, GROUPS, Made, a_person
from tests.first_look import Slack, Start

ROLE = 'ticket = "^[A-Z]+-[0-9]+$"\n'
TABLE = '[tickets]\nkind = "webhook"\nurl = "{}"\ntoken = "s3cret"\nends_access = true\n'


@dataclass
class TicketSystem:
    """A ticket system: every ticket is `state`, and `asked` has each that was looked up."""

    state: str = "open"
    asked: list[str] = field(default_factory=list)

    def serve(self, line: socket.socket, over: threading.Event) -> None:
        self.asked.append(json.loads(read_request(line).partition(b"\r\n\r\n")[2])["ticket"])
        said = {"found": self.state != "gone", "open": self.state == "open"}
        body = json.dumps(said).encode()
        status = b"500 Oops" if self.state == "broken" else b"200 OK"
        line.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


@pytest.fixture
def tickets(made: Made) -> Iterator[TicketSystem]:
    found = TicketSystem()
    server = RawServer(found.serve)
    made.set_policy(shop_admin=ROLE + TABLE.format(server.url))
    yield found
    server.close()


@pytest.fixture
def start(made: Made, tickets: TicketSystem) -> Start:
    return Start(made, Slack(dict(GROUPS)))


def pending(made: Made) -> list[str]:
    return [str(id) for (id,) in made.rows("SELECT id FROM requests WHERE state = 'pending'")]


def test_a_request_waits_for_its_ticket_and_is_made_then(
    start: Start, tickets: TicketSystem
) -> None:
    assert isinstance(start.ask(), Waiting)
    start.work()
    (request,) = pending(start.made)
    assert tickets.asked == ["OPS-1"]
    card = describe_request(start.made.world, request)
    assert card is not None
    assert [each.text for each in card.criteria if each.name == "ticket"] == [
        "the ticket was found and open"
    ]


@pytest.mark.parametrize(("state", "words"), [("closed", "is closed"), ("gone", "There is no")])
def test_a_ticket_that_does_not_do_is_refused_with_the_reason(
    start: Start, tickets: TicketSystem, state: str, words: str
) -> None:
    tickets.state = state
    start.ask()
    start.work()
    assert pending(start.made) == []
    assert words in json.dumps(start.sent_to("refused"))


def test_what_cannot_be_looked_up_is_asked_of_people(start: Start, tickets: TicketSystem) -> None:
    tickets.state = "broken"
    start.ask()
    start.work()
    (request,) = pending(start.made)
    card = describe_request(start.made.world, request)
    assert card is not None
    (found,) = [each for each in card.criteria if each.name == "ticket"]
    assert found.text == "the ticket could not be looked up: 127.0.0.1 answered 500"


def test_it_is_looked_up_again_at_the_decision(start: Start, tickets: TicketSystem) -> None:
    start.ask()
    start.work()
    (request,) = pending(start.made)
    start.made.clock.at += LOOK_UP_AGAIN + 1
    tickets.state = "closed"
    submit_vote(start.made.world, Press(request, a_person(BEN), approve=True))
    start.work()
    assert tickets.asked == ["OPS-1", "OPS-1"]
    assert pending(start.made) == [request]
    assert "is closed" in json.dumps(start.sent_to("refused"))


def test_it_is_looked_up_again_before_a_start_that_a_rule_approved(
    made: Made, tickets: TicketSystem
) -> None:
    rule = '[[roles.shop-admin.auto_approve]]\nname = "short"\nticket = true\n'
    made.set_policy(shop_admin=ROLE + rule + TABLE.format(made.world.policy().tickets.url))  # type: ignore[union-attr]
    start = Start(made, Slack(dict(GROUPS)))
    start.ask(start_at=made.clock.at + 3600)
    start.work()
    ((grant,),) = made.rows("SELECT id FROM grants WHERE state = 'scheduled'")
    tickets.state = "closed"
    made.clock.at += 3600
    made.resolve()
    start_due(made.world)
    start.delivery.drain(Queue.START)
    assert tickets.asked == ["OPS-1", "OPS-1"]
    assert (made.grant(grant).state, made.events("grant:access:started")) == ("ending", 0)


def test_within_a_minute_it_is_not_looked_up_again(start: Start, tickets: TicketSystem) -> None:
    start.ask()
    start.work()
    (request,) = pending(start.made)
    submit_vote(start.made.world, Press(request, a_person(BEN), approve=True))
    start.work()
    assert tickets.asked == ["OPS-1"]


def test_access_ends_with_its_ticket(made: Made, tickets: TicketSystem) -> None:
    looker = TicketLookups(made.world)
    looker.look_up_for("shop-admin", "OPS-1")
    grant = made.a_grant()
    looker.watch()
    assert made.grant(grant.id).state is GrantState.ACTIVE
    tickets.state = "closed"
    looker.watch()
    assert made.grant(grant.id).state is GrantState.ACTIVE  # five minutes are not over
    made.clock.at += WATCH_EVERY
    TicketLookups(made.another_process()).watch()
    found = made.grant(grant.id)
    assert (found.state, found.end_reason) == (GrantState.ENDING, EndReason.REVOKED)


@pytest.mark.parametrize("state", ["broken", "gone"])
def test_what_is_unknown_ends_no_access(made: Made, tickets: TicketSystem, state: str) -> None:
    looker = TicketLookups(made.world)
    looker.look_up_for("shop-admin", "OPS-1")
    grant = made.a_grant()
    tickets.state = state
    for _ in range(3):
        made.clock.at += WATCH_EVERY
        looker.watch()
    assert len(tickets.asked) == 4
    assert made.grant(grant.id).state is GrantState.ACTIVE


def test_a_log_line_has_the_ticket_s_id_and_no_secret(
    made: Made, tickets: TicketSystem, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(tickets: Tickets, ticket: str) -> TicketAnswer:
        raise SystemUnavailable("127.0.0.1 answered 500")

    TicketLookups(made.world, fails).look_up_for("shop-admin", "OPS-1")
    assert caplog.messages == ["the ticket OPS-1 could not be looked up: 127.0.0.1 answered 500"]


def test_a_ticket_of_another_form_is_not_looked_up(made: Made, tickets: TicketSystem) -> None:
    TicketLookups(made.world).look_up_for("shop-admin", "../OPS-1")
    request_access(made.world, Ask(CARA, "shop-admin", "because", 3600, "../OPS-1"))
    assert tickets.asked == []
