"""axe-core finds nothing serious on the page: light and dark, on a desktop and on a phone, with
everything open once. The rules are those of axe-core, which comes with the wheel of
axe-playwright-python."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from bot.sandbox.demo_environment import DemoEnvironment
from tests.browser.conftest import Open
from tests.browser.test_phone import PHONE
from tests.browser.windows import Window, choose

BAD = {"serious", "critical"}
MARK = "Order 4800, to look at"


def audited(page: Page) -> None:
    """Fails with the findings that axe calls serious or critical, and their places."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    bad = [
        f"{one['impact']}: {one['help']}: {[node['html'][:160] for node in one['nodes'][:5]]}"
        for one in found
        if one["impact"] in BAD
    ]
    assert not bad, "\n".join(bad)


@pytest.fixture(scope="package")
def asked(on: DemoEnvironment) -> None:
    """Something in every place: a pending request, a decided one, active access, and a thread."""
    farid, ben, gwen = (on.sandbox.person(name) for name in ("farid", "ben", "gwen"))
    farid.command("/access", f"request shop-admin 2h {MARK}, decided")
    ben.click(ben.wait_message("#access-approvals", f"{MARK}, decided"), "Approve")
    gwen.command("/access", f"request shop-admin 1h {MARK}, waiting")
    message = ben.wait_message("#access-approvals", f"{MARK}, waiting")
    ben.say(
        "#access-approvals", "Which customer is it? <@U0GWENMOOR> *please*", thread_ts=message["ts"]
    )
    farid.wait_dm("You have Shop admin")


def channel(ben: Window) -> None:
    expect(ben.message(f"{MARK}, waiting").get_by_role("button", name="Approve")).to_be_visible()


def thread(ben: Window) -> None:
    ben.message(f"{MARK}, waiting").get_by_role("button", name=re.compile(r"^\d+ repl")).click()
    expect(ben.thread.get_by_role("article").filter(has_text="Which customer")).to_be_visible()


def modal(ben: Window) -> None:
    ben.message(f"{MARK}, waiting").get_by_role("button", name="Deny").click()
    form = ben.dialog("Deny request")
    form.get_by_role("button", name="Deny").click()
    expect(form.get_by_role("alert").filter(has_text="required")).to_be_visible()


def form(ben: Window) -> None:
    ben.shortcut("Request access")
    choose(ben.dialog("Request access"), "Role", "Customer records, read only")
    expect(ben.dialog("Request access").get_by_label("Ticket")).to_be_visible()


def inspector(ben: Window) -> None:
    ben.page.get_by_role("button", name="Inspector").click()
    records = ben.page.get_by_role("group", name="Calls and payloads, newest first")
    records.get_by_text("chat.postMessage").first.click()
    expect(records.get_by_role("heading", name="Sent by the app")).to_be_visible()


def tour(ben: Window) -> None:
    ben.page.get_by_role("button", name="Tour").click()
    expect(ben.page.get_by_role("complementary", name="Guided tour")).to_be_visible()


def clock(ben: Window) -> None:
    expect(ben.tool("Clock").get_by_role("button", name=re.compile("^The end"))).to_be_enabled()


def faults(ben: Window) -> None:
    expect(ben.tool("Faults").get_by_role("button", name="Kill the bot")).to_be_visible()


def home(ben: Window) -> None:
    if not ben.side.is_visible():
        ben.page.get_by_role("button", name="Back to the list").click()
    ben.app("Home")
    expect(ben.main.get_by_role("heading", name="Waiting for you")).to_be_visible()


def people(ben: Window) -> None:
    if not ben.side.is_visible():
        ben.page.get_by_role("button", name="Back to the list").click()
    ben.page.get_by_role("button", name="You are Ben Okafor").click()
    expect(ben.page.get_by_role("menu", name="Be somebody else")).to_be_visible()


SCENES: tuple[Callable[[Window], None], ...] = (
    *(channel, thread, modal, form, inspector),
    *(tour, clock, faults, home, people),
)
PROFILES: dict[str, dict[str, object]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": PHONE,
}


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_axe_finds_nothing_serious_on_any_page(
    window: Open, asked: None, profile: dict[str, object]
) -> None:
    ben = window("ben", "#access-approvals", reduced_motion="reduce", **profile)
    for scene in SCENES:
        scene(ben)
        audited(ben.page)
        put_away(ben)


def put_away(ben: Window) -> None:
    """Closes what a test has opened."""
    if ben.page.get_by_role("complementary", name="Guided tour").is_visible():
        ben.page.get_by_role("button", name="Close the tour").click()
    ben.page.keyboard.press("Escape")
    for open_one in (ben.page.get_by_role("dialog"), ben.page.get_by_role("menu"), ben.thread):
        expect(open_one.filter(visible=True)).to_have_count(0)


def test_axe_finds_nothing_serious_on_the_audit_table_and_the_protected_page(
    window: Open, open_page: Callable[..., Page], on: DemoEnvironment
) -> None:
    for profile in PROFILES.values():
        chiara = window("chiara", "#general", **profile)
        chiara.write("/access audit since:1d")
        expect(chiara.message("Audit log, newest first").get_by_role("table")).to_be_visible()
        audited(chiara.page)
        door = open_page(on.page.address, **profile)
        expect(door.get_by_role("heading", name="You need access to this page")).to_be_visible()
        audited(door)
        chiara.page.context.close()


def test_the_check_itself_finds_a_mistake(open_page: Callable[..., Page]) -> None:
    page = open_page("about:blank")
    page.set_content(
        "<html><title>x</title><main><input><p"
        " style='color:#aaa;background:#fff'>pale</p></main></html>"
    )
    with pytest.raises(AssertionError, match="label"):
        audited(page)
