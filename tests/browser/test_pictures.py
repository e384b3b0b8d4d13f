"""The pictures of the README. `make screenshots` takes them again; every other run compares the
words of each picture with what is shown now, so that no picture gets out of date. A file beside
each picture has what a screen reader finds in it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from bot.sandbox.demo_environment import DemoEnvironment, running_demo
from tests.browser.conftest import opening
from tests.browser.windows import Window

FOLDER = Path(__file__).parents[2] / "docs" / "images"
WRITING = bool(os.environ.get("SCREENSHOTS"))
HEAVIEST = 150_000
WHY = "SHOP-12: charged twice"
# Parts that differ from run to run: times, and ids of requests and grants.
PASSING = {
    r"(today|tomorrow|yesterday) at \d\d:\d\d": "today at 12:00",
    r"\b\d\d:\d\d\b": "12:00",
    r"\b[rg][a-z0-9]{11}\b": "xxxxxxxxxxxx",
    r"\d[\w ]* left\b": "8h left",
    r"\bnagging [a-z0-9]{12}\b": "nagging xxxxxxxxxxxx",
    r"(median|within) \d+\w+": r"\1 0s",
    r"(Longest access\n.*text: ).*": r"\1…",
    r"\b[A-Z][a-z]{2} \d{1,2}, \d{4}\b": "Jan 1, 2030",
}


@pytest.fixture(scope="module")
def story(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoEnvironment]:
    """A demo in which only this story happened, so that the pictures are the same each time."""
    folder = tmp_path_factory.mktemp("pictures")
    roles = folder / "example.toml"
    digest = '[workspace]\ndigest = "Mon 09:00"\n'
    roles.write_text(Path("roles.toml").read_text().replace("[workspace]\n", digest, 1))
    with running_demo(folder / "demo", roles=roles) as on:
        ana, ben, dev, gwen = (on.sandbox.person(name) for name in ("ana", "ben", "dev", "gwen"))
        ana.command("/access", f"request shop-admin 2h {WHY}")
        ben.click(ben.wait_message("#access-approvals", WHY), "Approve")
        opened = ana.click(ana.wait_dm("You have Shop admin"), "Show credentials")
        assert opened.ok
        ana.wait_view("Your token")
        ana.close_view()
        ben.command("/access", "request reports-read 8h Which shops lose money")
        gwen.click(gwen.wait_message("#db-approvals", "lose money"), "Approve")
        ben.wait_dm("You have Sales reports")
        dev.command("/access", "request shop-admin 1h SHOP-15: the parcel never arrived")
        ben.wait_message("#access-approvals", "SHOP-15")
        yield on


def compared(name: str, window: Window, area: Locator, shown: Locator | None = None) -> None:
    """Takes the picture, of the window or of what is `shown`, or compares its words with what the
    area shows now."""
    now = area.aria_snapshot() + "\n"
    for passing, lasting in PASSING.items():
        now = re.sub(passing, lasting, now)
    picture, words = FOLDER / f"{name}.png", FOLDER / f"{name}.txt"
    if WRITING:
        FOLDER.mkdir(exist_ok=True)
        window.page.mouse.move(0, 0)
        (shown or window.page).screenshot(path=picture, animations="disabled", caret="hide")
        words.write_text(now)
    assert picture.stat().st_size < HEAVIEST
    assert words.read_text() == now, (
        f"docs/images/{name}.png shows something else: run make screenshots"
    )


@pytest.fixture
def photographed(open_page: Callable[..., Page], story: DemoEnvironment) -> Callable[..., Window]:
    """A window of the right size, in English and light."""

    def open_as(name: str, place: str, width: int, height: int) -> Window:
        size = ViewportSize(width=width, height=height)
        return opening(open_page, story.sandbox)(
            name, place, viewport=size, locale="en-GB", color_scheme="light"
        )

    return open_as


def test_an_approval_message(photographed: Callable[..., Window]) -> None:
    ben = photographed("ben", "#access-approvals", 1120, 720)
    message = ben.message("SHOP-15")
    expect(message.get_by_role("button", name="Approve")).to_be_in_viewport()
    compared("approval", ben, message)


def test_app_home(photographed: Callable[..., Window], story: DemoEnvironment) -> None:
    ben = photographed("ben", "", 1120, 720)
    ben.app("Home")
    panel = ben.page.get_by_role("tabpanel", name="Home")
    expect(panel.get_by_role("heading", name="Waiting for you (1)")).to_be_visible()
    compared("home", ben, panel)


def test_the_audit_table(photographed: Callable[..., Window]) -> None:
    chiara = photographed("chiara", "#access-approvals", 1440, 560)
    chiara.write("/access audit role:shop-admin")
    log = chiara.message("Audit log, newest first")
    expect(log.get_by_role("row").filter(has_text="grant:credentials:shown")).to_be_visible()
    compared("audit", chiara, log)


def test_the_card_of_a_request(photographed: Callable[..., Window]) -> None:
    ben = photographed("ben", "#access-approvals", 560, 760)
    ben.message("SHOP-15").get_by_role("button", name="Details").click()
    card = ben.dialog("Details")
    expect(card.get_by_text("met: may ask for this role")).to_be_visible()
    compared("card", ben, card)


def test_the_plan_of_an_onboarding(
    photographed: Callable[..., Window], story: DemoEnvironment
) -> None:
    chiara = photographed("chiara", "#access-approvals", 560, 760)
    chiara.write("/access onboard")
    form, lead = chiara.dialog("Plan an onboarding"), story.sandbox.person("chiara")
    empty = lead.view()
    form.get_by_label("Newcomer").select_option("Dev Patel")
    lead.wait_for(lambda: lead.view() != empty)
    form.get_by_label("Bundle").select_option("New engineer")
    expect(form).to_contain_text("when the mentor opens it")
    form.get_by_label("Mentor").select_option("Ben Okafor")
    compared("onboarding", chiara, form)


def test_a_flag_and_an_anchor(photographed: Callable[..., Window], story: DemoEnvironment) -> None:
    farid, chiara = (story.sandbox.person(name) for name in ("farid", "chiara"))
    while chiara.view():
        chiara.close_view()
    for number in range(5):
        farid.command("/access", f"request shop-admin 30m SHOP-{20 + number}: a broken parcel")
        farid.command("/access", "cancel shop-admin")
    chiara.wait_message("#access-security", "nagging")
    chiara.command("/access", "audit verify")
    chiara.wait_message("#access-security", "Anchor of the audit log")
    lead = photographed("chiara", "#access-security", 1120, 720)
    flag = lead.message("nagging")
    expect(flag.get_by_role("button", name="Investigate")).to_be_in_viewport()
    compared("flag", lead, flag)


def test_a_review(photographed: Callable[..., Window], story: DemoEnvironment) -> None:
    gwen, chiara = (story.sandbox.person(name) for name in ("gwen", "chiara"))
    chiara.command("/access", "review start due 7d")
    gwen.wait_dm("review")
    window = photographed("gwen", "#access-approvals", 560, 760)
    window.write("/access review")
    compared("review", window, window.dialog("Review of access"))


def test_a_digest(photographed: Callable[..., Window], story: DemoEnvironment) -> None:
    """The last test, because it moves the clock: to the last hour of the week, and then past it."""
    now = datetime.fromtimestamp(time.time(), ZoneInfo("Europe/Berlin"))
    monday = (now - timedelta(days=now.weekday())).replace(hour=8, minute=30)
    ahead = ((monday - now) % timedelta(days=7)).total_seconds()
    if not 10 * 3600 < ahead < 7 * 86400 - 1800:
        pytest.skip("a week ends during this story")
    ana, ben, emi, gwen, chiara = (
        story.sandbox.person(n) for n in ("ana", "ben", "emi", "gwen", "chiara")
    )
    _leap(story, ahead)
    for holder in (ana, ben):
        holder.wait_dm("has ended")
    emi.command("/access", "request reports-read 8h The sales of November")
    gwen.click(gwen.wait_message("#db-approvals", "of November"), "Approve")
    emi.wait_dm("You have Sales reports")
    _leap(story, ahead + 1860)
    chiara.wait_message("#access-security", "Access digest")
    lead = photographed("chiara", "#access-security", 1120, 1600)
    digest = lead.message("Access digest")
    compared("digest", lead, digest.get_by_role("list").first, digest)


def _leap(story: DemoEnvironment, ahead: float) -> None:
    story.sandbox.admin.advance_clock(ahead - story.bot.ahead)
    story.bot.follow(ahead)
