"""Choices in a form that follow each other before Slack has the bot's answer to the first, and
reach two processes: the form shows the last choice, and no choice replaces the answer to the
submission."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.faults.running_bot import Company
from tests.faults.test_clicks import at_once
from tests.waiting import until

Json = dict[str, Any]


@pytest.fixture
def company(postgres_url: str, make_company: Callable[..., Company]) -> Company:
    """Two processes on one database, to which Slack sends payloads in turn."""
    found = make_company(environment={"DATABASE_URL": postgres_url})
    first = found.launch()
    found.start()
    until(first.is_ready)
    return found


def first_choice(company: Company, role: str) -> Json:
    """Opens the form, chooses a role, and returns the payload."""
    assert company.access(company.ana, "request").ok
    view = company.ana.wait_view("Request access")
    assert company.ana.choose(view, role, action_id="choose_role").ok
    assert company.ana.view()["hash"] != view["hash"]
    return dict(company.sandbox.inspector.deliveries()[-1]["payload"])


def further(payload: Json, role: str, later: float) -> Json:
    """A choice of a role made that much later in the same form, which had not changed."""
    made = copy.deepcopy(payload)
    (action,) = made["actions"]
    action["action_ts"] = f"{float(action['action_ts']) + later:.6f}"
    action["selected_option"]["value"] = role
    return made


def asks_for_ticket(company: Company) -> bool:
    return any(block.get("block_id") == "ticket" for block in company.ana.view()["blocks"])


def test_the_form_shows_the_last_of_choices_that_cross(company: Company) -> None:
    sent = first_choice(company, "Shop admin")
    deliver = company.sandbox.deliver
    deliver("interactive", further(sent, "customer-data", 2))
    assert asks_for_ticket(company)
    deliver("interactive", further(sent, "shop-admin", 1))  # made before
    assert asks_for_ticket(company)
    for number in range(3, 15, 2):
        both = further(sent, "customer-data", number), further(sent, "shop-admin", number + 1)
        at_once([partial(deliver, "interactive", each) for each in both])
        assert not asks_for_ticket(company)

    assert company.ana.fill_and_submit({"Reason": "because of the tests"}).ok
    shown = company.ana.plain(company.ana.view())
    assert "Sent" in shown
    deliver("interactive", further(sent, "customer-data", 99))
    assert company.ana.plain(company.ana.view()) == shown
