"""Forms: each error is at its field, and a denial asks for a reason and sends it on."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from bot.sandbox.demo_environment import DemoEnvironment
from tests.browser.conftest import Open
from tests.browser.windows import choose, error_of


def wrong_at(form: Locator, label: str, words: str) -> None:
    """Exactly this field has an error with these words, and the focus is there."""
    field = form.get_by_label(label)
    expect(error_of(field)).to_contain_text(words)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    expect(form.locator("[aria-invalid]")).to_have_count(1)


def test_each_error_is_at_its_field(window: Open) -> None:
    dev = window("dev", "#general")
    dev.write("/access")
    form = dev.dialog("Request access")
    send = form.get_by_role("button", name="Send request")

    choose(form, "Role", "Customer records, read only")
    expect(form.get_by_label("Ticket")).to_be_visible()
    form.get_by_label("Ticket").fill("SHOP-12")
    send.click()
    wrong_at(form, "Reason", "Please complete this required field.")

    form.get_by_label("Reason").fill("A customer asks what we know of them")
    form.get_by_label("Duration").fill("soon")
    send.click()
    wrong_at(form, "Duration", "`soon` is not a duration; write for example 30m")

    form.get_by_label("Duration").fill("5h")
    send.click()
    wrong_at(form, "Duration", "2h")

    form.get_by_label("Duration").fill("1h")
    form.get_by_label("Ticket").fill("the usual")
    send.click()
    wrong_at(form, "Ticket", r"^[A-Z]+-\d+$")

    form.get_by_label("Ticket").fill("SHOP-12")
    send.click()
    expect(dev.dialog("Request sent")).to_contain_text("Customer records, read only")


def test_typed_text_stays_when_another_role_is_chosen(window: Open) -> None:
    farid = window("farid", "#general")
    farid.shortcut("Request access")
    form = farid.dialog("Request access")
    form.get_by_label("Reason").fill("typed before the role was chosen")
    choose(form, "Role", "Customer records, read only")
    expect(form.get_by_label("Ticket")).to_be_visible()
    expect(form.get_by_label("Reason")).to_have_value("typed before the role was chosen")
    choose(form, "Role", "Sales reports, read only")
    expect(form.get_by_label("Ticket")).to_have_count(0)
    expect(form.get_by_label("Reason")).to_have_value("typed before the role was chosen")


def test_a_denial_asks_for_a_reason_and_sends_it_on(window: Open, on: DemoEnvironment) -> None:
    asked = "Refund for order 4712"
    on.sandbox.person("dev").command("/access", f"request shop-admin 1h {asked}")
    ben, dev = window("ben", "#access-approvals"), window("dev", "#general")
    ben.message(asked).get_by_role("button", name="Deny").click()
    form = ben.dialog("Deny request")
    expect(form).to_contain_text(asked)
    form.get_by_role("button", name="Deny").click()
    wrong_at(form, "Reason", "Please complete this required field.")

    form.get_by_label("Reason").fill("Farid has it already: ask him")
    form.get_by_role("button", name="Deny").click()
    ben.no_dialog()
    for words in ("Denied by @Ben Okafor", "Farid has it already: ask him"):
        expect(ben.message(asked)).to_contain_text(words)
    dev.app("Messages")
    expect(dev.message("@Ben Okafor denied your request")).to_contain_text(
        "Farid has it already: ask him"
    )


def test_an_approver_may_give_less_than_requested(window: Open, on: DemoEnvironment) -> None:
    asked = "Look at order 4713, for the whole afternoon"
    on.sandbox.person("farid").command("/access", f"request shop-admin 4h {asked}")
    gwen = window("gwen", "#access-approvals")
    gwen.message(asked).get_by_role("button", name="Edit").click()
    form = gwen.page.get_by_role("dialog")
    form.get_by_label("Duration").fill("30m")
    form.get_by_role("checkbox", name="orders:refund").uncheck()
    form.get_by_role("button", name="Approve").click()
    gwen.no_dialog()
    for words in (
        "Approved by @Gwen Moore",
        "Given for 30m, less than was asked for.",
        "Only: orders:read",
    ):
        expect(gwen.message(asked)).to_contain_text(words)
