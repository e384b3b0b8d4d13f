"""Two bots in one workspace: a payload of the other app changes nothing here, and is answered where
Slack shows an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bot.slack.receiver import Receiver
from tests.factories import BEN
from tests.slack.slack_driver import (
    SlackDriver,
    a_click,
    a_command,
    a_shortcut,
    a_submission,
    a_suggestion,
    an_event,
)

FORM = {"role": "shop-admin", "duration": "1h", "reason": "because"}
PAYLOADS: dict[str, Callable[[str], dict[str, Any]]] = {
    "command": lambda request: a_command("request shop-admin 1h because"),
    "button": lambda request: a_click("approve", request, BEN),
    "form": lambda request: a_submission("request_modal", FORM),
    "shortcut": lambda request: a_shortcut("request_access"),
    "menu": lambda request: a_suggestion("shop"),
    "event": lambda request: an_event("team_join", user={"id": "U0NEW"}),
}


def counted(driver: SlackDriver) -> list[Any]:
    """The rows of the tables that every change adds to, and the calls of views."""
    rows = [driver.rows(f"SELECT count(*) FROM {table}") for table in ("audit", "outbox")]
    return [*rows, len(driver.views.calls)]


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_payload_of_another_app_changes_nothing(driver: SlackDriver, kind: str) -> None:
    payload = PAYLOADS[kind](driver.made.a_request(person="U0DAN").id)
    receiver = Receiver(driver.app.dispatch, app=lambda: "A1")
    before = counted(driver)
    answer = receiver.submit({**payload, "api_app_id": "A2"}).result(20)
    assert (answer.status, counted(driver)) == (200, before)
    if kind in ("command", "form"):
        assert "two different Slack apps" in json.dumps(answer.body)
    else:
        assert not answer.body
    ours = receiver.submit(payload).result(20)
    assert counted(driver) != before or ours.body != answer.body, "it changes something here"
    receiver.close()
