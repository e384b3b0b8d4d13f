"""Each criterion of a request, with its reason as text; which auto-approval rule holds; which
denial rule holds."""

from dataclasses import replace
from datetime import datetime
from json import dumps, loads
from zoneinfo import ZoneInfo

import pytest

from bot.core.criteria import (
    Asked,
    Facts,
    TicketFacts,
    Verdict,
    changes,
    from_record,
    judge,
    on_record,
)
from bot.core.model import Directory
from bot.core.roles import Role
from bot.core.rules import AutoApproval, DenyRule, Quota, Tickets
from bot.core.working_hours import parse_hours
from tests.builders import a_policy
from tests.factories import a_person

MET, NOT, UNKNOWN = Verdict.MET, Verdict.NOT_MET, Verdict.UNKNOWN
BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = int(datetime(2026, 11, 23, 10, 0, tzinfo=BERLIN).timestamp())
HOUR = 3600
ANN = a_person("U0ANN", email="Ann@Example.com")
KNOWN = Directory(
    groups={"@oncall": frozenset({"U0ANN"}), "@sre": frozenset({"U0BEN"})},
    answered=frozenset({"@oncall", "@sre", "@gone"}),
    missing=frozenset({"@gone"}),
)
FACTS = Facts(MONDAY, BERLIN, KNOWN)
TICKETS = Tickets("jira", "https://acme.example.com")
FOUND = TicketFacts("OPS-1", MONDAY, found=True, is_open=True, assignee="ann@example.com")


def a_role(**changes: object) -> Role:
    role = a_policy().roles["shop-admin"]
    return replace(role, max_duration=4 * HOUR, requesters=("everyone",), **changes)  # type: ignore[arg-type]


def asked(**changes: object) -> Asked:
    return replace(Asked(ANN, HOUR), **changes)  # type: ignore[arg-type]


def verdict_of(role: Role, ask: Asked, facts: Facts, name: str) -> tuple[Verdict, str]:
    (one,) = [each for each in judge(role, ask, facts).criteria if each.name == name]
    return one.verdict, one.text


TICKETED = a_role(ticket="^OPS-[0-9]+$", is_ticket=lambda text: text.startswith("OPS-"))
OF_ROLES = {
    "the maximum": (a_role(), {}, {}, "maximum", MET, "1h is within the role's maximum, 4h"),
    "beyond the maximum": (
        a_role(),
        {"duration": 5 * HOUR},
        {},
        "maximum",
        NOT,
        "5h, the role's maximum gives at most 4h",
    ),
    "everyone": (a_role(), {}, {}, "eligible", MET, "may ask for this role"),
    "a guest": (
        a_role(),
        {"person": replace(ANN, guest=True)},
        {},
        "eligible",
        NOT,
        "may not ask for this role",
    ),
    "changed since": (
        a_role(),
        {"fingerprint": "another"},
        {},
        "unchanged",
        NOT,
        "the role was changed since it was requested",
    ),
    "no denial": (
        a_role(deny=(DenyRule("sre", ("@sre",)),)),
        {},
        {},
        "deny",
        MET,
        "no denial rule holds",
    ),
    "a denial": (
        a_role(deny=(DenyRule("duty", ("@oncall",)),)),
        {},
        {},
        "deny",
        NOT,
        "the rule “duty” denies it",
    ),
    "a ticket of another shape": (
        TICKETED,
        {"ticket": "x"},
        {"tickets": TICKETS, "ticket": FOUND},
        "ticket",
        NOT,
        "the ticket does not match the role's pattern",
    ),
    "a ticket where none are looked up": (
        TICKETED,
        {"ticket": "OPS-1"},
        {},
        "ticket",
        MET,
        "the ticket matches the role's pattern",
    ),
    "a ticket that was found": (
        TICKETED,
        {"ticket": "OPS-1"},
        {"tickets": TICKETS, "ticket": FOUND},
        "ticket",
        MET,
        "the ticket was found and open",
    ),
    "a ticket that was not looked up": (
        TICKETED,
        {"ticket": "OPS-1"},
        {"tickets": TICKETS},
        "ticket",
        UNKNOWN,
        "the ticket was not looked up",
    ),
    "another ticket that was found": (
        TICKETED,
        {"ticket": "OPS-2"},
        {"tickets": TICKETS, "ticket": FOUND},
        "ticket",
        UNKNOWN,
        "the ticket was not looked up",
    ),
    "a ticket system that does not answer": (
        TICKETED,
        {"ticket": "OPS-1"},
        {"tickets": TICKETS, "ticket": replace(FOUND, error="no answer within 2s")},
        "ticket",
        UNKNOWN,
        "the ticket could not be looked up: no answer within 2s",
    ),
    "no such ticket": (
        TICKETED,
        {"ticket": "OPS-1"},
        {"tickets": TICKETS, "ticket": replace(FOUND, found=False)},
        "ticket",
        NOT,
        "there is no such ticket",
    ),
    "a closed ticket": (
        TICKETED,
        {"ticket": "OPS-1"},
        {"tickets": TICKETS, "ticket": replace(FOUND, is_open=False)},
        "ticket",
        NOT,
        "the ticket is closed",
    ),
    "a closed ticket where that is fine": (
        TICKETED,
        {"ticket": "OPS-1"},
        {
            "tickets": replace(TICKETS, must_be_open=False),
            "ticket": replace(FOUND, is_open=False),
        },
        "ticket",
        MET,
        "the ticket was found",
    ),
    "somebody else's ticket": (
        TICKETED,
        {"ticket": "OPS-1"},
        {
            "tickets": replace(TICKETS, must_be_assigned=True),
            "ticket": replace(FOUND, assignee="ben@example.com"),
        },
        "ticket",
        NOT,
        "the ticket is not assigned to the requester",
    ),
    "a ticket of nobody, and a person without an address": (
        TICKETED,
        {"ticket": "OPS-1", "person": replace(ANN, email="")},
        {
            "tickets": replace(TICKETS, must_be_assigned=True),
            "ticket": replace(FOUND, assignee=""),
        },
        "ticket",
        NOT,
        "the ticket is not assigned to the requester",
    ),
}


