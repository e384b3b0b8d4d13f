"""Behind the scenes of the page: hours that pass in a moment, and trouble in which nothing is
lost."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Locator, expect

from bot.sandbox.demo_environment import DemoEnvironment
from bot.sandbox.process import RUNNING
from tests.browser.conftest import Open
from tests.browser.windows import Window


@pytest.fixture
def all_well(on: DemoEnvironment) -> Iterator[None]:
    """However a test ends, the next one finds a bot that runs and a Slack that answers."""
    yield
    for verb in ("end_trouble", *(["start_app"] if on.bot.state != RUNNING else [])):
        as_page = {"X-Sandbox-Page": "1"}
        httpx2.post(
            f"{on.sandbox.base_url}/page/do/{verb}?as=chiara", json={}, headers=as_page, timeout=30
        )


def granted(on: DemoEnvironment, name: str, asked: str) -> None:
    """Gives somebody access, without a window."""
    who, ben = on.sandbox.person(name), on.sandbox.person("ben")
    who.command("/access", f"request {asked}")
    ben.click(ben.wait_message("#access-approvals", asked.split(maxsplit=2)[2]), "Approve")
    who.wait_dm("You have Shop admin")


def banner(one: Window, title: str) -> Locator:
    """The text of the page about a fault."""
    return one.page.get_by_role("region", name=title)


def test_four_hours_are_seen_through_in_a_moment(
    window: Open, on: DemoEnvironment, nobody_holds: None
) -> None:
    emi = window("emi")
    clock = emi.tool("Clock")
    expect(clock.get_by_role("button", name=re.compile("^The end"))).to_be_disabled()
    expect(clock).to_contain_text("The clock of a bot in production can't be moved.")
    emi.page.keyboard.press("Escape")
    expect(clock).to_be_hidden()

    granted(on, "emi", "shop-admin 4h The whole afternoon on order 4760")
    emi.app("Messages")
    expect(emi.message("You have Shop admin")).to_contain_text("4h")
    expect(
        emi.tool("Clock").get_by_role("button", name=re.compile("^Next reminder"))
    ).to_contain_text("in 3 h 30 min: Emi Tanaka")
    emi.page.keyboard.press("Escape")
    emi.jump("Next reminder")
    expect(emi.message("Still working?")).to_contain_text("in 30 min")
    expect(
        emi.page.locator("#tools").get_by_role(
            "button", name=re.compile(r"^Clock: \d\d:\d\d.*\(\+")
        )
    ).to_be_visible()

    # Until the bot has answered, the reminder that is over can't be jumped to again.
    emi.page.route("**/page/do/coming*", lambda route: None)
    over = emi.tool("Clock").get_by_role("button", name=re.compile("^Next reminder"))
    expect(over).to_be_disabled(timeout=5000)
    emi.page.unroute_all(behavior="ignoreErrors")
    emi.page.keyboard.press("Escape")

    emi.jump("Next reminder")
    expect(emi.message("Still working?")).to_contain_text("in 5 min")
    emi.jump("The end")
    expect(emi.message("has ended")).to_contain_text("expired")


def test_a_press_while_slack_is_down_counts_once_it_is_back(
    window: Open, on: DemoEnvironment, all_well: None
) -> None:
    asked = "Order 4770, in bad weather"
    on.sandbox.person("emi").command("/access", f"request reports-read 1h {asked}")
    gwen = window("gwen", "#db-approvals")
    expect(gwen.message(asked)).to_be_visible()
    gwen.tool("Faults").get_by_role("button", name="Slack is down").click()
    trouble = banner(gwen, "Slack is down")
    expect(trouble).to_contain_text("Press Approve on a request now")
    gwen.message(asked).get_by_role("button", name="Approve").click()
    expect(trouble.get_by_role("list", name="Calls that were refused")).to_contain_text(
        "users.info"
    )
    expect(gwen.message(asked).get_by_role("button", name="Approve")).to_be_visible()

    trouble.get_by_role("button", name="Bring Slack back").click()
    expect(gwen.message(asked)).to_contain_text("Approved by @Gwen Moore")
    expect(banner(gwen, "Slack is back")).to_contain_text("done since")
    expect(gwen.main.get_by_role("article").filter(has_text=asked)).to_have_count(1)
    banner(gwen, "Slack is back").get_by_role("button", name="Close").click()
    expect(gwen.page.get_by_role("region")).to_have_count(0)


def test_a_limited_rate_delays_a_request_and_loses_nothing(
    window: Open, all_well: None, on: DemoEnvironment
) -> None:
    asked = "Order 4780, one word at a time"
    ben = window("ben", "#db-approvals")
    ben.tool("Faults").get_by_role("button", name="Slack limits the rate").click()
    trouble = banner(ben, "Slack limits the rate")
    on.sandbox.person("ana").command("/access", f"request reports-read 1h {asked}")
    expect(trouble.get_by_role("list", name="Calls that were refused")).to_contain_text(
        "users.info"
    )
    trouble.get_by_role("button", name="Lift the limit").click()
    expect(ben.message(asked)).to_be_visible()
    expect(ben.main.get_by_role("article").filter(has_text=asked)).to_have_count(1)


def test_slow_answers_dont_hold_up_a_press(
    window: Open, on: DemoEnvironment, all_well: None
) -> None:
    asked = "Order 4785, without haste"
    on.sandbox.person("chiara").command("/access", f"request reports-read 1h {asked}")
    ben = window("ben", "#db-approvals")
    ben.tool("Faults").get_by_role("button", name="Slack is slow").click()
    trouble = banner(ben, "Slack is slow")
    approve = ben.message(asked).get_by_role("button", name="Approve")
    approve.click()
    expect(ben.message(asked)).to_contain_text("Approved by @Ben Okafor")
    expect(trouble).to_contain_text(re.compile(r"the slowest took (1\.[5-9]|[2-9]\.\d|\d\d) s"))
    trouble.get_by_role("button", name="Make Slack fast again").click()
    expect(banner(ben, "Slack is fast again")).to_be_visible()


def test_a_killed_bot_is_said_to_be_dead_and_comes_back_to_its_duties(
    window: Open, on: DemoEnvironment, nobody_holds: None, all_well: None
) -> None:
    granted(on, "farid", "shop-admin 1h Order 4790, before the fall")
    farid = window("farid", "#general")
    farid.tool("Faults").get_by_role("button", name="Kill the bot").click()
    trouble = banner(farid, "The bot is dead")
    expect(trouble).to_contain_text("then start the bot")
    expect(farid.page.get_by_role("img", name="not connected")).to_be_visible()
    farid.composer.fill("/access list")
    farid.composer.press("Enter")
    expect(farid.message("/access failed with the error")).to_contain_text("dispatch_failed")
    expect(trouble).to_contain_text("1 payload reached nobody")

    clock = farid.tool("Clock")
    expect(clock).to_contain_text("this is its last answer")
    clock.get_by_role("button", name=re.compile("^The end")).click()
    expect(clock).to_be_hidden()
    trouble.get_by_role("button", name="Start the bot").click()
    expect(banner(farid, "The bot is back")).to_be_visible()
    farid.app("Messages")
    expect(farid.message("has ended")).to_contain_text("expired")
    expect(farid.page.get_by_role("img", name="connected", exact=True)).to_be_visible()
