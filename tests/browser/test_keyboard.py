"""Without a mouse everything can be reached, chosen and left with keys, and the focus returns to
where it was."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from bot.sandbox.demo_environment import DemoEnvironment
from tests.browser.conftest import Open
from tests.browser.windows import Window


def press(page: Page, *keys: str) -> None:
    """Presses keys, one after the other, on the focused element."""
    for key in keys:
        page.keyboard.press(key)


def tab_to(one: Window, name: str) -> None:
    """Presses Tab until something with this name has the focus."""
    named = one.page.get_by_role("main").locator(":focus")
    for _ in range(60):
        press(one.page, "Tab")
        if named.count() and name in (named.get_attribute("aria-label") or named.inner_text()):
            return
    raise AssertionError(f"Tab never comes to {name}")


def test_tab_first_offers_the_way_past_the_list(window: Open) -> None:
    dev = window("dev", "#general")
    dev.page.reload()
    dev.ready()
    press(dev.page, "Tab")
    expect(dev.page.get_by_role("link", name="Skip to the conversation")).to_be_focused()
    press(dev.page, "Enter")
    expect(dev.main).to_be_focused()
    expect(dev.main.get_by_role("heading", name="general", level=1)).to_be_visible()
    tab_to(dev, "Message #general")


def test_a_command_is_chosen_typed_filled_in_and_left(window: Open) -> None:
    dev = window("dev", "#general")
    page, offers = dev.page, dev.page.get_by_role("listbox", name="Suggestions")
    dev.composer.focus()
    page.keyboard.type("/")
    expect(offers.get_by_role("option")).to_have_count(1)
    press(page, "ArrowDown")
    expect(offers.get_by_role("option", name="/access")).to_have_attribute("aria-selected", "true")
    press(page, "Enter")
    expect(dev.composer).to_have_value("/access ")
    page.keyboard.type("li")
    expect(offers.get_by_role("option", name="/access list")).to_be_visible()
    press(page, "Escape")
    expect(offers).to_be_hidden()
    press(page, "Backspace", "Backspace", "Enter")
    form = dev.dialog("Request access")
    expect(form.get_by_label("Role")).to_be_focused()
    press(page, "ArrowDown")
    expect(form.get_by_role("option").first).to_be_visible()
    press(page, "ArrowDown", "Enter")
    expect(form).to_contain_text("Look up orders and give money back.")
    expect(form.get_by_label("Role")).to_be_focused()
    press(page, "Shift+Tab")
    expect(form.get_by_role("button", name="Close")).to_be_focused()
    press(page, "Shift+Tab")
    expect(form.get_by_role("button", name="Send request")).to_be_focused()
    press(page, "Tab")
    expect(form.get_by_role("button", name="Close")).to_be_focused()
    press(page, "Escape")
    dev.no_dialog()
    expect(dev.composer).to_be_focused()


def test_arrows_go_through_messages_and_tab_into_their_buttons(
    window: Open, on: DemoEnvironment
) -> None:
    asked = "Order 4750, by keyboard"
    on.sandbox.person("emi").command("/access", f"request reports-read 1h {asked}")
    ben = window("ben", "#db-approvals")
    ben.page.get_by_role("log").get_by_role("article").last.focus()
    expect(ben.message(asked)).to_be_focused()
    tab_to(ben, "Deny")
    deny = ben.message(asked).get_by_role("button", name="Deny")
    expect(deny).to_be_focused()
    press(ben.page, "Enter")
    expect(ben.dialog("Deny request").get_by_label("Reason")).to_be_focused()
    press(ben.page, "Escape")
    ben.no_dialog()
    expect(deny).to_be_focused()
    press(ben.page, "Shift+Tab")
    expect(ben.message(asked).get_by_role("button", name="Approve")).to_be_focused()
    press(ben.page, "Enter")
    expect(ben.message(asked)).to_contain_text("Approved by @Ben Okafor")
    expect(ben.message(asked)).to_be_focused()


def test_a_confirmation_is_answered_by_keys_and_no_has_the_focus(
    window: Open, on: DemoEnvironment
) -> None:
    on.sandbox.person("chiara").command(
        "/access", "request customer-data 1h SHOP-51 to be taken back"
    )
    chiara = window("chiara")
    chiara.app("Home")
    cancel = chiara.main.get_by_role("button", name="Cancel: Customer records")
    cancel.focus()
    press(chiara.page, "Enter")
    question = chiara.page.get_by_role("alertdialog")
    expect(question.get_by_role("button", name="Keep waiting")).to_be_visible()
    press(chiara.page, "Escape")
    expect(question).to_have_count(0)
    expect(cancel).to_be_focused()
    press(chiara.page, "Enter")
    question.get_by_role("button", name="Cancel request").focus()
    press(chiara.page, "Enter")
    expect(cancel).to_have_count(0)


def test_menus_and_tabs_follow_the_arrows(window: Open) -> None:
    dev = window("dev", "#general")
    switcher = dev.page.get_by_role("button", name="You are Dev Patel")
    switcher.focus()
    press(dev.page, "Enter")
    menu = dev.page.get_by_role("menu", name="Be somebody else")
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    press(dev.page, "End")
    expect(menu.get_by_role("menuitem").last).to_be_focused()
    press(dev.page, "ArrowDown")
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    press(dev.page, "Escape")
    expect(menu).to_have_count(0)
    expect(switcher).to_be_focused()

    dev.app("Home")
    dev.page.get_by_role("tab", name="Home").focus()
    press(dev.page, "ArrowRight")
    expect(dev.page.get_by_role("tab", name="Messages")).to_have_attribute("aria-selected", "true")
    expect(dev.page.get_by_role("tab", name="Messages")).to_be_focused()


def test_escape_leaves_a_pane(window: Open) -> None:
    dev = window("dev", "#general")
    dev.write("Who looks after the shop tonight?")
    reply = dev.message("Who looks after").get_by_role("button", name="Reply in thread")
    dev.message("Who looks after").focus()
    press(dev.page, "Tab")
    expect(reply).to_be_focused()
    press(dev.page, "Enter")
    expect(dev.thread.get_by_role("button", name="Close thread")).to_be_focused()
    press(dev.page, "Escape")
    expect(dev.thread).to_be_hidden()
    expect(reply).to_be_focused()
    inspector = dev.page.get_by_role("button", name="Inspector")
    inspector.focus()
    press(dev.page, "Enter")
    expect(dev.page.get_by_role("button", name="Everything")).to_be_focused()
    press(dev.page, "Escape")
    expect(inspector).to_be_focused()


def test_escape_closes_a_panel_that_is_not_filled_yet(window: Open) -> None:
    dev = window("dev", "#general")
    dev.page.route("**/page/do/coming*", lambda route: None)
    clock = dev.tool("Clock")
    press(dev.page, "Escape")
    expect(clock).to_be_hidden()
    expect(dev.page.locator("#tools").get_by_role("button", name="Clock")).to_be_focused()
    dev.page.unroute_all(behavior="ignoreErrors")