@pytest.mark.parametrize(
    ("role", "ask", "facts", "name", "verdict", "text"), OF_ROLES.values(), ids=OF_ROLES
)
def test_a_criterion_of_the_role(
    role: Role, ask: dict[str, object], facts: dict[str, object], name: str, verdict: Verdict,
    text: str,
) -> None:  # fmt: skip
    known = replace(FACTS, **facts)  # type: ignore[arg-type]
    assert verdict_of(role, asked(**ask), known, name) == (verdict, text)


SHORT = {"max_duration": 1800}
OF_RULES = {
    "short enough": ({"max_duration": HOUR}, {}, "rule_maximum", MET, "1h is within “r”, 1h"),
    "too long": (SHORT, {}, "rule_maximum", NOT, "1h, “r” gives at most 30m"),
    "a member": ({"members": ("@oncall",)}, {}, "members", MET, "is in @oncall"),
    "no member": ({"members": ("@sre",)}, {}, "members", NOT, "is not in @sre"),
    "a group that Slack has not given": (
        {"members": ("@new",)},
        {},
        "members",
        UNKNOWN,
        "Slack has not said who is in @new",
    ),
    "on call": (
        {"on_call": "backend"},
        {"on_call": {"backend": frozenset({"U0ANN"})}},
        "on_call",
        MET,
        "is on call for backend now",
    ),
    "not on call": (
        {"on_call": "backend"},
        {"on_call": {"backend": frozenset({"U0BEN"})}},
        "on_call",
        NOT,
        "is not on call for backend now",
    ),
    "a calendar that could not be read": (
        {"on_call": "backend"},
        {},
        "on_call",
        UNKNOWN,
        "who is on call for backend could not be read",
    ),
    "inside the hours": (
        {"hours": parse_hours("Mon-Fri 08:00-19:00")},
        {},
        "hours",
        MET,
        "inside the hours Mon-Fri 08:00-19:00",
    ),
    "outside the hours": (
        {"hours": parse_hours("Tue 08:00-19:00")},
        {},
        "hours",
        NOT,
        "outside the hours Tue 08:00-19:00",
    ),
    "something left": (
        {"quota": Quota(3, "week")},
        {"used": {"r": 2}},
        "quota",
        MET,
        "2 of 3 used this week",
    ),
    "nothing left": (
        {"quota": Quota(3, "week")},
        {"used": {"r": 3}},
        "quota",
        NOT,
        "3 of 3 used this week",
    ),
}


@pytest.mark.parametrize(
    ("rule", "facts", "name", "verdict", "text"), OF_RULES.values(), ids=OF_RULES
)
def test_a_criterion_of_a_rule_decides_whether_the_rule_holds(
    rule: dict[str, object], facts: dict[str, object], name: str, verdict: Verdict, text: str
) -> None:
    made = AutoApproval("r", **rule)  # type: ignore[arg-type]
    role, known = a_role(auto_approve=(made,)), replace(FACTS, **facts)  # type: ignore[arg-type]
    assert verdict_of(role, asked(), known, name) == (verdict, text)
    assert judge(role, asked(), known).rule == (made if verdict is MET else None)


def test_no_rule_holds_where_the_role_itself_says_no() -> None:
    role = a_role(auto_approve=(AutoApproval("r", ("@oncall",)),))
    assert judge(role, asked(), FACTS).rule is not None
    assert judge(role, asked(duration=5 * HOUR), FACTS).rule is None
    assert judge(replace(role, requesters=("@sre",)), asked(), FACTS).rule is None
    denied = judge(replace(role, deny=(DenyRule("d", ("everyone",)),)), asked(), FACTS)
    assert denied.rule is None and denied.denied is not None


