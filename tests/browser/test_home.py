"""The app's home: what each person has, waits for and may decide, as of the moment when they last
opened it."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from bot.sandbox.demo_environment import DemoEnvironment
from tests.browser.conftest import Open
from tests.browser.windows import Window, choose

WHY = "Order 4720 was paid twice"


def home(one: Window) -> Locator:
    """The home of the window's person, opened again, because an app updates it only then."""
    return one.app("Messages").tab("Home").page.get_by_role("tabpanel", name="Home")


def test_home_follows_a_request_until_the_access_is_given_back(
    window: Open, on: DemoEnvironment
) -> None:
    emi, gwen, chiara = window("emi"), window("gwen"), window("chiara")
    hers = home(emi)
    expect(hers).to_contain_text("You have no access right now.")
    hers.get_by_role("button", name="Request access").click()
    form = emi.dialog("Request access")
    choose(form, "Role", "Shop admin, read and refund")
    expect(form).to_contain_text("Needs 1 approval")
    form.get_by_label("Reason").fill(WHY)
    form.get_by_role("button", name="Send request").click()
    emi.dialog("Request sent").get_by_role("button", name="Close").last.click()
    emi.no_dialog()
    hers = home(emi)
    expect(hers.get_by_role("heading", name="Waiting for a decision (1)")).to_be_visible()

    deciding = home(gwen)
    expect(deciding).to_contain_text(WHY)
    deciding.get_by_role("button", name="Approve: shop-admin").last.click()
    on.sandbox.person("emi").wait_dm("You have Shop admin")
    expect(deciding).not_to_contain_text(WHY)

    hers = home(emi)
    expect(hers).to_contain_text("Active until")
    expect(hers.get_by_role("button", name="Show credentials")).to_be_visible()
    everything = home(chiara)
    expect(everything).to_contain_text("@Emi Tanaka, Shop admin, read and refund. Active until")
    expect(everything.get_by_role("button", name="End now: Shop admin")).to_be_visible()

    hers.get_by_role("button", name="I'm done").click()
    emi.confirm("Keep it")
    expect(hers.get_by_role("button", name="I'm done")).to_be_focused()
    hers.get_by_role("button", name="I'm done").click()
    emi.confirm("I'm done")
    expect(hers.get_by_role("button", name="I'm done")).to_have_count(0)
    expect(home(emi)).to_contain_text("You have no access right now.")


def test_a_request_is_cancelled_in_home(window: Open, on: DemoEnvironment) -> None:
    on.sandbox.person("emi").command("/access", "request oncall 1h The queue is stuck")
    emi = window("emi")
    hers = home(emi)
    expect(hers.get_by_role("heading", name="Waiting for a decision")).to_be_visible()
    cancel = hers.get_by_role("button", name="Cancel: On call")
    cancel.click()
    emi.confirm("Cancel request")
    expect(cancel).to_have_count(0)


def test_an_earlier_request_is_made_again_with_the_same_words(
    window: Open, on: DemoEnvironment
) -> None:
    emi = on.sandbox.person("emi")
    emi.command("/access", "request oncall 45min The queue is stuck again")
    emi.command("/access", "cancel oncall")
    one = window("emi")
    hers = home(one)
    expect(hers).to_contain_text("withdrawn: The queue is stuck again")
    hers.get_by_role("button", name="Ask again: On call").first.click()
    form = one.dialog("Request access")
    expect(form.get_by_label("Duration")).to_have_value("45m")
    expect(form.get_by_label("Reason")).to_have_value("The queue is stuck again")
    form.get_by_role("button", name="Cancel").click()
    one.no_dialog()


def test_a_lead_ends_access_in_home_after_a_confirmation(window: Open, on: DemoEnvironment) -> None:
    on.sandbox.person("emi").command("/access", "request shop-admin 1h Order 4721")
    gwen = on.sandbox.person("gwen")
    gwen.click(gwen.wait_message("#access-approvals", "Order 4721"), "Approve")
    on.sandbox.person("emi").wait_dm("You have Shop admin")
    chiara = window("chiara")
    end = home(chiara).get_by_role("button", name="End now: Shop admin")
    end.click()
    chiara.confirm("End now")
    expect(end).to_have_count(0)


def test_a_guest_sees_that_there_is_nothing_for_them(window: Open) -> None:
    theirs = home(window("hugo"))
    expect(theirs).to_contain_text("There is nothing for you here")
    expect(theirs.get_by_role("button")).to_have_count(0)
