"""A malicious reason stays plain text wherever it is shown: no script runs, nobody is mentioned, no
link appears, and the buttons stay where they belong."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from bot.sandbox.demo_environment import DemoEnvironment
from tests.browser.conftest import Open
from tests.browser.windows import Window, box_of, choose

MARK = "Ticket 4730."
HARM = (
    f"{MARK} <script>window.harmed = 1</script><img src=x onerror='window.harmed = 1'> <!channel>"
    " <!here> @channel <@U0BENOKAFO> <https://evil.example/|Approve> https://evil.example/login"
    " [Approve](https://evil.example/) javascript:alert(1) *bold* _it_ `code` ```pre``` > quote"
    " :key: \u202eevorppA\u202c שלום, זה דחוף مرحبا \u200b\u0301\u0301\u0301\u0301 &lt;b&gt;"
    " &amp; "
)
LONG = (HARM + "W" * 3000)[:3000]


def harmless(one: Window, shown: Locator) -> None:
    """The typed text is shown word for word, and had no effect."""
    for words in (
        "<script>window.harmed = 1</script>",
        "<!channel>",
        "<https://evil.example/|Approve>",
        "*bold*",
    ):
        expect(shown).to_contain_text(words)
    expect(
        shown.locator("script, img[onerror], iframe, a[href*=evil], a[href^=javascript]")
    ).to_have_count(0)
    expect(shown.locator(".mention").filter(has_text="channel")).to_have_count(0)
    assert one.page.evaluate("window.harmed") is None
    sideways = (
        "node => [node, document.documentElement].some((one) => one.scrollWidth > one.clientWidth"
        " + 1)"
    )
    assert not shown.evaluate(sideways), "something is wider than its place"


def test_a_malicious_reason_stays_plain_text(window: Open, on: DemoEnvironment) -> None:
    farid, ben = window("farid", "#general"), window("ben", "#access-approvals")
    before = on.sandbox.person("ben").messages("#general")
    farid.shortcut("Request access")
    form = farid.dialog("Request access")
    choose(form, "Role", "Sales reports, read only")
    expect(form).to_contain_text("Needs 1 approval")
    form.get_by_label("Reason").fill(LONG)
    assert len(form.get_by_label("Reason").input_value()) == 3000
    form.get_by_role("button", name="Send request").click()
    expect(farid.dialog("Request sent")).to_be_visible()

    ben.go("#db-approvals")
    message = ben.message(MARK)
    harmless(ben, message)
    expect(message.locator(".mention")).to_have_text(["@Farid Haddad"])
    buttons = (
        message.get_by_role("button", name="Approve"),
        message.get_by_role("button", name="Deny"),
    )
    expect(buttons[0]).to_have_text("Approve")
    author, approve, deny = (box_of(one) for one in (message.locator(".author"), *buttons))
    assert author["x"] == approve["x"] < deny["x"]

    buttons[1].click()
    form = ben.dialog("Deny request")
    harmless(ben, form)
    form.get_by_label("Reason").fill(LONG)
    form.get_by_role("button", name="Deny").click()
    ben.no_dialog()
    expect(message).to_contain_text("Denied by @Ben Okafor")
    harmless(ben, message)

    farid.page.keyboard.press("Escape")
    farid.no_dialog()
    farid.app("Messages")
    harmless(farid, farid.message("denied your request"))
    chiara = window("chiara", "#access-security")
    chiara.write("/access audit @farid since:1h")
    log = chiara.message("Audit log, newest first")
    expect(log).to_contain_text("<script>window.harmed = 1</script>")
    assert chiara.page.evaluate("window.harmed") is None
    assert on.sandbox.person("ben").messages("#general") == before


def test_a_malicious_message_stays_plain_text(window: Open) -> None:
    dev, ben = window("dev", "#general"), window("ben", "#general")
    dev.write(
        "<script>window.harmed = 1</script> <img src=x onerror='window.harmed = 1'> <!channel>"
        " said so"
    )
    message = ben.message("said so")
    expect(message).to_contain_text("<script>window.harmed = 1</script>")
    expect(message.locator("script, img, .mention")).to_have_count(0)
    for one in (dev, ben):
        assert one.page.evaluate("window.harmed") is None
