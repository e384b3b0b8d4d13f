"""The valid actions of each kind of system."""

from __future__ import annotations

import pytest

from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.core.errors import ConfigError
from tests.builders import ENVIRON, SYSTEMS, policy_text

ROLE = 'requesters = ["everyone"]\napprovers = ["@sre"]\n'
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
def test_a_possible_name_is_accepted(kind: str, action: str) -> None:
    assert KINDS[kind].wrong_action(action) == ""


@pytest.mark.parametrize(("kind", "action"), WRONG)
def test_an_impossible_name_is_an_error_and_shown_cleaned(kind: str, action: str) -> None:
    said = KINDS[kind].wrong_action(action)
    assert " is not " in said and said.isprintable()


@pytest.mark.parametrize("action", ["SELECT ON orders", "orders:read"])
def test_systems_whose_actions_mean_different_things_need_actions_of_their_own(action: str) -> None:
    database = (
        SYSTEMS
        + '\n[systems.orders-db]\nconnector = "postgres"\nurl = "postgresql://bot@db/orders"\n'
    )
    both = f'systems = ["shop-admin", "orders-db"]\nactions = ["{action}"]'
    with pytest.raises(ConfigError) as caught:
        parse_policy(policy_text(systems=database, both=ROLE + both), "roles.toml", ENVIRON, KINDS)
    first, last = sorted(caught.value.problems, key=lambda problem: problem.key)[::-1]
    assert first.key == "roles.both.actions[0]" and " is not " in first.text
    assert last.key == "roles.both.actions"
    assert (
        last.text
        == "are for every system of the role, and these are gateway and postgres: give them for"
        " each system"
    )
