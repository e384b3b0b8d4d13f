"""A channel of a thousand messages can be scrolled through as a whole, and a new message does not
move a reader's place."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from bot.sandbox import Sandbox, running_sandbox
from bot.sandbox.seed_data import BEN, company
from tests.browser.conftest import opening
from tests.browser.windows import Window

MANY = 1000


@pytest.fixture
def alone() -> Iterator[Sandbox]:
    """A workspace without an app, with many messages in #general."""
    workspace = company()
    general = workspace.channel("#general")
    for number in range(MANY):
        workspace.post(
            general, {"user": BEN, "text": f"Message {number}: " + "and so on, " * (number % 30)}
        )
    with running_sandbox(workspace=workspace) as sandbox:
        yield sandbox


def top_of(one: Window) -> str:
    """The text of the first message on the screen."""
    look = """(main) => {
      const { top } = main.querySelector('[role=log]').parentElement.getBoundingClientRect();
      const seen = [...main.querySelectorAll('article')].find(
        (one) => one.getBoundingClientRect().bottom > top + 1);
      return seen.querySelector('.message-body').textContent;
    }"""
    return str(one.main.evaluate(look))


def test_a_thousand_messages_are_in_order_and_new_ones_wait_below(
    open_page: Callable[..., Page], alone: Sandbox
) -> None:
    dev = opening(open_page, alone)("dev", "#general")
    articles = dev.main.get_by_role("article")
    expect(dev.message(f"Message {MANY - 1}:")).to_be_in_viewport()
    assert articles.count() < MANY / 4, "everything is loaded at once"

    dev.message(f"Message {MANY - 1}:").hover()
    for _ in range(400):
        before = articles.count()
        dev.page.mouse.wheel(0, -3000)
        if before == MANY and dev.message("Message 0:").is_visible():
            break
        dev.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
    expect(articles).to_have_count(MANY)
    expect(dev.message("Message 0:")).to_be_in_viewport()
    found = articles.evaluate_all(
        "all => all.map((one) => parseInt(one.textContent.match(/Message (\\d+):/)[1]))"
    )
    assert found == list(range(MANY))

    reading = top_of(dev)
    alone.person("ben").say("#general", "The newest")
    to_the_end = dev.main.get_by_role("button", name="New messages")
    # Not `expect` alone: each of its attempts that fails describes the whole page, which takes many
    # seconds with a thousand messages.
    to_the_end.wait_for()
    assert top_of(dev) == reading
    to_the_end.click()
    expect(dev.message("The newest")).to_be_in_viewport()
    dev.write("An answer to it")
    dev.message("An answer to it").wait_for()
    expect(dev.message("An answer to it")).to_be_in_viewport()
