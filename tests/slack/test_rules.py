"""Rules of a role as people in Slack meet them: approval at once, Revoke, refusals and Details."""

from __future__ import annotations

from tests.factories import ANA, BEN, CARA, DAN, a_person
from tests.slack.slack_driver import SlackDriver, words

RULE = """max_duration = "4h"
[[roles.shop-admin.auto_approve]]
name = "on call, short"
members = ["@sre"]
"""
FORM = {"role": "shop-admin", "duration": "1h", "reason": "because", "ticket": ""}


def given(driver: SlackDriver) -> str:
    """The request of Cara that the rule approved."""
    driver.made.set_policy(shop_admin=RULE)
    driver.command("request shop-admin 1h because", CARA)
    ((request,),) = driver.rows("SELECT id FROM requests")
    return str(request)


def test_the_command_says_that_it_was_approved_at_once_and_by_which_rule(
    driver: SlackDriver,
) -> None:
    driver.made.set_policy(shop_admin=RULE)
    said = words(driver.command("request shop-admin 1h because", CARA))
    assert "Approved at once: Shop admin, read and refund" in said
    assert "rule “on call, short”" in said and "direct message" in said
    assert driver.requests()[0][5] == "approved"


def test_the_form_says_so_too(driver: SlackDriver) -> None:
    driver.made.set_policy(shop_admin=RULE)
    reply = driver.submit("request_modal", FORM, CARA)
    assert "Approved at once" in words(reply["view"])
    waits = driver.submit("request_modal", FORM, ANA)
    assert "It needs 1 approval" in words(waits["view"])


def test_a_command_that_is_delivered_twice_is_granted_once(stored: SlackDriver) -> None:
    stored.made.set_policy(shop_admin=RULE)
    for _ in range(2):
        stored.command("request shop-admin 1h because", CARA, trigger_id="1.same")
    assert stored.made.count("grants") == 1
    assert stored.made.events("request:rule:applied") == 1


def test_an_approver_revokes_it_with_a_reason(driver: SlackDriver) -> None:
    request = given(driver)
    driver.press("revoke_given", request, BEN)
    view = driver.views.last
    assert view["callback_id"] == "revoke_modal" and view["private_metadata"] == request
    assert driver.submit("revoke_modal", {"reason": "not today"}, BEN, metadata=request) == {}
    assert driver.made.log("grant:end:asked") == [(BEN, "not today")]


def test_a_reason_is_needed_and_the_form_stays_open(driver: SlackDriver) -> None:
    request = given(driver)
    reply = driver.submit("revoke_modal", {"reason": " "}, BEN, metadata=request)
    assert "Say why" in reply["errors"]["reason"]
    assert driver.made.events("grant:end:asked") == 0


def test_nobody_else_gets_the_form(driver: SlackDriver) -> None:
    request = given(driver)
    for person in (CARA, DAN):
        driver.press("revoke_given", request, person)
    assert driver.views.calls == []
    whys = [answer["why"] for answer in driver.work("answer")]
    assert "your own access" in whys[0] and "Only the approvers" in whys[1]


def test_an_approver_whom_slack_does_not_confirm_revokes_nothing(driver: SlackDriver) -> None:
    request = given(driver)
    driver.made.clock.at += 120
    driver.press("revoke_given", request, BEN)
    assert "did not confirm" in driver.work("answer")[0]["why"]
    driver.slack_people.people[BEN] = a_person(BEN, deleted=True)
    driver.press("revoke_given", request, BEN)
    assert "deactivated" in driver.work("answer")[1]["why"]


def test_details_open_the_whole_card_of_a_pending_and_of_a_decided_request(
    driver: SlackDriver,
) -> None:
    asked = driver.made.a_request()
    driver.press("details", asked.id, BEN)
    assert "1h is within the role's maximum, 4h" in words(driver.views.last)
    driver.press("details", given_again(driver), BEN)
    assert "is in @sre" in words(driver.views.last)
    driver.press("details", "r-forged", BEN)
    assert "does not exist" in driver.work("answer")[-1]["why"]


def given_again(driver: SlackDriver) -> str:
    driver.made.set_policy(shop_admin=RULE)
    driver.command("request shop-admin 1h because", CARA)
    return str(driver.rows("SELECT id FROM requests WHERE requester = ?", CARA)[0][0])
