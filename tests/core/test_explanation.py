"""Explanations of a role and of a request made now, with the reasons as text."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.core.approval import Refused
from bot.core.criteria import Asked, Facts, Verdict, judge
from bot.core.explanation import Known, Would, for_person, points
from bot.core.model import Delegation, Directory
from bot.core.roles import Role
from bot.core.rules import AutoApproval, DenyRule, Emergency, Escalation, Parameter, Quota, Tier
from bot.core.working_hours import parse_hours
from tests.builders import a_policy
from tests.factories import a_person

HOUR = 3600
BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = int(datetime(2026, 11, 23, 10, 0, tzinfo=BERLIN).timestamp())
ANN = a_person("U0ANN")
KNOWN = Directory(
    groups={"@db-leads": frozenset({"U0ANN", "U0BEN"}), "@sre": frozenset({"U0ANN"})},
    answered=frozenset({"@db-leads", "@sre"}),
)
FACTS = Facts(MONDAY, BERLIN, KNOWN)
RULE = AutoApproval("short", ("@sre",))
NOTHING = Known()


def a_role(**changes: Any) -> Role:
    role = a_policy().roles["shop-admin"]
    return replace(role, default_duration=HOUR, max_duration=4 * HOUR, **changes)


CASES: dict[str, tuple[Role, Facts, Known, Would, str]] = {
    "people decide": (
        a_role(),
        FACTS,
        NOTHING,
        Would.WAITS,
        "It waits for 1 approval; 1 person can give one.",
    ),
    "the only approver is the requester": (
        a_role(approvers=("U0ANN",)),
        FACTS,
        NOTHING,
        Would.REFUSED,
        "A request is refused. Nobody can approve shop-admin right now: its approvers (U0ANN) are"
        " no one but you, or no one at all. Ask a lead to correct that.",
    ),
    "tiers decide": (
        a_role(tiers=(Tier("lead", ("@db-leads",), 1), Tier("security", ("U0CARA", "U0DAN"), 2))),
        FACTS,
        NOTHING,
        Would.WAITS,
        "It waits for each tier in order: “lead” (1 of 1 person), then “security” (2 of 2 people).",
    ),
    "who decides is unknown": (
        a_role(approvers=("@other",)),
        FACTS,
        NOTHING,
        Would.UNKNOWN,
        "It is not known who may decide: @other.",
    ),
    "who may ask is unknown": (
        a_role(requesters=("@other",)),
        FACTS,
        NOTHING,
        Would.UNKNOWN,
        "It is not known who may ask. Slack has to say who is in the groups.",
    ),
    "not among the requesters": (
        a_role(requesters=("U0BEN",)),
        FACTS,
        NOTHING,
        Would.REFUSED,
        "A request is refused: this person may not ask for the role.",
    ),
    "a rule approves it": (
        a_role(auto_approve=(RULE,)),
        FACTS,
        NOTHING,
        Would.GRANTED,
        "The rule “short” approves it at once.",
    ),
    "a rule would approve a shorter one": (
        a_role(auto_approve=(replace(RULE, max_duration=HOUR // 2),)),
        FACTS,
        NOTHING,
        Would.WAITS,
        "It waits for 1 approval; 1 person can give one. The rule “short” approves a"
        " request for 30m at once.",
    ),
    "a rule would approve it with a ticket": (
        a_role(auto_approve=(replace(RULE, ticket=True),)),
        FACTS,
        NOTHING,
        Would.WAITS,
        "It waits for 1 approval; 1 person can give one. The rule “short” approves a"
        " request with the right ticket at once.",
    ),
    "the quota of the rule is used up": (
        a_role(auto_approve=(replace(RULE, quota=Quota(1, "week")),)),
        replace(FACTS, used={"short": 1}),
        NOTHING,
        Would.WAITS,
        "It waits for 1 approval; 1 person can give one.",
    ),
    "approved in advance": (
        a_role(),
        FACTS,
        Known(in_advance=True),
        Would.GRANTED,
        "It was approved in advance, so nobody has to decide.",
    ),
    "the panic switch goes before a rule": (
        a_role(auto_approve=(RULE,)),
        FACTS,
        Known(Refused("All access is stopped.")),
        Would.REFUSED,
        "A request is refused. All access is stopped.",
    ),
}


@pytest.mark.parametrize(("role", "facts", "known", "would", "text"), CASES.values(), ids=CASES)
def test_what_would_happen(role: Role, facts: Facts, known: Known, would: Would, text: str) -> None:
    found = for_person(role, ANN, facts, known)
    assert (found.would, found.text) == (would, text)


def test_every_criterion_is_the_one_that_a_request_gets() -> None:
    role = a_role(auto_approve=(RULE,), deny=(DenyRule("no", ("U0BEN",)),))
    found = for_person(role, ANN, FACTS, NOTHING)
    asked = judge(role, Asked(ANN, HOUR), FACTS)
    assert (*found.criteria, *found.rules[0].conditions) == asked.criteria


def test_every_rule_is_shown_and_not_only_the_nearest() -> None:
    other = AutoApproval("nights", hours=parse_hours("Mon-Fri 20:00-24:00"))
    found = for_person(a_role(auto_approve=(RULE, other)), ANN, FACTS, NOTHING)
    assert [(rule.name, rule.holds) for rule in found.rules] == [("short", True), ("nights", False)]


def test_a_ticket_is_not_called_wrong_before_there_is_one() -> None:
    role = a_role(ticket="^OPS-1$", is_ticket=lambda text: text == "OPS-1")
    (ticket,) = (c for c in for_person(role, ANN, FACTS, NOTHING).criteria if c.name == "ticket")
    assert (ticket.verdict, ticket.text) == (
        Verdict.UNKNOWN,
        "depends on the ticket of the request",
    )


def test_a_delegate_of_an_absent_approver_is_named_until_they_are_back() -> None:
    away = Delegation("U0BEN", "U0DAN", MONDAY, MONDAY + HOUR)
    over = Delegation("U0BEN", "U0DAN", MONDAY, MONDAY)
    other = Delegation("U0CARA", "U0DAN", MONDAY, MONDAY + HOUR)
    facts = replace(FACTS, directory=replace(KNOWN, delegations=(away, over, other)))
    assert for_person(a_role(), ANN, facts, NOTHING).absent == (away,)


def test_groups_that_could_not_be_checked_are_named() -> None:
    role = a_role(requesters=("everyone",), approvers=("@db-leads", "@other"))
    assert for_person(role, ANN, FACTS, NOTHING).unchecked == ("@other",)


def test_a_role_says_everything_that_it_has() -> None:
    role = a_role(
        deny=(DenyRule("contractors", ("@ext",), parse_hours("Sat 10:00-12:00"), "Not these."),),
        auto_approve=(replace(RULE, max_duration=HOUR),),
        tiers=(Tier("lead", ("@db-leads",), 1), Tier("security", ("@sre",), 2)),
        escalation=Escalation(1800, ("@sre",)),
        emergency=Emergency(("@sre",), HOUR),
        ticket="^OPS",
        parameters=(Parameter("customer", "^[0-9]+$"),),
        renewal_quota=Quota(5, "week"),
    )
    assert [(each.topic, each.text) for each in points(role, list)] == [
        ("Who may ask", "everyone"),
        ("Never", "@ext in Sat 10:00-12:00, by the rule “contractors”: Not these."),
        ("Approved at once", "by the rule “short”: @sre; at most 1h"),
        ("Tier 1", "“lead”, 1 of @db-leads"),
        ("Tier 2", "“security”, 2 of @sre"),
        ("Unanswered", "a request lapses after 8h"),
        ("Escalation", "after 30m also @sre may decide"),
        ("How long", "1h if not asked otherwise, at most 4h"),
        (
            "Renewal",
            "twice without a new approval (5/week per person), then with one, at most 12h in all",
        ),
        ("Ticket", "one that matches ^OPS"),
        ("Parameter customer", "like ^[0-9]+$"),
        ("Emergency", "@sre, for at most 1h"),
        ("Risk", "low"),
    ]
