"""The forms of Slack ask for the parameters of the chosen role."""

from __future__ import annotations

import json

import pytest

from bot.slack.views import request_modal
from tests.factories import CARA
from tests.slack.slack_driver import SlackDriver

ROLE = """
system = "shop-admin"
actions = ["customer:{customer}:{table}"]
requesters = ["everyone"]
approvers = ["@db-leads"]
[roles.customers.parameters]
customer = "^[0-9]{1,8}$"
table = ["orders", "invoices"]
[roles.customers.emergency]
members = ["@sre"]
max_duration = "1h"
"""
TYPED = {"parameter:customer": "4711", "parameter:table": "orders"}


@pytest.fixture(autouse=True)
def customers(driver: SlackDriver) -> None:
    driver.made.set_policy(customers=ROLE)


def asked(driver: SlackDriver) -> tuple[object, ...]:
    ((parameters, actions),) = driver.rows("SELECT parameters, actions FROM requests")
    return json.loads(parameters), json.loads(actions)


def inputs(driver: SlackDriver) -> dict[str, dict[str, object]]:
    blocks = driver.views.last["blocks"]
    return {block["block_id"]: block["element"] for block in blocks if block["type"] == "input"}


def test_the_command_opens_the_form_with_the_parameters_of_the_role(driver: SlackDriver) -> None:
    assert driver.command("request customers 2h order 7") == {}
    found = inputs(driver)
    assert [*found][:3] == ["role", "parameter:customer", "parameter:table"]
    assert [each["value"] for each in found["parameter:table"]["options"]] == ["orders", "invoices"]  # type: ignore[attr-defined]
    assert (found["duration"]["initial_value"], found["reason"]["initial_value"]) == (
        "2h",
        "order 7",
    )
    driver.command("emergency customers down", user=CARA)
    assert "parameter:customer" in inputs(driver)


def test_a_form_makes_a_request_with_the_values(driver: SlackDriver) -> None:
    form = {"role": "customers", "duration": "1h", "reason": "order 7"}
    reply = driver.submit("request_modal", {**form, **TYPED, "parameter:customer": "x"})
    assert "does not match" in reply["errors"]["parameter:customer"]
    driver.submit("request_modal", {**form, **TYPED})
    values = {"customer": "4711", "table": "orders"}
    assert asked(driver) == (values, ["customer:4711:orders"])


def test_a_form_takes_an_emergency_with_the_values(driver: SlackDriver) -> None:
    form = {"role": "customers", "duration": "", "reason": "down", **TYPED}
    driver.submit("emergency_modal", form, user=CARA)
    assert asked(driver)[1] == ["customer:4711:orders"]


def test_a_form_of_an_earlier_request_has_its_values(driver: SlackDriver) -> None:
    role = driver.made.world.policy().roles["customers"]
    view = request_modal.render([role], role, {**TYPED, "parameter:table": "invoices"})
    by_id = {block.get("block_id"): block.get("element") for block in view["blocks"]}
    assert by_id["parameter:customer"]["initial_value"] == "4711"
    assert by_id["parameter:table"]["initial_option"]["value"] == "invoices"
