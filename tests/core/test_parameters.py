"""Values of parameters: what a role takes, and how each kind of system writes them into actions."""

from __future__ import annotations

import pytest

from bot.connectors.actions import fill_encoded
from bot.connectors.postgres.actions import fill
from bot.core.approval import Refused
from bot.core.parameters import bound, known_actions
from tests.builders import SYSTEMS, a_policy

ROLE = r"""
systems = ["orders-db", "shop-admin"]
requesters = ["everyone"]
approvers = ["@db-leads"]
[roles.customers.actions]
orders-db = ["SELECT ON TABLE customer_{customer}.{table}"]
shop-admin = ["customer:{customer}", "orders:read"]
[roles.customers.parameters]
customer = '^[0-9]{1,8}$'
table = ["orders", "invoices"]
"""
DATABASE = """
[systems.orders-db]
connector = "postgres"
url = "postgresql://admin@db.example.com/orders"
"""
POLICY = a_policy(systems=SYSTEMS + DATABASE, customers=ROLE)
CUSTOMERS = POLICY.roles["customers"]
GOOD = {"customer": "4711", "table": "orders"}


def test_a_bound_role_has_the_values_in_its_actions_and_in_its_fingerprint() -> None:
    role, other = bound(CUSTOMERS, GOOD), bound(CUSTOMERS, {**GOOD, "customer": "4712"})
    assert not isinstance(role, Refused) and not isinstance(other, Refused)
    assert role.actions_of("orders-db") == ("SELECT ON TABLE customer_4711.orders",)
    assert role.actions_of("shop-admin") == ("customer:4711", "orders:read")
    assert len({CUSTOMERS.fingerprint, role.fingerprint, other.fingerprint}) == 3
    assert role.general_fingerprint == CUSTOMERS.fingerprint == CUSTOMERS.general_fingerprint


def test_a_changed_pattern_changes_the_fingerprint() -> None:
    wider = a_policy(systems=SYSTEMS + DATABASE, customers=ROLE.replace("1,8", "1,9"))
    assert wider.roles["customers"].fingerprint != CUSTOMERS.fingerprint


BAD = {
    "missing": {"table": "orders"},
    "empty": {**GOOD, "customer": ""},
    "of no choice": {**GOOD, "table": "users"},
    "a choice in capitals": {**GOOD, "table": "Orders"},
    "unknown": {**GOOD, "region": "eu"},
    "SQL": {**GOOD, "customer": "4711'; DROP TABLE orders; --"},
    "a second line": {**GOOD, "customer": "4711\nGRANT ALL"},
    "a line break at its end": {**GOOD, "customer": "4711\n"},
    "other digits": {**GOOD, "customer": "\u0664\u0667\u0661\u0661"},
    "wide digits": {**GOOD, "customer": "\uff14\uff17\uff11\uff11"},
    "a null byte": {**GOOD, "customer": "4711\x00"},
    "a direction character": {**GOOD, "customer": "\u202e4711"},
    "spaces around it": {**GOOD, "customer": " 4711 "},
    "too long": {**GOOD, "customer": "1" * 9},
    "a place": {**GOOD, "customer": "{table}"},
}


@pytest.mark.parametrize("values", BAD.values(), ids=BAD)
def test_a_value_that_the_role_does_not_take_is_refused(values: dict[str, str]) -> None:
    found = bound(CUSTOMERS, values)
    assert isinstance(found, Refused) and found.field.startswith("parameter:")


@pytest.mark.parametrize(
    "value",
    ["\u0664\u0667", "4711\n", "a\x00", "x" * 101, "\ufb01", "\u202ea", "a\u1160", "a\ufe0f"],
)
def test_no_pattern_lets_a_value_through_that_can_be_mistaken(value: str) -> None:
    role = a_policy(
        shop_admin="""actions = ["all:{what}"]
[roles.shop-admin.parameters]
what = '(?s).*'
"""
    ).roles["shop-admin"]
    assert isinstance(bound(role, {"what": value}), Refused)
    assert not isinstance(bound(role, {"what": "x" * 100}), Refused)


def test_a_role_without_parameters_takes_no_values() -> None:
    role = POLICY.roles["shop-admin"]
    assert bound(role, {}) is role
    assert isinstance(bound(role, {"customer": "1"}), Refused)


def test_scopes_get_encoded_values() -> None:
    values = {"a": "x y/:*%\u00e9-._~{a}"}
    assert fill_encoded("all:{a}", values) == "all:x%20y%2F%3A%2A%25%C3%A9-._~%7Ba%7D"
    with pytest.raises(ValueError):
        fill_encoded("customers/{a}/orders", {"a": ".."})


FILLED = {
    "SELECT ON TABLE {a}": ("orders", "SELECT ON TABLE orders"),
    "SELECT ON TABLE customer_{a}.orders": ("4711", "SELECT ON TABLE customer_4711.orders"),
    "SELECT (id, {a}) ON TABLE x": ("name", "SELECT (id, name) ON TABLE x"),
}


@pytest.mark.parametrize(("action", "case"), FILLED.items(), ids=FILLED)
def test_postgresql_gets_a_value_as_part_of_a_name(action: str, case: tuple[str, str]) -> None:
    assert fill(action, {"a": case[0]}) == case[1]


MEANING_MORE = {
    "another statement": ("SELECT ON TABLE {a}", "x'; DROP TABLE y; --"),
    "a second table": ("SELECT ON TABLE {a}", "x, y"),
    "another schema": ("SELECT ON TABLE {a}", "secret.x"),
    "a quoted name": ("SELECT ON TABLE {a}", '"x"'),
    "capitals": ("SELECT ON TABLE {a}", "Orders"),
    "a number as a name": ("SELECT ON TABLE {a}", "4711"),
    "another kind of object": ("USAGE ON {a}", "schema"),
    "a privilege": ("{a} ON TABLE x", "select"),
    "too long a name": ("SELECT ON TABLE orders_{a}", "x" * 60),
    "our own stand-in": ("SELECT ON TABLE zqz0z_{a}", "x"),
}


@pytest.mark.parametrize(("action", "value"), MEANING_MORE.values(), ids=MEANING_MORE)
def test_postgresql_gets_no_value_that_means_more_than_a_name(action: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        fill(action, {"a": value})


def test_before_a_request_only_choices_are_known() -> None:
    assert known_actions(CUSTOMERS, "shop-admin") == ["orders:read"]
    role = a_policy(
        shop_admin="""actions = ["{a}:{b}", "c"]
[roles.shop-admin.parameters]
a = ["x", "y"]
b = ["1"]
"""
    ).roles["shop-admin"]
    assert known_actions(role, "shop-admin") == ["x:1", "y:1", "c"]
