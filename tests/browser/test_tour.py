"""The guided tour: somebody who knows nothing does only what it says, and comes to the end of the
story."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from bot.sandbox import running_sandbox
from bot.sandbox.demo_environment import DemoEnvironment
from bot.sandbox.person import Person
from tests.browser.conftest import Open
from tests.browser.windows import choose

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
Arrive = Callable[..., Page]


@pytest.fixture(autouse=True)
def nothing_held(on: DemoEnvironment) -> None:
    """Dev begins without access and without a request, whatever was played before."""
    dev = on.sandbox.person("dev")
    dev.command("/access", "cancel shop-admin")
    dev.command("/access", "done shop-admin")
    if dev.view():
        dev.close_view()


@pytest.fixture
def onboarding_ends(on: DemoEnvironment) -> Iterator[None]:
    """Ends Dev's onboarding after the test, because a newcomer has one at a time."""
    yield
    chiara = on.sandbox.person("chiara")
    for listed in chiara.command("/access", "onboard list").messages:
        if "[End]" in chiara.plain(listed):
            chiara.click(listed, "End")


@pytest.fixture
def arrive(open_page: Callable[..., Page], on: DemoEnvironment) -> Arrive:
    """Comes to the address that the demo prints, without saying who one is."""
    return lambda **profile: open_page(f"{on.sandbox.base_url}/", **profile)


