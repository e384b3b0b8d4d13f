"""What a recorded request comes to under another roles.toml."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.model import Directory
from bot.core.policy_replay import PastRequest, Replayed, Result, replayed
from tests.builders import a_policy
from tests.factories import ANA, START, a_person

HOUR = 3600
RULE = '\n[[roles.shop-admin.auto_approve]]\nname = "short"\n{}\n'
NOW = Directory(groups={"@db-leads": frozenset({"U0BEN", ANA})}, answered=frozenset({"@none"}))
FACTS: dict[str, Any] = {"groups": ["@sre"], "on_call": {"backend": True}}
PAST = PastRequest(
    "r1", START, a_person(ANA), "shop-admin", HOUR, "", FACTS, frozenset({"@sre", "@db-leads"})
)
TICKETED = 'ticket = "^OPS-[0-9]+$"'

CASES: dict[str, tuple[str, dict[str, Any], Replayed]] = {
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
        Replayed(Result.UNKNOWN, "its record has no facts about the requester"),
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
    "an open emergency stops rules": (
        RULE.format('members = ["@sre"]'),
        {"facts": {**FACTS, "emergency": True}},
        Replayed(Result.WAITS),
    ),
}


@pytest.mark.parametrize(("role", "changes", "expected"), CASES.values(), ids=CASES)
def test_a_request_comes_to(role: str, changes: dict[str, Any], expected: Replayed) -> None:
    assert replayed(a_policy(shop_admin=role), replace(PAST, **changes), NOW, {}) == expected


def test_a_role_whose_only_approver_asked_has_nobody() -> None:
    found = replayed(a_policy(shop_admin='approvers = ["U0ANA"]'), PAST, NOW, {})
    assert found.result is Result.NOBODY


def test_a_quota_counts_what_this_replay_approved() -> None:
    policy = a_policy(shop_admin=RULE.format('quota = "1/week"'))
    results = [replayed(policy, PAST, NOW, {"short": used}).result for used in (0, 1)]
    assert results == [Result.GRANTED, Result.WAITS]
