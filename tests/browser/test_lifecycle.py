"""The whole lifecycle by clicking, as three people in three windows and at the door of a real
nginx."""

from __future__ import annotations

import re
from contextlib import suppress

from playwright.sync_api import Page, TimeoutError, expect

from bot.sandbox.demo_environment import LINK
from tests.browser.conftest import Open
from tests.browser.windows import Window, choose

WHY = "Order 4711: the customer waits for a refund"


def test_from_the_question_to_the_locked_door(window: Open, nobody_holds: None) -> None:
    """Asked in a form, approved by a button, used at the door, reminded, renewed, given back, and
    on record.

    All that is done on the page; no window is loaded anew.
    """
    ana = window("ana", "#general", permissions=["clipboard-read", "clipboard-write"])
    ben, chiara = window("ben", "#access-approvals"), window("chiara", "#general")
    loaded: list[Page] = []
    for one in (ana, ben, chiara):
        one.page.on("load", lambda page: loaded.append(page))

    ask(ana)
    expect(chiara.entry("#access-approvals")).to_contain_text("unread")
    message = ben.message(WHY)
    message.get_by_role("button", name="Approve").click()
    expect(message).to_contain_text("Approved by @Ben Okafor")
    expect(message.get_by_role("button", name="Approve")).to_have_count(0)

    expect(ana.entry("Access")).to_contain_text("for you")
    closed = knock(ana)
    expect(closed.get_by_role("heading", name="You need access to this page")).to_be_visible()
    door = enter(ana)
    expect(door.get_by_text("ana@example.com")).to_be_visible()

    renew(ana)
    expect(ana.message("Renewed")).to_be_visible()
    give_back(ana)
    expect(door.get_by_role("heading", name="You need access to this page")).to_be_visible()
    expect(door.get_by_role("table")).to_have_count(0)

    message.get_by_role("button", name=re.compile(r"^\d+ repl")).click()
    expect(message).to_contain_text("Ended")
    replies = ben.thread.get_by_role("log").get_by_role("article")
    expect(replies.filter(has_text="Ended")).to_contain_text("given back")
    read_the_log(chiara)
    assert not loaded


def ask(ana: Window) -> None:
    """Through the form, which a shortcut opens and which says what the role gives."""
    ana.shortcut("Request access")
    form = ana.dialog("Request access")
    choose(form, "Role", "Shop admin, read and refund")
    expect(form).to_contain_text("Needs 1 approval from @db-leads")
    form.get_by_label("Duration").fill("2h")
    form.get_by_label("Reason").fill(WHY)
    form.get_by_role("button", name="Send request").click()
    sent = ana.dialog("Request sent")
    expect(sent).to_contain_text("It needs 1 approval; 2 people can give one.")
    sent.get_by_role("button", name="Close").last.click()
    ana.no_dialog()


def knock(ana: Window) -> Page:
    """Opens the protected system in a tab of its own, from the bar."""
    with ana.page.expect_popup() as opened:
        ana.page.get_by_role("link", name=LINK).click()
    return opened.value


def enter(ana: Window) -> Page:
    """Opens the link out of the message that came, after copying the token, too."""
    ana.app("Messages")
    ana.message("You have Shop admin").get_by_role("button", name="Show credentials").click()
    shown = ana.dialog("Credentials")
    shown.get_by_role("button", name="Copy").click()
    expect(shown.get_by_role("button", name="Copied")).to_be_visible()
    with ana.page.expect_popup() as opened:
        shown.get_by_role("button", name="Open in browser").click()
    opened.value.get_by_role("button", name="Continue").click()
    ana.page.keyboard.press("Escape")
    ana.no_dialog()
    return opened.value


def renew(ana: Window) -> None:
    """Lets the time pass until she is reminded, and takes more from that message."""
    ana.page.bring_to_front()
    ana.jump("Next reminder")
    reminder = ana.message("Still working?")
    expect(reminder).to_contain_text("in 30 min")
    reminder.get_by_role("button", name="Renew").click()


def give_back(ana: Window) -> None:
    """Gives the access back, and says yes to the question."""
    done, question = ana.message("Renewed").get_by_role("button", name="I'm done"), ana.question
    for _ in range(6):  # a message that arrives at that moment moves the button: press again
        with suppress(TimeoutError):
            done.click(timeout=5000)
            question.wait_for(timeout=5000)
            break
    ana.confirm("I'm done")
    expect(ana.message("has ended")).to_contain_text("you gave it back")


def read_the_log(chiara: Window) -> None:
    """A lead reads all of it in a table."""
    chiara.go("#access-approvals")
    chiara.write("/access audit @ana role:shop-admin since:1d")
    log = chiara.message("Audit log, newest first")
    expect(log).to_contain_text("Only visible to you")
    events = [
        "grant:access:ended",
        "grant:access:renewed",
        "request:approval:given",
        "request:access:asked",
    ]
    for event in events:
        expect(log.get_by_role("row").filter(has_text=event)).to_have_count(1)
    expect(log.get_by_role("row").filter(has_text="request:access:asked")).to_contain_text(WHY)
