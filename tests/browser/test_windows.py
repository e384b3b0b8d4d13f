"""One browser, several people: switching, a second window beside the first, and what each sees of
the others."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from bot.sandbox.demo_environment import DemoEnvironment
from tests.browser.conftest import Open
from tests.browser.windows import Window, box_of


def test_a_second_window_as_another_person_is_live_like_the_first(window: Open) -> None:
    dev = window("dev", "#general")
    dev.page.get_by_role("button", name="You are Dev Patel").click()
    with dev.page.expect_popup() as opened:
        dev.page.get_by_role("menuitem", name="Open a second window as Gwen Moore").click()
    gwen = Window(opened.value, "gwen").ready("#general")
    expect(gwen.page.get_by_role("button", name="You are Gwen Moore")).to_be_visible()
    dev.write("Is anybody there?")
    expect(gwen.message("Is anybody there?")).to_be_visible()
    gwen.write("Here, @dev")
    expect(dev.message("Here, @Dev Patel")).to_be_visible()


def test_the_switcher_shows_what_the_other_person_sees(window: Open) -> None:
    one = window("farid", "#access-security")
    one.page.get_by_role("button", name="You are Farid Haddad").click()
    one.page.get_by_role("menuitem").filter(has_text="Dev Patel").click()
    expect(one.page.get_by_role("button", name="You are Dev Patel")).to_be_attached()
    expect(one.entry("#general")).to_be_visible()
    expect(one.entry("#access-security")).to_have_count(0)


def test_unread_messages_are_counted_until_they_are_seen(window: Open, on: DemoEnvironment) -> None:
    ben, gwen = window("ben", "#db-approvals"), window("gwen", "#db-approvals")
    on.sandbox.person("ben").say("#db-approvals", "for @gwen's eyes")
    for one in (ben, gwen):
        expect(one.message("eyes")).to_be_visible()
        expect(one.entry("#db-approvals")).not_to_contain_text("unread")
        one.go("#general")
    on.sandbox.person("ben").say("#db-approvals", "one more")
    expect(gwen.entry("#db-approvals")).to_contain_text("1 unread")
    expect(ben.entry("#db-approvals")).not_to_contain_text("unread")
    gwen.go("#db-approvals")
    expect(gwen.entry("#db-approvals")).not_to_contain_text("unread")


def test_a_cut_connection_is_shown_and_nothing_is_missed(window: Open, on: DemoEnvironment) -> None:
    emi = window("emi", "#general")
    emi.page.context.set_offline(True)
    on.sandbox.person("ben").say("#general", "said while the line was cut")
    emi.page.context.set_offline(False)
    expect(emi.message("said while the line was cut")).to_be_visible()


def test_an_unknown_person_in_the_address_leads_to_the_choice_of_a_person(window: Open) -> None:
    stranger = window("dev")
    stranger.page.goto(stranger.page.url.replace("?as=dev", "?as=nobody"))
    expect(stranger.page.get_by_role("heading", name="Who do you want to be?")).to_be_visible()
    stranger.page.get_by_role("link", name="emi").click()
    expect(stranger.page.get_by_role("button", name="You are Emi Tanaka")).to_be_attached()


def test_a_message_during_a_click_does_not_lose_the_click(
    window: Open, on: DemoEnvironment
) -> None:
    """The pressed element is drawn again while the mouse button is down."""
    gwen = window("gwen", "#db-approvals")
    entry = gwen.entry("#general")
    middle(gwen, entry)
    gwen.page.mouse.down()
    on.sandbox.person("ben").say("#general", "right now")
    expect(entry).to_contain_text("unread")
    gwen.page.mouse.up()
    expect(gwen.main.get_by_role("heading", name="general", level=1)).to_be_visible()


def middle(one: Window, node: Locator) -> None:
    """Moves the mouse to the middle of the element."""
    box = box_of(node)
    one.page.mouse.move(box["x"] + 40, box["y"] + box["height"] / 2)
