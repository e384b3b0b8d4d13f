"""The menu of roles while a person types: matches at once, and only roles that the person may
request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.core.errors import StorageUnavailable
from bot.core.model import Person
from bot.operations.people.record_people import record_people
from tests.factories import ANA, LEA, a_person
from tests.slack.slack_driver import SlackDriver, a_suggestion

MANY = {
    f"db-{n:03}": f"""
title = "Database {n:03}"
description = "{"The till of Zürich" if n == 249 else "One of many"}"
system = "shop-admin"
actions = ["orders:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
"""
    for n in range(250)
}


def names(options: list[dict[str, Any]]) -> list[str]:
    return [option["value"] for option in options]


def test_a_hundred_of_250_roles_are_offered_at_once_and_any_other_by_typing(
    driver: SlackDriver,
) -> None:
    driver.made.set_policy(**MANY)
    assert len(driver.options()) == 100
    assert names(driver.options("249")) == ["db-249"]
    assert names(driver.options("ZURICH till")) == ["db-249"]
    assert driver.options("nothing like it") == []


def test_an_option_shows_title_and_name(driver: SlackDriver) -> None:
    (option,) = driver.options("shop-admin")
    assert (option["text"]["text"], option["description"]["text"]) == (
        "Shop admin, read and refund",
        "shop-admin",
    )


def test_a_role_that_the_person_may_not_request_is_not_offered(driver: SlackDriver) -> None:
    assert "shop-deploy" in names(driver.options())
    assert "shop-deploy" not in names(driver.options(user=LEA))
    assert driver.options("shop-deploy", user=LEA) == []


@pytest.mark.parametrize(
    "person",
    [a_person("U0X", deleted=True), a_person("U0X", guest=True), a_person("U0X", bot=True)],
    ids=["deactivated", "guest", "bot"],
)
def test_ineligible_people_are_offered_nothing(driver: SlackDriver, person: Person) -> None:
    record_people(driver.made.world, [person])
    assert driver.options(user="U0X") == []


def test_an_unknown_person_is_offered_nothing_and_not_looked_up(
    driver: SlackDriver,
) -> None:
    assert driver.options(user="U0NOBODY") == []
    assert driver.slack_people.asked == []


def test_people_of_another_workspace_are_offered_nothing(driver: SlackDriver) -> None:
    body = a_suggestion(user=ANA)
    body["user"]["team_id"] = "T0OTHER"
    assert driver.send(body).body == '{"options": []}'


FORGED: dict[str, dict[str, Any]] = {
    "no person": {"user": {}},
    "a person that is no text": {"user": {"id": ["U0ANA"]}},
    "no value": {"value": None},
    "a value that is no text": {"value": {"$ne": ""}},
    "characters that can't be stored": {"value": "\x00\ud800"},
    "a huge value": {"value": "x" * 100_000},
    "another menu": {"action_id": "approve"},
    "no view": {"view": None, "container": None},
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_a_forged_payload_is_answered_with_options_or_none_and_leaves_no_trace(
    driver: SlackDriver, change: dict[str, Any]
) -> None:
    before = driver.made.count("audit"), driver.made.count("outbox")
    answer = driver.send({**a_suggestion(), **change})
    assert answer.status == 200 and answer.body.startswith('{"options": [')
    assert (driver.made.count("audit"), driver.made.count("outbox")) == before


def test_typing_leaves_nothing_in_the_log_of_access(driver: SlackDriver) -> None:
    before = driver.made.count("audit")
    for typed in ("s", "sh", "sho", "shop"):
        driver.options(typed, user=LEA)
    assert driver.made.count("audit") == before


@pytest.mark.parametrize(
    "error", [StorageUnavailable("the database is away"), RuntimeError("a defect")]
)
def test_the_menu_stays_empty_while_the_database_is_away(
    driver: SlackDriver, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("bot.slack.listeners.roles_open_to", fail)
    assert driver.options() == []


def test_a_reply_is_never_larger_than_socket_mode_can_carry(driver: SlackDriver) -> None:
    driver.made.set_policy(
        **{name: lines.replace("Database", "\N{ROCKET}" * 60) for name, lines in MANY.items()}
    )
    assert 50 <= len(driver.options()) < 100
    assert len(driver.send(a_suggestion()).body.encode()) < 65_000
    assert len(json.dumps(driver.command("roles"))) < 65_000
