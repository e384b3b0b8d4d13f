"""Mentions, direct messages and absences of deciders, as people see them in Slack."""

from __future__ import annotations

from typing import Any

import pytest

from bot.operations.absence.go_away import go_away
from bot.operations.requests.approve_request import approve_request
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.ping_due import ping_due
from bot.slack.views import request_details
from tests.builders import WORKSPACE
from tests.factories import ANA, BEN, CARA, START, a_person
from tests.slack import test_channels
from tests.slack.slack_driver import SlackDriver, words
from tests.slack.test_channels import APPROVALS, Office

office = test_channels.office

TIERS = """
system = "shop-admin"
actions = ["orders:read"]
requesters = ["everyone"]
[[roles.vault.tiers]]
name = "team lead"
approvers = ["@db-leads"]
[[roles.vault.tiers]]
name = "security"
approvers = ["@platform-leads"]
"""
ESCALATED = 'escalation = { after = "30m", approvers = ["@platform-leads"] }'
DAY = 86400


def _pings(office: Office) -> list[dict[str, Any]]:
    """The posts in threads, oldest first."""
    posts = [call["args"] for call in office.calls("chat.postMessage")]
    return [each for each in posts if each.get("thread_ts")]


def _blocks(post: dict[str, Any]) -> str:
    return str(post["blocks"])


# --- mentions


def test_each_tier_is_mentioned_when_it_is_asked(office: Office) -> None:
    office.made.set_policy(vault=TIERS)
    request = office.ask(role="vault")
    office.turn()
    (posted,) = office.in_channel(APPROVALS)
    assert "Asked now: “team lead” (step 1 of 2): 0 of 1 approvals" in posted
    assert "@S0DB-LEADS please decide" in posted and "S0PLATFORM" not in posted
    approve_request(office.made.world, request, a_person(office.id("ben")))
    office.turn()
    (ping,) = _pings(office)
    assert "S0PLATFORM-LEADS" in _blocks(ping) and "S0DB-LEADS" not in _blocks(ping)
    assert "“security” is asked now" in _blocks(ping)
    (updated,) = office.in_channel(APPROVALS)[:1]
    assert "Approved already as team lead" in updated


def test_backups_are_mentioned_in_the_thread_and_asked_directly(office: Office) -> None:
    office.made.set_policy(shop_admin=ESCALATED)
    office.ask()
    office.turn()
    office.made.clock.at += 1800
    ping_due(office.made.world)
    office.turn()
    pings = _pings(office)
    assert "Nobody had decided after 30m." in _blocks(pings[0])
    assert "S0PLATFORM-LEADS" in _blocks(pings[0])
    (direct,) = office.dms("chiara")
    assert "You are asked because nobody had decided after 30m, and you are a backup" in direct
    assert "the backups can too: @platform-leads" in office.in_channel(APPROVALS)[0]


def test_in_quiet_hours_nobody_is_mentioned_before_they_are_over(office: Office) -> None:
    office.made.set_policy(
        workspace=WORKSPACE + 'quiet_hours = "00:00-23:59"\n',
        shop_admin='pending_timeout = "3d"',
    )
    request = office.ask()
    office.turn()
    (posted,) = office.in_channel(APPROVALS)
    assert "Quiet hours: nobody is pinged until" in posted and "please decide" not in posted
    card = describe_request(office.made.world, request)
    assert card is not None and card.quiet_until is not None
    office.made.clock.at = card.quiet_until
    ping_due(office.made.world)
    office.turn()
    (ping,) = _pings(office)
    assert "Quiet hours are over." in _blocks(ping)
    assert "S0DB-LEADS" in _blocks(ping)


def test_a_ping_of_a_decided_request_is_not_sent(office: Office) -> None:
    office.made.set_policy(shop_admin=ESCALATED)
    request = office.ask()
    office.turn()
    office.made.clock.at += 1800
    ping_due(office.made.world)
    approve_request(office.made.world, request, a_person(office.id("ben")))
    office.turn()
    assert _pings(office) == []


def test_a_delegate_is_mentioned_and_reads_for_whom_they_decide(office: Office) -> None:
    ben, chiara = office.id("ben"), office.id("chiara")
    go_away(office.made.world, ben, a_person(chiara), START + DAY)
    request = office.ask()
    office.turn()
    (posted,) = office.in_channel(APPROVALS)[-1:]
    assert " decides for " in posted and ", who is away until " in posted
    card = describe_request(office.made.world, request)
    assert card is not None and chiara in card.notify
    assert "You are asked because you decide in the place of" in words(
        request_details.render(card, chiara)["blocks"]
    )
    assert "named you as delegate" in office.dms("chiara")[0]


def test_a_delegate_who_asks_is_not_said_to_decide(office: Office) -> None:
    ben, ana = office.id("ben"), office.id("ana")
    go_away(office.made.world, ben, a_person(ana), START + DAY)
    request = office.ask()
    office.turn()
    (posted,) = office.in_channel(APPROVALS)[-1:]
    assert "The requester can't decide for " in posted and " decides for " not in posted
    card = describe_request(office.made.world, request)
    assert card is not None and ana not in card.notify


# --- absence


def _knows(driver: SlackDriver) -> None:
    """Slack answers who people are."""
    driver.slack_people.people |= {one: a_person(one) for one in (ANA, BEN, CARA)}


def test_away_and_back(stored: SlackDriver) -> None:
    _knows(stored)
    answer = stored.command(f"away until 2026-09-30 <@{CARA}|cara>", BEN)
    assert "U0Cara decides in your place while you are away" in words(answer)
    assert stored.made.log("delegation:access:given", "actor, subject") == [(BEN, CARA)]
    assert [work["person"] for work in stored.work("answer")] == [CARA]
    assert "You are away until" in words(stored.command("away", BEN))
    assert "You decide in the place of" in words(stored.command("away", CARA))
    assert "no longer decides in your place" in words(stored.command("back", BEN))
    assert stored.made.count("delegations") == 0


@pytest.mark.parametrize(
    ("text", "user", "why"),
    [
        ("away until friday", BEN, "Who decides in your place?"),
        (f"away <@{CARA}>", BEN, "Write /access away until DATE @delegate"),
        (f"away soon <@{CARA}>", BEN, "Write /access away until DATE @delegate"),
        (f"away until 2027-09-30 <@{CARA}>", BEN, "at most 90d"),
        (f"away until friday <@{BEN}>", BEN, "you can't decide in your own place"),
        (f"away until friday <@{CARA}>", ANA, "You approve no role"),
        ("back", BEN, "You are not away"),
    ],
)
def test_what_is_no_absence_is_refused_and_on_record(
    driver: SlackDriver, text: str, user: str, why: str
) -> None:
    _knows(driver)
    assert why in words(driver.command(text, user))
    assert [refused[0] for refused in driver.refusals()] == [user]
    assert driver.made.count("delegations") == 0


def test_a_guest_is_no_delegate(driver: SlackDriver) -> None:
    driver.slack_people.people[CARA] = a_person(CARA, guest=True)
    assert "can't decide in your place" in words(driver.command(f"away 3d <@{CARA}>", BEN))


def test_home_has_a_button_that_ends_the_absence(driver: SlackDriver) -> None:
    _knows(driver)
    driver.command(f"away 3d <@{CARA}>", BEN)
    driver.press("back", BEN, BEN)
    assert driver.made.count("delegations") == 0
    driver.press("back", BEN, CARA)
    assert driver.made.events("delegation:access:taken") == 1