def tour(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Guided tour")


def press(page: Page, name: str) -> None:
    tour(page).get_by_role("button", name=name, exact=True).click()


def use(page: Page) -> None:
    """Presses what the tour points at, which lies neither under the tour nor off the screen."""
    pointed = page.locator(".pointed")
    expect(pointed).to_have_count(1)
    expect(pointed).to_be_in_viewport()
    page.wait_for_function("""() => {
          const box = document.querySelector('.pointed')?.getBoundingClientRect();
          const at = box
            && document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
          return Boolean(at?.closest('.pointed'));
        }""")
    pointed.click()


def step(page: Page, number: int) -> None:
    expect(tour(page)).to_contain_text(f"Step {number} of 12")


def until(page: Page, words: str) -> None:
    """Goes ahead with the clock as pointed at, as often as it takes: others may have reminders and
    ends before."""
    row = page.locator(".pointed[data-clock=reminder], .pointed[data-clock=end]")
    for _ in range(10):
        use(page)
        expect(row).to_be_visible()
        mine = "Dev Patel" in row.inner_text()
        use(page)
        expect(page.get_by_role("dialog", name="Clock")).to_be_hidden()
        if mine:
            break
    expect(tour(page)).to_contain_text(words)


def ask(page: Page) -> None:
    """From the offer to a request that was sent."""
    press(page, "Start the tour")
    step(page, 1)
    press(page, "Be Dev")
    press(page, "Write it for me")
    expect(page.get_by_role("textbox", name="Message #shop")).to_be_focused()
    page.keyboard.press("Enter")
    form = page.get_by_role("dialog", name="Request access")
    expect(form).to_contain_text("Choose “Shop admin, read and refund”")
    choose(form, "Role", "Shop admin, read and refund")
    expect(form).to_contain_text("Needs 1 approval")
    form.get_by_label("Reason").fill("SHOP-12 waits for its money")
    form.get_by_role("button", name="Send request").click()
    sent = page.get_by_role("dialog", name="Request sent")
    expect(sent).to_contain_text("the tour continues behind it")
    sent.get_by_role("button", name="Close").last.click()
    step(page, 2)


def approve(page: Page) -> None:
    """By Ben, to the message with the way in."""
    press(page, "Be Ben")
    expect(page.locator(".pointed")).to_have_text("Approve")
    use(page)
    step(page, 3)
    expect(tour(page)).to_contain_text("Ben approved")
    press(page, "Be Dev")


def take_in_an_emergency(page: Page) -> None:
    press(page, "Be Emi")
    press(page, "Write it for me")
    expect(page.get_by_role("textbox", name="Message #shop")).to_be_focused()
    page.keyboard.press("Enter")
    step(page, 8)


def review(page: Page) -> None:
    press(page, "Be Chiara")
    expect(page.locator(".pointed")).to_have_text("Sign review")
    use(page)
    form = page.get_by_role("dialog", name="Sign review")
    form.get_by_label("Conclusion").fill("It was right: nobody else was there.")
    form.get_by_role("button", name="Sign").last.click()


def plan(page: Page, chiara: Person) -> None:
    """Chiara plans Dev's first weeks with Ben as the mentor."""
    press(page, "Write it for me")
    page.keyboard.press("Enter")
    form = page.get_by_role("dialog", name="Plan an onboarding")
    expect(form).to_contain_text("Choose Dev as newcomer")
    before = (chiara.view() or {})["hash"]
    form.get_by_label("Newcomer").select_option("Dev Patel")
    # The whole view also differs by what was chosen; the hash differs once the bot has answered.
    chiara.wait_for(lambda: (chiara.view() or {})["hash"] != before)
    form.get_by_label("Bundle").select_option("New engineer")
    expect(form).to_contain_text("when the mentor opens it")
    form.get_by_label("Mentor").select_option("Ben Okafor")
    form.get_by_role("button", name="Start").click()
    shown = page.get_by_role("dialog", name="Onboarding", exact=True)
    expect(shown).to_contain_text("has started")
    shown.get_by_role("button", name="Close").last.click()
    step(page, 10)


def open_stage(page: Page) -> None:
    """Days pass for Dev, and Ben opens the next stage."""
    press(page, "Be Dev")
    until(page, "Step 11 of 12")
    press(page, "Be Ben")
    expect(page.locator(".pointed")).to_have_text("Open stage")
    use(page)
    step(page, 12)
    press(page, "Be Chiara")


@pytest.mark.parametrize("profile", [{}, PHONE], ids=["desk", "phone"])
@pytest.mark.usefixtures("onboarding_ends")
def test_a_newcomer_who_does_what_the_tour_says_sees_all_of_the_story(
    arrive: Arrive, profile: dict[str, object], on: DemoEnvironment
) -> None:
    page = arrive(**profile)
    ask(page)
    approve(page)
    use(page)
    shown = page.get_by_role("dialog", name="Credentials")
    expect(shown).to_contain_text("Press Open in browser")
    with page.expect_popup() as opened:
        page.locator(".pointed").click()
    shop = opened.value
    shop.get_by_role("button", name="Continue").click()
    expect(shop.get_by_text("Signed in as")).to_be_visible()
    shown.get_by_role("button", name="Close").last.click()
    step(page, 5)
    until(page, "nearly over")
    use(page)
    step(page, 6)
    until(page, "Step 7 of 12")
    step(page, 7)
    expect(shop.get_by_text("You need access to this page")).to_be_visible()
    take_in_an_emergency(page)
    review(page)
    step(page, 9)
    plan(page, on.sandbox.person("chiara"))
    open_stage(page)
    press(page, "Write it for me")
    expect(page.get_by_role("textbox", name="Message #access-approvals")).to_be_focused()
    page.keyboard.press("Enter")
    expect(tour(page).get_by_role("heading", name="You have seen everything")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("table").last).to_contain_text("grant:access:ended")
    press(page, "Start again")
    step(page, 1)


def test_it_continues_after_a_reload_and_in_another_window_and_can_be_closed(
    arrive: Arrive, on: DemoEnvironment
) -> None:
    page = arrive()
    ask(page)
    page.reload()
    step(page, 2)
    second = page.context.new_page()
    second.goto(f"{on.sandbox.base_url}/?as=ben#C0APPROVAL")
    step(second, 2)
    expect(tour(second)).to_contain_text("You are Ben Okafor")
    use(second)
    step(second, 3)
    step(page, 3)
    expect(tour(page)).to_contain_text("You are Dev Patel")
    press(page, "Back")
    step(page, 2)
    press(page, "Next")
    step(page, 3)
    press(page, "Skip")
    step(page, 4)
    press(page, "Start again")
    step(page, 1)
    step(second, 1)
    expect(tour(page).get_by_role("heading")).to_be_focused()
    press(page, "Close the tour")
    expect(tour(page)).to_be_hidden()
    expect(page.locator(".pointed")).to_have_count(0)
    opener = page.get_by_role("button", name="Tour")
    expect(opener).to_be_focused()
    page.reload()
    expect(opener).to_be_visible()
    expect(tour(page)).to_be_hidden()
    opener.press("Enter")
    expect(tour(page).get_by_role("heading")).to_be_focused()


def test_a_denial_does_not_advance_the_tour_and_earlier_access_continues_it(
    arrive: Arrive, on: DemoEnvironment
) -> None:
    page = arrive()
    ask(page)
    press(page, "Be Ben")
    page.get_by_role("main").get_by_role("button", name="Deny").last.click()
    deny = page.get_by_role("dialog", name="Deny request")
    deny.get_by_label("Reason").fill("Not today")
    deny.get_by_role("button", name="Deny").click()
    expect(tour(page)).to_contain_text("This request was not approved")
    step(page, 2)

    dev, ben = on.sandbox.person("dev"), on.sandbox.person("ben")
    dev.command("/access", "request shop-admin 1h given before the tour")
    ben.click(ben.wait_message("#access-approvals", "given before the tour"), "Approve")
    dev.wait_for(lambda: "shop-admin" in dev.command("/access", "list").text)
    fresh = arrive()
    press(fresh, "Start the tour")
    press(fresh, "Be Dev")
    fresh.get_by_role("textbox", name="Message #shop").fill(
        "/access request shop-admin 1h once more"
    )
    fresh.keyboard.press("Enter")
    step(fresh, 3)
    press(fresh, "Go to Access")
    use(fresh)
    expect(fresh.get_by_role("dialog", name="Credentials")).to_be_visible()


def test_without_a_mouse_the_tour_leads_to_what_it_is_about(arrive: Arrive) -> None:
    page = arrive()
    expect(tour(page)).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the tour")).to_be_focused()
    page.keyboard.press("Enter")
    expect(tour(page).get_by_role("heading")).to_be_focused()
    page.keyboard.press("Tab")
    expect(tour(page).get_by_role("button", name="Start the tour")).to_be_focused()
    page.keyboard.press("Enter")
    step(page, 1)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(tour(page)).to_contain_text("You are Dev Patel")
    expect(tour(page).get_by_role("heading")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Message #shop")).to_have_value("/access")
    live = tour(page).locator("[aria-live=polite]")
    expect(live).to_contain_text("A newcomer needs production")


def test_nobody_is_offered_it_who_came_as_somebody_or_where_there_is_no_story(
    window: Open, on: DemoEnvironment, open_page: Callable[..., Page]
) -> None:
    ana = window("ana", "#general")
    expect(tour(ana.page)).to_be_hidden()
    expect(ana.page.get_by_role("button", name="Tour")).to_be_visible()

    with running_sandbox() as alone:
        page = open_page(f"{alone.base_url}/")
        expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
        expect(tour(page)).to_be_hidden()
        expect(page.get_by_role("button", name="Tour")).to_be_hidden()
        page.goto("about:blank")