def test_a_rule_without_conditions_would_approve_nothing_that_the_role_refuses() -> None:
    role = a_role(auto_approve=(AutoApproval("r"),))
    assert judge(role, asked(duration=5 * HOUR), FACTS).rule is None


def test_the_rule_that_is_nearest_to_hold_is_shown() -> None:
    far = AutoApproval("far", ("@sre",), max_duration=60)
    near = AutoApproval("near", ("@oncall",), max_duration=60)
    found = judge(a_role(auto_approve=(far, near)), asked(), FACTS)
    assert (found.rule, found.nearest) == (None, near)
    assert [each.name for each in found.criteria if not each.met] == ["rule_maximum"]


DENIALS = {
    "a member": (DenyRule("d", ("@oncall",)), True),
    "no member": (DenyRule("d", ("@sre",)), False),
    "everyone": (DenyRule("d", ("everyone",)), True),
    "inside its hours": (DenyRule("d", (), parse_hours("Mon 09:00-11:00")), True),
    "outside its hours": (DenyRule("d", (), parse_hours("Mon 11:00-12:00")), False),
    "a member outside its hours": (
        DenyRule("d", ("@oncall",), parse_hours("Mon 11:00-12:00")),
        False,
    ),
    "nobody knows who is in its group": (DenyRule("d", ("@new",)), True),
    "its group was deleted": (DenyRule("d", ("@sre", "@gone")), True),
    "its group was deleted, outside its hours": (
        DenyRule("d", ("@gone",), parse_hours("Mon 11:00-12:00")),
        False,
    ),
}


@pytest.mark.parametrize(("rule", "holds"), DENIALS.values(), ids=DENIALS)
def test_a_denial_rule_holds_when_all_its_conditions_do(rule: DenyRule, holds: bool) -> None:
    found = judge(a_role(deny=(rule,)), asked(), FACTS)
    assert (found.denied is not None) is holds


def test_a_denial_rule_more_never_lets_anybody_in() -> None:
    rules = (DenyRule("a", ("@sre",)), DenyRule("b", ("@oncall",)), DenyRule("c", ("everyone",)))
    for count in range(len(rules)):
        fewer = judge(a_role(deny=rules[:count]), asked(), FACTS).denied
        more = judge(a_role(deny=rules[: count + 1]), asked(), FACTS).denied
        assert fewer is None or more is not None


def test_a_rule_less_never_approves_more() -> None:
    rules = (
        AutoApproval("a", ("@sre",)),
        AutoApproval("b", ("@oncall",), max_duration=60),
        AutoApproval("c", ("@oncall",), quota=Quota(1, "day")),
    )
    for some in (rules[:count] for count in range(len(rules) + 1)):
        for used in ({}, {"c": 1}):
            known = replace(FACTS, used=used)
            if judge(a_role(auto_approve=some), asked(), known).rule is not None:
                assert judge(a_role(auto_approve=rules), asked(), known).rule is not None


def test_one_condition_more_never_approves_more() -> None:
    for wider, narrower in (
        (AutoApproval("r", ("@oncall",)), AutoApproval("r", ("@oncall",), max_duration=60)),
        (AutoApproval("r", max_duration=HOUR), AutoApproval("r", ("@sre",), max_duration=HOUR)),
        (AutoApproval("r", ("@sre",)), AutoApproval("r", ("@sre",), quota=Quota(3, "week"))),
    ):
        if judge(a_role(auto_approve=(narrower,)), asked(), FACTS).rule is not None:
            assert judge(a_role(auto_approve=(wider,)), asked(), FACTS).rule is not None


def test_an_open_emergency_holds_back_every_rule_and_nothing_else() -> None:
    role = a_role(auto_approve=(AutoApproval("r", ("@oncall",)),))
    found = judge(role, asked(), replace(FACTS, has_emergency=True))
    assert found.rule is None
    assert [each.text for each in found.criteria if not each.met] == [
        "an emergency of this person is open"
    ]


def test_criteria_come_back_from_the_record_as_they_were() -> None:
    role = a_role(auto_approve=(AutoApproval("r", ("@sre",), quota=Quota(1, "day")),))
    criteria = judge(role, asked(), FACTS).criteria
    assert from_record(loads(dumps(on_record(criteria)))) == criteria


def test_what_has_changed_is_said_with_what_was_before() -> None:
    role = a_role(deny=(DenyRule("d", ("@sre",)),))
    before = judge(role, asked(), FACTS).criteria
    now = judge(replace(role, deny=(DenyRule("d", ("@oncall",)),)), asked(), FACTS).criteria
    assert changes(before, now) == ("the rule “d” denies it; before: no denial rule holds",)
    assert changes(before, before) == ()
    assert changes((), now) == ("the rule “d” denies it",)
