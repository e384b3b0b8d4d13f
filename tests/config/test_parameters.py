"""`[roles.NAME.parameters]`: roles whose values could limit nothing, or could not be quoted, are
refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.core.approval import Refused
from bot.core.errors import ConfigError
from bot.core.parameters import bound
from bot.core.policy_changes import changes, summary
from tests.builders import ENVIRON, SYSTEMS, a_policy, policy_text

MORE = """
[systems.orders-db]
connector = "postgres"
url = "postgresql://admin@db.example.com/orders"

[systems.code]
connector = "github"
org = "acme"
token = "x1234567890123456789"
"""
PARAMETERS = '[roles.shop-admin.parameters]\ncustomer = "^[0-9]{1,8}$"\n'

WRONG = {
    "an action without it": ('actions = ["a"]\n' + PARAMETERS, "limit nothing: write {customer}"),
    "an unknown one": (
        'actions = ["{customer}:{custmer}"]\n' + PARAMETERS,
        'not a parameter of the role; did you mean "customer"',
    ),
    "a system that takes none": (
        'system = "code"\nactions = ["team-{customer}"]\n' + PARAMETERS,
        "its system takes none in actions",
    ),
    "a place where PostgreSQL has no name": (
        'system = "orders-db"\nactions = ["{customer} ON TABLE x"]\n' + PARAMETERS,
        "is not a privilege",
    ),
    "values that are never a name": (
        'system = "orders-db"\nactions = ["SELECT ON TABLE {customer}"]\n' + PARAMETERS,
        "with names that need no quotes",
    ),
    "a choice that is no name": (
        'system = "orders-db"\nactions = ["SELECT ON TABLE {table}"]\n'
        '[roles.shop-admin.parameters]\ntable = ["orders", "Invoices"]\n',
        "can't be part of a name",
    ),
    "two kinds of systems": (
        'systems = ["orders-db", "reports"]\nactions = ["USAGE ON SCHEMA x_{customer}"]\n'
        + PARAMETERS,
        "give the actions for each system",
    ),
    "a name in capitals": (
        'actions = ["{customer}"]\n[roles.shop-admin.parameters]\nCustomer = "x"\n',
        "is not a name",
    ),
    "look-around": (
        'actions = ["{customer}"]\n[roles.shop-admin.parameters]\ncustomer = "(?=x)"\n',
        "is not a regular expression",
    ),
    "no choice": (
        'actions = ["{customer}"]\n[roles.shop-admin.parameters]\ncustomer = []\n',
        "1 to 100 different values",
    ),
    "a number": (
        'actions = ["{customer}"]\n[roles.shop-admin.parameters]\ncustomer = [1]\n',
        "values in quotes",
    ),
    "a bundle": (
        'actions = ["a:{customer}"]\n' + PARAMETERS + "[bundles.new]\ntitle = 'New'\n"
        "[[bundles.new.stages]]\nafter = '0d'\nroles = ['shop-admin']\nduration = '1h'\n",
        "put it into may_ask",
    ),
}


@pytest.mark.parametrize(("lines", "words"), WRONG.values(), ids=WRONG)
def test_a_role_with_such_parameters_is_refused(lines: str, words: str) -> None:
    drop = "system = 1\n" if lines.startswith("systems") else ""
    text = policy_text(systems=SYSTEMS + MORE, shop_admin=drop + lines).replace("system = 1\n", "")
    with pytest.raises(ConfigError) as caught:
        parse_policy(text, "roles.toml", ENVIRON, KINDS)
    assert words in str(caught.value)


def test_the_example_of_the_docs_is_valid() -> None:
    page = (Path(__file__).parents[2] / "docs/rules.md").read_text()
    (example,) = re.findall(r"```toml\n(\[roles\.orders-customer\].*?)```", page, re.S)
    people = 'requesters = ["everyone"]\napprovers = ["@db-leads"]'
    systems = SYSTEMS + MORE + re.sub("# … .*", people, example)
    found = bound(
        a_policy(systems=systems).roles["orders-customer"], {"customer": "4711", "table": "orders"}
    )
    assert not isinstance(found, Refused)
    assert found.actions_of("orders-db") == ("SELECT ON TABLE customer_4711.orders",)


def test_braces_without_parameters_stay_as_they_are() -> None:
    assert a_policy(shop_admin='actions = ["{x}"]').roles["shop-admin"].actions == ("{x}",)


def test_another_pattern_is_reported_as_looser() -> None:
    lines = 'actions = ["a:{customer}"]\n' + PARAMETERS
    old, new = a_policy(shop_admin=lines), a_policy(shop_admin=lines.replace("1,8", "1,9"))
    (found,) = changes(summary(old), summary(new))
    assert found.loosens and found.where == "roles.shop-admin.parameters"
