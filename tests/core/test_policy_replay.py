"""The outcome of a recorded request under another roles.toml, and the meaning of the difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.authority import Authority
from bot.core.criteria import Renewals
from bot.core.model import Directory
from bot.core.policy_replay import (
    Comparer,
    Effect,
    Kind,
    PastRequest,
    Replay,
    Replayed,
    Result,
)
from bot.core.written_policy import Written, is_same, read_written
from tests.builders import a_policy
from tests.factories import ANA, START, a_person

HOUR = 3600
RULE = '\n[[roles.shop-admin.auto_approve]]\nname = "short"\n{}\n'
DENIAL = '\n[[roles.shop-admin.deny]]\nname = "not now"\nreason = "r"\n{}\n'
NOW = Authority(
    Directory(groups={"@db-leads": frozenset({"U0BEN", ANA})}, answered=frozenset({"@none"})),
    START,
)
FACTS: dict[str, Any] = {"groups": ["@sre"], "on_call": {"backend": True}}
DUTY = {"backend": {"group": "@backend-on-call"}}
THEN = Written(frozenset({"@sre", "@db-leads"}), DUTY)
PAST = PastRequest("r1", START, a_person(ANA), "shop-admin", HOUR, "", FACTS, THEN)
TICKETED = 'ticket = "^OPS-[0-9]+$"'
LOOKED_UP = {"kind": "jira", "url": "https://jira.example.com", "token": "${JIRA}"}

RENEWAL = {"kind": Kind.RENEWAL, "renewals": Renewals(2)}
EMERGENCY = '\n[roles.shop-admin.emergency]\nmembers = ["{}"]\nmax_duration = "1h"\n'
BUNDLE = """
[bundles.new]
title = "New"
max = "30d"
[[bundles.new.stages]]
after = "0d"
roles = ["shop-admin"]
duration = "2h"
"""
STAGE = {"kind": Kind.STAGE, "bundle": "new"}

CUSTOMER = """actions = ["a:{customer}"]
[roles.shop-admin.parameters]
customer = "^[0-9]+$"
"""

CASES: dict[str, tuple[str, dict[str, Any], Replayed]] = {
    "a value that matches": (CUSTOMER, {"parameters": {"customer": "1"}}, Replayed(Result.WAITS)),
    "a value that does not match": (
        CUSTOMER,
        {"parameters": {"customer": "x"}},
        Replayed(Result.REFUSED, "shop-admin needs customer, like ^[0-9]+$; “x” does not match."),
    ),
    "a renewal within the budget": (
        "max_renewals = 3",
        RENEWAL,
        Replayed(Result.GRANTED, "a renewal that needs no approval"),
    ),
    "a renewal beyond the budget": ("max_renewals = 2", RENEWAL, Replayed(Result.WAITS)),
    "a renewal where each needs approval": (
        "max_renewals = 3\nrenewal_approval = true",
        RENEWAL,
        Replayed(Result.WAITS),
    ),
    "a renewal of what can't be renewed": (
        "max_renewals = 0",
        RENEWAL,
        Replayed(Result.REFUSED, "the role can't be renewed"),
    ),
    "a renewal of which the log has no number": (
        "max_renewals = 3",
        {"kind": Kind.RENEWAL},
        Replayed(Result.UNKNOWN, "the log does not have the number of renewals before"),
    ),
    "a renewal where a person's renewals were not counted": (
        'max_renewals = 3\nrenewal_quota = "5/week"',
        RENEWAL,
        Replayed(Result.UNKNOWN, "the log does not have the renewals of the person"),
    ),
    "a renewal beyond the quota of the person": (
        'max_renewals = 3\nrenewal_quota = "5/week"',
        {"kind": Kind.RENEWAL, "renewals": Renewals(2, 5), "quota_per": "week"},
        Replayed(Result.WAITS),
    ),
    "a renewal that a rule denies": (
        DENIAL.format('members = ["@sre"]'),
        RENEWAL,
        Replayed(Result.REFUSED, "the rule “not now” denies it"),
    ),
    "an emergency of a member": (
        EMERGENCY.format("@sre"),
        {"kind": Kind.EMERGENCY},
        Replayed(Result.GRANTED, "emergency"),
    ),
    "an emergency of nobody who is a member": (
        EMERGENCY.format("@db-leads"),
        {"kind": Kind.EMERGENCY},
        Replayed(Result.REFUSED, "may not ask for this role"),
    ),
    "an emergency of a group that was unknown then": (
        EMERGENCY.format("@other"),
        {"kind": Kind.EMERGENCY},
        Replayed(Result.UNKNOWN, "Slack has not said who is in @other"),
    ),
    "an emergency of a role without": (
        "",
        {"kind": Kind.EMERGENCY},
        Replayed(Result.REFUSED, "the role has no emergency access"),
    ),
    "an emergency that is longer than they are now": (
        EMERGENCY.format("@sre"),
        {"kind": Kind.EMERGENCY, "duration": 2 * HOUR},
        Replayed(Result.REFUSED, "2h, the role's maximum gives at most 1h"),
    ),
    "a stage that gives it": (BUNDLE, STAGE, Replayed(Result.GRANTED, "onboarding")),
    "a stage of a shorter role": (
        'max_duration = "30m"' + BUNDLE.replace("2h", "30m"),
        STAGE,
        Replayed(Result.GRANTED, "onboarding"),
    ),
    "a stage that is gone": (
        "",
        STAGE,
        Replayed(Result.REFUSED, "the bundle new does not give it"),
    ),
    "a stage for a group that they were not in": (
        'requesters = ["@db-leads"]' + BUNDLE,
        STAGE,
        Replayed(Result.REFUSED, "may not ask for this role"),
    ),
    "people decide": ("", {}, Replayed(Result.WAITS)),
    "a rule for a group of then": (
        RULE.format('members = ["@sre"]'),
        {},
        Replayed(Result.GRANTED, "short"),
    ),
    "a rule for a group that they were not in": (
        RULE.format('members = ["@db-leads"]'),
        {},
        Replayed(Result.WAITS),
    ),
    "a rule for a group that was unknown then": (
        RULE.format('members = ["@other"]'),
        {},
        Replayed(Result.UNKNOWN, "Slack has not said who is in @other"),
    ),
    "a rule for a group of the file that Slack had not answered then": (
        RULE.format('members = ["@db-leads"]'),
        {"facts": {**FACTS, "unknown": ["@db-leads"]}},
        Replayed(Result.UNKNOWN, "Slack has not said who is in @db-leads"),
    ),
    "a rule for a longer time than asked": (
        RULE.format('max_duration = "2h"'),
        {},
        Replayed(Result.GRANTED, "short"),
    ),
    "longer than the maximum": (
        'max_duration = "30m"',
        {},
        Replayed(Result.REFUSED, "1h, the role's maximum gives at most 30m"),
    ),
    "no longer among the requesters": (
        'requesters = ["@db-leads"]',
        {},
        Replayed(Result.REFUSED, "may not ask for this role"),
    ),
    "no such role": ("", {"role": "gone"}, Replayed(Result.REFUSED, "there is no such role")),
    "a record from before": (
        "",
        {"facts": None},
        Replayed(Result.UNKNOWN, "the log does not have facts about the requester"),
    ),
    "a record without the rules of then": (
        "",
        {"then": None},
        Replayed(Result.UNKNOWN, "the log does not have the rules of that time"),
    ),
    "a ticket that does not match": (
        TICKETED,
        {"ticket": "none"},
        Replayed(Result.REFUSED, "the ticket does not match the role's pattern"),
    ),
    "an approver group that nobody looked up": (
        'approvers = ["@new"]',
        {},
        Replayed(Result.UNKNOWN, "it is not known who is in @new"),
    ),
    "a denial rule for a group that was unknown then": (
        DENIAL.format('members = ["@other"]'),
        {},
        Replayed(Result.UNKNOWN, "it is not known whom “not now” denies it"),
    ),
    "a denial rule for a group that they were not in": (
        DENIAL.format('members = ["@db-leads"]'),
        {},
        Replayed(Result.WAITS),
    ),
    "a denial rule that certainly holds, behind one that is not known": (
        DENIAL.format('members = ["@other"]')
        + DENIAL.format('members = ["@sre"]').replace("not now", "never"),
        {},
        Replayed(Result.REFUSED, "the rule “never” denies it"),
    ),
    "a denial rule at the start that was asked for": (
        DENIAL.format('hours = "Tue 00:00-24:00"'),
        {"start_at": START + 86400},
        Replayed(Result.REFUSED, "the rule “not now” denies it"),
    ),
    "an open emergency stops rules": (
        RULE.format('members = ["@sre"]'),
        {"facts": {**FACTS, "emergency": True}},
        Replayed(Result.WAITS),
    ),
    "an e-mail, where the requester's own is not known": (
        RULE.format('members = ["ben@example.com"]'),
        {
            "person": replace(a_person(ANA), email=""),
            "then": replace(THEN, references=frozenset({"ben@example.com"})),
        },
        Replayed(Result.UNKNOWN, "Slack has not said who is in ben@example.com"),
    ),
}


def a_replay(role: str, **written: Any) -> Replay:
    return Replay(a_policy(shop_admin=role), Written(**written), NOW)


@pytest.mark.parametrize(("role", "changes", "expected"), CASES.values(), ids=CASES)
def test_a_request_comes_to(role: str, changes: dict[str, Any], expected: Replayed) -> None:
    assert a_replay(role).of(replace(PAST, **changes)) == expected


def test_a_role_whose_only_approver_asked_has_nobody() -> None:
    assert a_replay('approvers = ["U0ANA"]').of(PAST).result is Result.NOBODY


ON_CALL = RULE.format('on_call = "backend"') + "\n[oncall.backend]\ngroup = {}\n"
DUTIES = {
    "the same duty": ("@backend-on-call", DUTY, Result.GRANTED),
    "another group": ("@other", {"backend": {"group": "@other"}}, Result.UNKNOWN),
}


@pytest.mark.parametrize(("group", "written", "expected"), DUTIES.values(), ids=DUTIES)
def test_on_call_counts_while_the_duty_is_the_same(
    group: str, written: dict[str, Any], expected: Result
) -> None:
    role = ON_CALL.format(f'"{group}"')
    assert a_replay(role, on_call=written).of(PAST).result is expected


TICKET_RULE = TICKETED + RULE.format("ticket = true") + '\n[tickets]\nkind = "jira"\nurl = "{}"\n'
TICKETS = {
    "good then": (LOOKED_UP, (True, START), Result.GRANTED),
    "closed then": (LOOKED_UP, (False, START), Result.REFUSED),
    "looked up too long before": (LOOKED_UP, (True, START - HOUR), Result.UNKNOWN),
    "not looked up": (LOOKED_UP, None, Result.UNKNOWN),
    "looked up elsewhere": ({"kind": "jira", "url": "x"}, (True, START), Result.UNKNOWN),
}


@pytest.mark.parametrize(("then", "looked_up", "expected"), TICKETS.values(), ids=TICKETS)
def test_a_ticket_counts_as_it_was_found(
    then: object, looked_up: tuple[bool, int] | None, expected: Result
) -> None:
    url = "https://jira.example.com"
    past = replace(PAST, ticket="OPS-1", looked_up=looked_up, then=replace(THEN, tickets=then))
    replay = a_replay(TICKET_RULE.replace("{}", url), tickets=LOOKED_UP)
    assert replay.of(past).result is expected


def test_a_quota_counts_what_this_replay_approved_in_its_period() -> None:
    replay = a_replay(RULE.format('quota = "2/week"'))
    times = (0, HOUR, 2 * HOUR, 8 * 86400, 8 * 86400 + HOUR)
    results = [replay.of(replace(PAST, at=START + after)).result for after in times]
    granted = Result.GRANTED
    assert results == [granted, granted, Result.WAITS, granted, granted]


def test_what_the_rules_of_then_asked_about_is_not_kept_for_other_rules() -> None:
    replay = a_replay(RULE.format('members = ["@db-leads"]'))
    other = replace(PAST, then=Written(frozenset({"@sre"}), DUTY))
    results = [replay.of(past).result for past in (PAST, other, PAST)]
    assert results == [Result.WAITS, Result.UNKNOWN, Result.WAITS]


def test_people_who_are_named_do_not_share_a_result_with_others() -> None:
    replay = a_replay(RULE.format('members = ["u0ben@example.com", "U0CARA"]'))
    people = (ANA, "U0BEN", "U0CARA", "U0DAN")
    then = replace(THEN, references=THEN.references | {"u0ben@example.com"})
    past = [replace(PAST, person=a_person(each), then=then) for each in people]
    assert [replay.of(each).result for each in past] == [
        Result.WAITS,
        Result.GRANTED,
        Result.GRANTED,
        Result.WAITS,
    ]


def test_hours_are_those_of_the_request_even_where_all_else_is_equal() -> None:
    replay = a_replay(RULE.format('hours = "Mon 00:00-24:00"'))
    assert [replay.of(replace(PAST, at=START + days * 86400)).result for days in (0, 2)] == [
        Result.GRANTED,
        Result.WAITS,
    ]


EVERYBODY = RULE.format('members = ["@sre"]')
EFFECTS: dict[str, tuple[str, str, dict[str, Any], Effect | None]] = {
    "a new rule": ("", EVERYBODY, {}, Effect.NO_PERSON),
    "a rule less": (EVERYBODY, "", {}, Effect.NEEDS_PERSON),
    "no approver": ("", 'approvers = ["U0ANA"]', {}, Effect.NOBODY),
    "an approver again": ('approvers = ["U0ANA"]', "", {}, Effect.COULD_ASK),
    "a shorter maximum": ("", 'max_duration = "30m"', {}, Effect.REFUSED),
    "a longer maximum": ('max_duration = "30m"', "", {}, Effect.COULD_ASK),
    "a maximum that does not matter": ("", 'max_duration = "3h"', {}, None),
    "a group that is not known": (
        "",
        RULE.format('members = ["@other"]'),
        {},
        Effect.UNKNOWN,
    ),
    "unknown by both": (
        RULE.format('members = ["@other"]'),
        RULE.format('members = ["@another"]'),
        {},
        Effect.UNKNOWN,
    ),
    "no facts, and a role that is the same": ("", "", {"facts": None}, None),
    "no facts, and another role": ("", 'max_duration = "3h"', {"facts": None}, Effect.UNKNOWN),
}


@pytest.mark.parametrize(("old", "new", "changes", "expected"), EFFECTS.values(), ids=EFFECTS)
def test_the_difference_means(
    old: str, new: str, changes: dict[str, Any], expected: Effect | None
) -> None:
    comparer = Comparer(a_replay(old), a_replay(new))
    comparer.add(replace(PAST, **changes), counts=True)
    assert comparer.found.counts == ({expected: 1} if expected else {})
    assert comparer.found.is_unsure == (expected is Effect.UNKNOWN)


def test_a_looser_file_gives_more_without_any_request() -> None:
    assert Comparer(a_replay(""), a_replay('max_duration = "8h"')).found.gives_more


def test_requests_before_the_first_one_only_use_up_quotas() -> None:
    comparer = Comparer(a_replay(""), a_replay(RULE.format('quota = "1/week"')))
    comparer.add(PAST, counts=False)
    comparer.add(replace(PAST, at=START + HOUR), counts=True)
    assert comparer.found.counts == {} and comparer.found.compared == 1


def test_the_references_of_a_text_are_those_that_were_asked_about() -> None:
    text = """
[workspace]
leads = ["@leads"]
[oncall.backend]
group = "@duty"
[roles.a]
requesters = ["everyone", "@a"]
notify = ["@n"]
tiers = [{ approvers = ["@t"] }]
emergency = { members = ["@e"] }
escalation = { approvers = ["@x"] }
[[roles.a.deny]]
members = ["@d"]
[bundles.new]
suggest_for = ["@s"]
"""
    found = read_written(text)
    assert found is not None
    assert found.references == {
        f"@{name}" for name in ("a", "n", "t", "e", "x", "d", "s", "leads", "duty")
    }
    assert read_written("not = toml = ") is None


def test_two_redacted_secrets_are_not_the_same() -> None:
    assert is_same({"ical": "a.ics"}, {"ical": "a.ics"})
    assert not is_same({"ical": "[redacted]"}, {"ical": "[redacted]"})
