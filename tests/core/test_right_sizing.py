"""Suggestions for roles.toml: when each is made, and that its lines make a valid file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.core.feedback import Feedback
from bot.core.model import Directory, EndReason, Grant, GrantState, Request, RequestState, Urgency
from bot.core.right_sizing import (
    Change,
    RoleFacts,
    Suggestion,
    longer_default,
    requesters_who_never_asked,
    rule_instead_of_people,
    shorter_default,
    suggestions,
    unused_actions,
    unused_role,
)
from bot.core.roles import Role
from bot.core.rules import AutoApproval, Emergency, Tier
from bot.core.usage import GrantUsage
from tests.builders import a_policy

HOUR, DAY, AT = 3600, 86400, 1_790_000_000
UTC = ZoneInfo("UTC")
ROLE = replace(a_policy(shop_admin='default_duration = "4h"').roles["shop-admin"])
BEFORE = ("everyone",)


def asked(n: int, **changes: Any) -> Request:
    # Fmt: skip.
    request = Request(
        f"r{n}",
        f"U{n % 3}",
        ROLE.name,
        ROLE.systems,
        ROLE.actions,
        "f",
        HOUR,
        "why",
        "",
        None,
        RequestState.APPROVED,
        AT + n * DAY,
        AT,
        decided_at=AT + n * DAY,
        decided_by="U9",
    )
    return replace(request, **changes)


def given(n: int, **changes: Any) -> Grant:
    start = AT + n * DAY
    # Fmt: skip.
    grant = Grant(
        f"g{n}",
        f"r{n}",
        f"U{n % 3}",
        ROLE.name,
        ROLE.systems,
        ROLE.actions,
        GrantState.ENDED,
        HOUR,
        start,
        start + HOUR,
        start + DAY,
        started_at=start,
        end_reason=EndReason.EXPIRED,
        ended_at=start + HOUR,
    )
    return replace(grant, **changes)


def facts(count: int = 0, role: Role = ROLE, **more: Any) -> RoleFacts:
    made = {
        "asked": [asked(n) for n in range(count)],
        "given": [given(n) for n in range(count)],
        "requesters_before": BEFORE,
    }
    return RoleFacts(role, **{**made, **more})


def use(seconds: Sequence[int | None]) -> dict[str, GrantUsage]:
    """The use of grants whose last use was so long after their start; None for no use."""
    return {
        f"g{n}": GrantUsage() if last is None else GrantUsage(1, last=AT + n * DAY + last)
        for n, last in enumerate(seconds)
    }


def answers(*given: Feedback) -> dict[str, Feedback]:
    return {f"g{n}": answer for n, answer in enumerate(given)}


# --- a role that nobody uses


SILENT = {f"g{n}": GrantUsage(silent=("shop-admin",)) for n in range(10)}
UNUSED = {
    "nobody asked": (facts(), "Nobody requested it or had it in 90 days."),
    "it is new": (facts(requesters_before=None), None),
    "somebody asked in vain": (facts(asked=[asked(1)]), None),
    "it is for emergencies": (
        facts(role=replace(ROLE, emergency=Emergency(("@sre",), HOUR))),
        None,
    ),
    "ten grants without use": (facts(10, used=use([None] * 10)), "It had 10 grants in 90 days"),
    "nine grants without use": (facts(9, used=use([None] * 9)), None),
    "one of them was used": (facts(10, used=use([None] * 9 + [60])), None),
    "nobody knows of its use": (facts(10, used=SILENT), None),
    "but all holders did not need it": (
        facts(10, used=SILENT, feedback=answers(*[Feedback.UNNEEDED] * 10)),
        "It had 10 grants in 90 days",
    ),
    "one is active": (
        facts(10, used=use([None] * 10), given=[*facts(10).given, given(11, state="active")]),
        None,
    ),
}


@pytest.mark.parametrize(("about", "why"), UNUSED.values(), ids=UNUSED)
def test_a_role_that_nobody_uses(about: RoleFacts, why: str | None) -> None:
    found = unused_role(replace(about, bundles=("backend",)))
    assert (found is not None) == (why is not None)
    if found is not None:
        assert why in found.why
        assert "# Delete [roles.shop-admin]" in found.toml
        assert "[bundles.backend]" in found.toml


def test_a_role_that_nobody_uses_gets_no_other_suggestion() -> None:
    idle = facts(10, used=use([None] * 10), feedback=answers(*[Feedback.UNNEEDED] * 10))
    found = suggestions([idle, facts(12, used=use([60] * 12))], Directory(), UTC)
    assert [each.change for each in found] == [Change.UNUSED_ROLE, Change.SHORTER]


# --- actions that were never used

WIDE = replace(ROLE, systems=("a", "b"), actions=("read", "write"))
SPLIT = replace(WIDE, system_actions={"a": ("read",), "b": ("write",)})


def wide(count: int = 10, role: Role = WIDE, **more: Any) -> RoleFacts:
    both = {"systems": ("a", "b"), "actions": ("read", "write")}
    made = {
        "asked": [asked(n, **both) for n in range(count)],
        "given": [given(n, **both) for n in range(count)],
        "used_on": [("g1", "a")],
        "reporting": {"a", "b"},
    }
    return facts(role=role, **{**made, **more})


def narrowed(count: int, of: int = 10) -> list[Grant]:
    """Grants of which an approver left `write` out of so many."""
    return [
        given(n, systems=("a", "b"), actions=("read",) if n < count else ("read", "write"))
        for n in range(of)
    ]


NEVER = {
    "one system was never used": (wide(), '[roles.shop-admin]\nsystems = ["a"]'),
    "where actions differ by system": (
        wide(role=SPLIT),
        '[roles.shop-admin]\nsystems = ["a"]\n\n[roles.shop-admin.actions]\na = ["read"]',
    ),
    "it does not report use": (wide(reporting={"a"}), None),
    "nine grants had it": (wide(9), None),
    "no system was used": (wide(used_on=[]), None),
    "both were used": (wide(used_on=[("g1", "a"), ("g2", "b")]), None),
    "an action was always left out": (
        wide(given=narrowed(10), reporting=()),
        '[roles.shop-admin]\nactions = ["read"]',
    ),
    "and once given": (wide(given=narrowed(10, 11), reporting=()), None),
    "left out nine times": (wide(9, given=narrowed(9, 9), reporting=()), None),
}


@pytest.mark.parametrize(("about", "toml"), NEVER.values(), ids=NEVER)
def test_actions_that_were_never_used(about: RoleFacts, toml: str | None) -> None:
    found = unused_actions(about)
    assert (found.toml if found else None) == toml


# --- requesters who never asked

DIRECTORY = Directory(
    groups={"@web": frozenset({"U0", "U1"}), "@old": frozenset({"U7"})},
    answered=frozenset({"@web", "@old"}),
)
LISTED = replace(ROLE, requesters=("@web", "@old", "U8", "U2"))
IDLE = {
    "some never asked": (LISTED, {}, ["@web", "U2"]),
    "one was added lately": (
        LISTED,
        {"requesters_before": ("@web", "U8", "U2")},
        ["@web", "@old", "U2"],
    ),
    "the role is new": (LISTED, {"requesters_before": None}, None),
    "nine requests": (LISTED, {"asked": [asked(n) for n in range(9)]}, None),
    "a group is unknown": (replace(LISTED, requesters=("@web", "@x")), {}, None),
    "everyone may": (ROLE, {}, None),
    "all asked": (replace(LISTED, requesters=("@web", "U2")), {}, None),
    "nobody would be left": (replace(LISTED, requesters=("@old", "U8")), {}, None),
}


@pytest.mark.parametrize(("role", "more", "left"), IDLE.values(), ids=IDLE)
def test_requesters_who_never_asked(
    role: Role, more: dict[str, Any], left: list[str] | None
) -> None:
    about = {"requesters_before": (*role.requesters,), **more}
    found = requesters_who_never_asked(facts(10, role, **about), DIRECTORY)
    parsed = tomllib.loads(found.toml)["roles"][ROLE.name]["requesters"] if found else None
    assert parsed == left


# --- the default duration

MINUTES = {
    "nine of ten needed 20 minutes": ([1200] * 9 + [9000], {}, 1800),
    "two of ten needed more": ([1200] * 8 + [9000] * 2, {}, None),
    "half the default is enough": ([2 * HOUR] * 10, {}, 2 * HOUR),
    "a little more than half": ([2 * HOUR + 1] * 10, {}, None),
    "nine are known": ([1200] * 9 + [None], {}, None),
    "two holders needed more": (
        [1200] * 10,
        {"feedback": answers(Feedback.MORE, Feedback.MORE, *[Feedback.USED] * 8)},
        None,
    ),
    "one of ten needed more": (
        [1200] * 10,
        {"feedback": answers(Feedback.MORE, *[Feedback.USED] * 9)},
        1800,
    ),
    "one did not need it": ([1200] * 10, {"feedback": answers(Feedback.UNNEEDED)}, None),
    "emergencies": (
        [1200] * 10,
        {"given": [given(n, urgency=Urgency.EMERGENCY) for n in range(10)]},
        None,
    ),
}


@pytest.mark.parametrize(("seconds", "more", "expected"), MINUTES.values(), ids=MINUTES)
def test_a_shorter_default(
    seconds: list[int | None], more: dict[str, Any], expected: int | None
) -> None:
    assert default_of(shorter_default(facts(10, used=use(seconds), **more))) == expected


def test_an_early_return_says_what_was_needed_where_use_is_not_reported() -> None:
    back = {"end_reason": EndReason.RELEASED}
    returned = [given(n, ended_at=AT + n * DAY + 600, **back) for n in range(10)]
    assert default_of(shorter_default(facts(10, given=returned, used=SILENT))) == 900
    assert shorter_default(facts(10, used=SILENT)) is None, "what expired was maybe needed"


MORE, USED = Feedback.MORE, Feedback.USED
LONGER = {
    "three of five needed more": (ROLE, [MORE] * 3 + [USED] * 2, None),
    "and the maximum allows it": (
        replace(ROLE, max_duration=24 * HOUR),
        [MORE] * 3 + [USED] * 2,
        6 * HOUR,
    ),
    "up to the maximum": (replace(ROLE, max_duration=5 * HOUR), [MORE] * 5, 5 * HOUR),
    "two of five": (replace(ROLE, max_duration=24 * HOUR), [MORE] * 2 + [USED] * 3, None),
    "four answers": (replace(ROLE, max_duration=24 * HOUR), [MORE] * 4, None),
}


@pytest.mark.parametrize(("role", "given_", "expected"), LONGER.values(), ids=LONGER)
def test_a_longer_default(role: Role, given_: list[Feedback], expected: int | None) -> None:
    assert default_of(longer_default(facts(10, role, feedback=answers(*given_)))) == expected


def default_of(found: Suggestion | None) -> int | None:
    if found is None:
        return None
    match = re.fullmatch(
        r'\[roles\.shop-admin\]\ndefault_duration = "(?:(\d+)h)?(?:(\d+)m)?"', found.toml
    )
    assert match is not None, found.toml
    return int(match[1] or 0) * HOUR + int(match[2] or 0) * 60


# --- a rule in the place of people


def approvals(count: int, **changes: Any) -> dict[str, Any]:
    """So many requests, two a day of three people in turn, and the changes of the last one."""
    every = [asked(n, created_at=AT + n * DAY // 2) for n in range(count)]
    every[-1] = replace(every[-1], **changes)
    return {"asked": every, "given": [given(n) for n in range(count)]}


RULES = {
    "fifty of fifty": (ROLE, approvals(50), True),
    "forty-nine": (ROLE, approvals(49), False),
    "one denial": (ROLE, approvals(51, state=RequestState.DENIED), False),
    "one by a rule": (ROLE, approvals(50, decided_by="rule:on call"), False),
    "one in advance": (ROLE, approvals(50) | {"in_advance": {"r1"}}, False),
    "one renewal": (ROLE, approvals(50, renews="g1"), False),
    "one pending": (ROLE, approvals(50, state=RequestState.PENDING), False),
    "one lapsed beside fifty": (ROLE, approvals(51, state=RequestState.LAPSED), True),
    "one was shortened": (ROLE, approvals(51, duration=2 * HOUR), False),
    "one was narrowed": (ROLE, approvals(51, actions=(*ROLE.actions, "more")), False),
    "a medium risk": (replace(ROLE, risk="medium"), approvals(60), False),
    "two approvals": (replace(ROLE, approvals=2), approvals(60), False),
    "tiers": (replace(ROLE, tiers=(Tier("lead", ("U9",), 1),)), approvals(60), False),
    "it is suggested and copied": (
        replace(ROLE, auto_approve=(AutoApproval("approved every time", max_duration=HOUR),)),
        approvals(60),
        False,
    ),
}


@pytest.mark.parametrize(("role", "about", "is_suggested"), RULES.values(), ids=RULES)
def test_a_rule_that_could_decide(role: Role, about: dict[str, Any], is_suggested: bool) -> None:
    found = rule_instead_of_people(facts(role=role, **about), UTC)
    assert (found is not None) == is_suggested
    if found is not None:
        assert "50 of 50" in found.why
        (rule,) = tomllib.loads(found.toml)["roles"][role.name]["auto_approve"]
        assert rule == {"name": "approved every time", "max_duration": "1h", "quota": "5/week"}


# --- the lines to copy


def copied(toml: str) -> Role:
    """The role after its suggested keys took the place of its own."""
    head, _, keys = toml.partition("\n")
    return a_policy(shop_admin=toml if head.startswith("[[") else keys).roles["shop-admin"]


def test_the_lines_make_a_valid_file() -> None:
    shorter = shorter_default(facts(10, used=use([1200] * 10)))
    listed = replace(ROLE, requesters=("@web", "@old"))
    fewer = requesters_who_never_asked(
        facts(10, listed, requesters_before=("@web", "@old")), DIRECTORY
    )
    rule = rule_instead_of_people(facts(**approvals(50)), UTC)
    assert shorter and fewer and rule
    assert copied(shorter.toml).default_duration == 1800
    assert copied(fewer.toml).requesters == ("@web",)
    assert copied(rule.toml).auto_approve[0].max_duration == HOUR
