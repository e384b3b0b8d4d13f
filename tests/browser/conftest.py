"""A real Chromium, the real bot in the demo, and windows that belong to people of the company.
Without Chromium everything here is skipped, and `make test` says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from bot.sandbox import Sandbox
from bot.sandbox.demo_environment import DemoEnvironment, running_demo
from tests.browser import NO_BROWSER
from tests.browser.windows import PATIENCE, Window

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No browser sandbox, because it runs as root in continuous integration; and no calls to the
# network.
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PEOPLE = ("ana", "ben", "chiara", "dev", "emi", "farid", "gwen")
Open = Callable[..., Window]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser of this test process."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def on(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoEnvironment]:
    """The demo with the real bot, without Slack's rate limits, so that one test does not slow the
    next."""
    with running_demo(tmp_path_factory.mktemp("demo")) as up:
        up.sandbox.admin.rate_limits(False)
        yield up


@pytest.fixture
def nobody_holds(on: DemoEnvironment) -> None:
    """Ends all access of earlier tests, so that later access comes only from the test itself."""
    while held := (on.bot.coming() or {}).get("end"):
        on.sandbox.person(held["person"]).command("/access", f"done {held['role']}")


@pytest.fixture
def wrong(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The errors in the windows of a test: scripts that failed, and error messages in the
    console."""
    found: list[str] = []
    yield found
    assert not found


@pytest.fixture
def open_page(chromium: Browser, wrong: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens an address in a new browser profile, which gets the other arguments."""
    contexts = []

    def open_one(address: str, **profile: object) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **profile})  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        context.on("page", lambda page: watch(page, wrong))
        page = context.new_page()
        page.goto(address)
        return page

    yield open_one
    for context in contexts:
        context.close()


def watch(page: Page, wrong: list[str]) -> None:
    """Records the failures in a window. A refused answer of the server is no failure of the
    page."""
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda said: (
            wrong.append(said.text)
            if said.type == "error" and not said.text.startswith("Failed to load")
            else None
        ),
    )


@pytest.fixture
def window(open_page: Callable[..., Page], on: DemoEnvironment) -> Iterator[Open]:
    """Opens a window of the workspace as a person: `window("ana", "#access-approvals",
    viewport=…)`. Modals that are left open are closed at the end."""
    yield opening(open_page, on.sandbox)
    for name in PEOPLE:
        person = on.sandbox.person(name)
        while person.view():
            person.close_view()


def opening(open_page: Callable[..., Page], sandbox: Sandbox) -> Open:
    """Returns a function that opens windows of this workspace."""

    def open_as(name: str, place: str = "", **profile: object) -> Window:
        return Window(open_page(f"{sandbox.base_url}/?as={name}", **profile), name).ready(place)

    return open_as
