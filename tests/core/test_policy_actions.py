"""What an action may look like, by the kind of system that it is for."""

from __future__ import annotations

import pytest

from bot.core.policy_actions import ACTIONS

ARN = "arn:aws:sso:::permissionSet/ssoins-1234567890abcdef/ps-1234567890abcdef"
GOOD = [
    ("aws", "Prod+Operator"),
    ("aws", ARN),
    ("github", "deployers"),
    ("github", "on-call_2"),
    ("kubernetes", "view"),
    ("kubernetes", "system:node.x"),
]
WRONG = [
    ("aws", "a" * 33),
    ("aws", "Prod Operator"),
    ("aws", ARN.replace("ps-", "xx-")),
    ("github", "Deployers"),
    ("github", "acme/deployers"),
    ("github", ".."),
    ("github", "a" * 101),
    ("kubernetes", "a/b"),
    ("kubernetes", ".."),
    ("kubernetes", "a%2fb"),
    ("kubernetes", "a b"),
    ("kubernetes", "a\x00b"),
]


@pytest.mark.parametrize(("kind", "action"), GOOD)
def test_a_name_that_the_system_could_have_is_taken(kind: str, action: str) -> None:
    assert ACTIONS[kind](action) == ""


@pytest.mark.parametrize(("kind", "action"), WRONG)
def test_a_name_that_it_could_not_is_wrong_and_shown_cleanly(kind: str, action: str) -> None:
    said = ACTIONS[kind](action)
    assert " is not " in said and said.isprintable()
