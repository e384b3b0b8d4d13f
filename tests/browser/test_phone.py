"""The page on a phone: 390 pixels wide, nothing outside the screen, everything within reach of a
thumb."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, ViewportSize, expect

from bot.sandbox.demo_environment import DemoEnvironment
from tests.browser.conftest import Open
from tests.browser.windows import Window, box_of, choose

WIDTH, HEIGHT = 390, 844
PHONE = {"viewport": ViewportSize(width=WIDTH, height=HEIGHT), "is_mobile": True, "has_touch": True}


@pytest.fixture
def phone(window: Open) -> Open:
    """A window as wide as a phone."""
    return lambda name: window(name, **PHONE)


def fits(one: Window) -> None:
    """Nothing sticks out at the right, so nothing scrolls sideways."""
    wide = """() => [...document.querySelectorAll('body *')].filter((node) => {
      const box = node.getBoundingClientRect();
      if (!box.width || box.right <= innerWidth + 1) return false;
      // These scroll by themselves.
      if (node.closest('.table-box, .records, .carousel, pre')) return false;
      for (let one = node; one; one = one.parentElement)
        if (getComputedStyle(one).clipPath !== 'none') return false;
      return true;
    }).map((node) => node.outerHTML.slice(0, 100))"""
    assert one.page.evaluate(wide) == []
    assert one.page.evaluate("document.documentElement.scrollWidth") <= WIDTH


def within_reach(control: Locator) -> None:
    """The element is on the screen and large enough for a finger."""
    expect(control).to_be_in_viewport(ratio=1)
    box = box_of(control)
    assert min(box["width"], box["height"]) >= 24


def test_the_list_and_the_conversation_take_turns(phone: Open) -> None:
    ben = phone("ben")
    expect(ben.side).to_be_visible()
    expect(ben.main).to_be_hidden()
    fits(ben)
    ben.go("#general")
    expect(ben.side).to_be_hidden()
    within_reach(ben.composer)
    within_reach(ben.main.get_by_role("button", name="Send"))
    ben.write("from the train")
    expect(ben.message("from the train")).to_be_in_viewport()
    fits(ben)
    ben.page.get_by_role("button", name="Back to the list").tap()
    expect(ben.side).to_be_visible()


def test_a_request_is_made_and_decided_with_a_thumb(phone: Open, on: DemoEnvironment) -> None:
    gwen, ben = phone("gwen"), phone("ben")
    gwen.go("#general")
    gwen.shortcut("Request access")
    form = gwen.dialog("Request access")
    choose(form, "Role", "Customer records, read only")
    expect(form.get_by_label("Ticket")).to_be_visible()
    form.get_by_label("Reason").fill("On the train, and order 4740 is wrong")
    form.get_by_label("Ticket").fill("SHOP-40")
    within_reach(form.get_by_role("button", name="Send request"))
    within_reach(form.get_by_role("button", name="Close"))
    fits(gwen)
    form.get_by_role("button", name="Send request").tap()
    expect(gwen.dialog("Request sent")).to_be_visible()

    ben.go("#db-approvals")
    message = ben.message("order 4740 is wrong")
    expect(message.get_by_role("button", name="Approve")).to_be_in_viewport()
    for name in ("Approve", "Deny", "Edit"):
        within_reach(message.get_by_role("button", name=name))
    fits(ben)
    message.get_by_role("button", name="Approve").tap()
    expect(message).to_contain_text("Approved by @Ben Okafor")

    on.sandbox.person("gwen").wait_dm("You have Customer records")
    gwen.page.keyboard.press("Escape")
    gwen.no_dialog()
    gwen.page.get_by_role("button", name="Back to the list").tap()
    gwen.app("Messages")
    within_reach(
        gwen.message("You have Customer records").get_by_role("button", name="Show credentials")
    )
    fits(gwen)
    gwen.tab("Home")
    within_reach(gwen.main.get_by_role("button", name="Show credentials"))
    fits(gwen)


def test_threads_tables_and_the_inspector_fit_too(phone: Open, on: DemoEnvironment) -> None:
    chiara = phone("chiara")
    chiara.go("#general")
    chiara.write("/access audit since:1h")
    table = chiara.message("Audit log, newest first").get_by_role("table")
    expect(table).to_be_in_viewport()
    fits(chiara)
    chiara.write("A question to all")
    message = chiara.message("A question to all")
    message.get_by_role("button", name="Reply in thread").tap()
    reply = chiara.thread.get_by_role("textbox", name="Reply…")
    within_reach(reply)
    reply.fill("and an answer")
    reply.press("Enter")
    expect(
        chiara.thread.get_by_role("article").filter(has_text="and an answer")
    ).to_be_in_viewport()
    fits(chiara)
    chiara.thread.get_by_role("button", name="Close thread").tap()
    chiara.page.get_by_role("button", name="Inspector").tap()
    expect(chiara.page.get_by_role("complementary", name="Inspector")).to_contain_text(
        "/access audit since:1h"
    )
    fits(chiara)
    chiara.page.get_by_role("button", name="Close inspector").tap()


def test_a_lead_s_home_fits_a_phone(phone: Open, on: DemoEnvironment) -> None:
    on.sandbox.person("emi").command("/access", "request oncall 1h The queue is stuck")
    chiara = phone("chiara")
    panel = chiara.app("Home").page.get_by_role("tabpanel", name="Home")
    expect(panel.get_by_role("heading", name="What you may ask for")).to_be_visible()
    expect(panel.get_by_role("heading", name="Everything active")).to_be_attached()
    fits(chiara)
