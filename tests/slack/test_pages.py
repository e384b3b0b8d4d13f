"""Lists that are longer than a message: the More button leads through all of their pages, for
people who may see them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.core.drift import Finding, What
from bot.operations._unit_of_work import unit
from bot.sandbox.blocks import validate_message
from bot.slack import pages
from bot.slack.ids import Action, Field, Modal
from storage import findings
from tests.factories import ANA, BEN, LEA
from tests.slack.slack_driver import SlackDriver, words
from tests.slack.test_suggestions import MANY
from tests.slack.views_samples import elements


def more_in(message: dict[str, Any]) -> str | None:
    """The value of the More button, None on the last page."""
    return next(
        (each["value"] for each in elements(message, "button") if each["action_id"] == Action.MORE),
        None,
    )


def press_more(driver: SlackDriver, value: str, user: str) -> dict[str, Any]:
    """Presses More and reads the worker's answer."""
    driver.press(Action.MORE, value, user)
    message = pages.page(driver.made.world, user, driver.work("answer")[-1]["page"])
    assert validate_message(message) == []
    return message


def all_pages(driver: SlackDriver, text: str, user: str = ANA) -> list[dict[str, Any]]:
    """The answer to a command, and every further page."""
    made = [driver.command(text, user)]
    while (value := more_in(made[-1])) is not None:
        made.append(press_more(driver, value, user))
    return made


def values(made: list[dict[str, Any]], action: Action) -> list[str]:
    return [
        each["value"]
        for page in made
        for each in elements(page, "button")
        if each["action_id"] == action
    ]


@pytest.fixture
def many(driver: SlackDriver) -> list[str]:
    """The ids of 120 grants of Ana's, each of another role."""
    driver.made.set_policy(**MANY)
    return [driver.made.a_grant(name).id for name in list(MANY)[:120]]


def test_every_grant_is_in_its_holder_s_list_and_in_a_lead_s_list_to_revoke(
    driver: SlackDriver, many: list[str]
) -> None:
    assert sorted(values(all_pages(driver, "list"), Action.DONE)) == sorted(many)
    assert sorted(values(all_pages(driver, f"revoke <@{ANA}> all", LEA), Action.REVOKE)) == sorted(
        many
    )


def test_the_right_of_a_lead_is_checked_again_at_each_page(
    driver: SlackDriver, many: list[str]
) -> None:
    value = more_in(driver.command(f"revoke <@{ANA}> all", LEA))
    assert value is not None
    assert "Only leads" in words(press_more(driver, value, BEN))
    assert values([press_more(driver, value, BEN)], Action.REVOKE) == []


def test_with_many_roles_a_refusal_names_some_and_the_way_to_the_others(
    driver: SlackDriver, many: list[str]
) -> None:
    said = words(driver.command("renew"))
    assert "Which one?" in said and "and 108 more, which /access list shows" in said


def test_every_role_is_listed_searched_and_shown_in_full(driver: SlackDriver) -> None:
    driver.made.set_policy(**MANY)
    said = " ".join(map(words, all_pages(driver, "roles")))
    assert all(f" {name} " in said.replace("(", " ").replace(")", " ") for name in MANY)
    found = words(driver.command("roles zurich TILL"))
    assert "db-249" in found and "db-248" not in found
    assert "The till of Zürich" in words(driver.command("roles db-249"))
    assert "that matches" in words(driver.command("roles xyzzy"))


def test_a_role_is_shown_in_full_only_to_its_requesters_approvers_and_leads(
    driver: SlackDriver,
) -> None:
    shown = "requesters = ['U0DAN']\n" + 'approvers = ["@db-leads"]'
    driver.made.set_policy(shop_deploy=shown.replace("'", '"'))
    for person, sees in (("U0DAN", True), (BEN, True), (LEA, True), (ANA, False)):
        assert ("deploy:write" in words(driver.command("roles shop-deploy", person))) is sees


def test_every_finding_is_shown_to_leads_page_by_page(driver: SlackDriver) -> None:
    with unit(driver.made.world) as u:
        for n in range(250):
            findings.add(
                u.db, Finding("shop-admin", What.UNMANAGED, f"role_{n:03}", id=f"f{n}"), u.now
            )
    value = json.dumps({"list": "findings", "start": 0, "after": ""})
    made = [press_more(driver, value, LEA)]
    while (value := more_in(made[-1]) or "") != "":
        made.append(press_more(driver, value, LEA))
    assert len(values(made, Action.REMOVE_ORPHAN)) == 250
    assert "Only leads" in words(
        press_more(driver, json.dumps({"list": "findings", "start": 0, "after": ""}), ANA)
    )


FORGED = {
    "another list": {"list": "secrets", "start": 0, "after": ""},
    "no start": {"list": "access", "after": ""},
    "a start before the first": {"list": "access", "start": -1, "after": ""},
    "a start that is no number": {"list": "access", "start": "0", "after": ""},
    "true": {"list": "access", "start": True, "after": ""},
    "more words": {"list": "access", "start": 0, "after": "", "person": "U0BEN"},
    "words of another list": {"list": "revoke", "start": 0, "after": "", "words": "x"},
    "a list that is no text": {"list": ["access"], "start": 0, "after": ""},
    "nothing": {},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_forged_button_shows_nothing(driver: SlackDriver, forged: dict[str, Any]) -> None:
    driver.press(Action.MORE, json.dumps(forged))
    assert [each for each in driver.work("answer") if each["note"] == "page"] == []


def test_40_actions_can_be_narrowed_in_the_form(stored: SlackDriver) -> None:
    actions = [f"orders:{n}" for n in range(39)] + ["x" * 200]
    stored.made.set_policy(shop_admin=f"actions = {json.dumps(actions)}")
    request = stored.made.a_request()
    stored.press(Action.EDIT, request.id, BEN)
    (menu,) = [
        block for block in stored.views.last["blocks"] if block.get("block_id") == Field.ACTIONS
    ]
    options = [option["value"] for option in menu["element"]["options"]]
    assert len(options) == 40
    form = {Field.DURATION: "30m", Field.ACTIONS: options[38:]}
    assert stored.submit(Modal.EDIT, form, BEN, metadata=request.id) == {}
    assert stored.work("decide")[-1]["actions"] == actions[38:]
