"""The menu of roles in the browser: found by typing, with keys, a screen reader's names, and a
thumb."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.windows import choose


def test_a_role_is_found_by_typing_and_taken_with_keys(window: Open) -> None:
    dev = window("dev", "#general")
    dev.write("/access")
    form = dev.dialog("Request access")
    role, offers = (
        form.get_by_role("combobox", name="Role"),
        form.get_by_role("listbox", name="Options"),
    )
    expect(role).to_be_focused()
    expect(role).to_have_attribute("aria-expanded", "false")

    dev.page.keyboard.type("read ONLY")
    expect(offers.get_by_role("option")).to_have_count(2)
    expect(role).to_have_attribute("aria-expanded", "true")
    dev.page.keyboard.press("ArrowUp")
    last = offers.get_by_role("option").last
    expect(last).to_have_attribute("aria-selected", "true")
    expect(role).to_have_attribute("aria-activedescendant", str(last.get_attribute("id")))
    dev.page.keyboard.press("ArrowDown")
    expect(offers.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    title = re.split("customer-data|reports-read", offers.get_by_role("option").first.inner_text())[
        0
    ].strip()
    dev.page.keyboard.press("Enter")
    expect(role).to_have_value(title)
    expect(offers).to_be_hidden()
    expect(form).to_contain_text("Gives ")
    expect(role).to_be_focused()


def test_escape_closes_the_menu_before_the_form_and_words_that_match_nothing_choose_nothing(
    window: Open,
) -> None:
    dev = window("dev", "#general")
    dev.write("/access")
    form = dev.dialog("Request access")
    role, offers = (
        form.get_by_role("combobox", name="Role"),
        form.get_by_role("listbox", name="Options"),
    )
    choose(form, "Role", "Customer records, read only")
    expect(form.get_by_label("Ticket")).to_be_visible()

    role.fill("no such thing")
    expect(offers).to_contain_text("Nothing found")
    dev.page.keyboard.press("Escape")
    expect(offers).to_be_hidden()
    expect(form).to_be_visible()
    form.get_by_label("Reason").focus()
    expect(role).to_have_value("Customer records, read only")
    dev.page.keyboard.press("Escape")
    dev.no_dialog()


def test_a_role_is_found_and_taken_with_a_thumb(window: Open) -> None:
    phone = {"viewport": {"width": 390, "height": 700}, "has_touch": True, "is_mobile": True}
    gwen = window("gwen", **phone)
    gwen.go("#general")
    gwen.shortcut("Request access")
    form = gwen.dialog("Request access")
    role = form.get_by_role("combobox", name="Role")
    role.tap()
    expect(form.get_by_role("option").first).to_be_visible()
    role.fill("sales")
    expect(form.get_by_role("option")).to_have_count(1)
    option = form.get_by_role("option", name="Sales reports, read only")
    box = option.bounding_box()
    assert (
        box is not None and box["height"] >= 32 and box["x"] >= 0 and box["x"] + box["width"] <= 390
    )
    option.tap()
    expect(role).to_have_value("Sales reports, read only")
    expect(form).to_contain_text("Gives ")
