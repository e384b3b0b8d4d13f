"""The whole way of a browser, from the press in Slack to the page behind nginx and Caddy, with the
configuration of docs/gateways.md, and out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import opening
from tests.browser.windows import Window
from tests.builders import SYSTEMS, browser_systems
from tests.faults.running_bot import ROLES, Company, running_company
from tests.web.proxies import PROXIES, a_proxy, free_port


@pytest.fixture
def port() -> int:
    """The port of the protected page."""
    return free_port()


@pytest.fixture
def company(tmp_path: Path, port: int) -> Iterator[Company]:
    with running_company(tmp_path) as found:
        systems = browser_systems(f"http://127.0.0.1:{port}")
        found.roles.write_text(ROLES.replace(SYSTEMS, systems))
        found.start()
        yield found


def test_a_person_gets_in_and_out_with_a_browser(
    company: Company, port: int, open_page: Callable[..., Page], tmp_path: Path
) -> None:
    ana = opening(open_page, company.sandbox)("ana", "Access").tab("Messages")
    bot = int(company.bot.url.rpartition(":")[2])
    for kind in PROXIES:
        with a_proxy(kind, bot, tmp_path, port):
            company.hold(company.ana, "shop-admin")
            door = enter(ana)
            sees_the_page(door)
            if kind == "nginx":
                company.access(company.ana, "done shop-admin")
            else:
                signs_out(door, port)
            is_refused(door, port)


def enter(ana: Window) -> Page:
    """The presses in Slack, and the one on the page behind the link."""
    ana.message("You have Shop admin").get_by_role("button", name="Show credentials").click()
    shown = ana.dialog("Credentials")
    with ana.page.expect_popup() as opened:
        shown.get_by_role("button", name="Open in browser").click()
    door = opened.value
    ana.page.keyboard.press("Escape")
    ana.no_dialog()
    expect(door.get_by_text("Continue only if you pressed")).to_be_visible()
    door.get_by_role("button", name="Continue").click()
    return door


def sees_the_page(door: Page) -> None:
    """The page behind the proxy shows the headers that it received."""
    expect(door.get_by_text("ana@example.com")).to_be_visible()
    (cookie,) = door.context.cookies(door.url)
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("access", True, "Lax")
    assert cookie["value"] not in door.content()


def signs_out(door: Page, port: int) -> None:
    door.goto(f"http://127.0.0.1:{port}/_access/")
    expect(door.get_by_role("heading", name="This browser is signed in")).to_be_visible()
    door.get_by_role("button", name="Sign out").click()
    expect(door.get_by_role("heading", name="You need access to this page")).to_be_visible()
    assert door.context.cookies(door.url) == []


def is_refused(door: Page, port: int) -> None:
    """The page of the bot is there instead, and leads to the app in Slack."""
    answer = door.goto(f"http://127.0.0.1:{port}/orders")
    assert answer is not None and answer.status == 401
    expect(door.get_by_role("heading", name="You need access to this page")).to_be_visible()
    link = door.get_by_role("link", name="Ask in Slack").get_attribute("href")
    assert link is not None and link.startswith("slack://app?team=T")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    colour = "getComputedStyle(document.querySelector('.go')).backgroundColor"
    assert door.evaluate(colour) == "rgb(11, 110, 79)", "its own style is allowed"
