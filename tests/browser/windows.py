"""One person's window, in which elements are found as a person finds them: by roles, labels and
words. Nothing here sleeps: each look-up waits for its element."""

from __future__ import annotations

import re

from playwright.sync_api import FloatRect, Locator, Page, expect

# Long enough for the whole suite on a busy machine.
PATIENCE = 30_000
expect.set_options(timeout=PATIENCE)


class Window:
    """A window of the workspace as one person."""

    def __init__(self, page: Page, name: str) -> None:
        self.page, self.name = page, name

    def ready(self, place: str = "") -> Window:
        """Waits until the page is there, and goes to a conversation if one is named."""
        expect(self.page.get_by_role("button", name="You are")).to_be_attached()
        return self.go(place) if place else self

    # navigation

    @property
    def side(self) -> Locator:
        """The list of conversations."""
        return self.page.get_by_role("navigation", name="Conversations")

    @property
    def main(self) -> Locator:
        """The open conversation in the middle."""
        return self.page.get_by_role("main")

    def entry(self, place: str) -> Locator:
        """A channel, `#general`, or the app by its name, in that list; its name includes an unread
        mark."""
        return self.side.get_by_role(
            "link", name=re.compile(rf"^{re.escape(place.removeprefix('#'))}\b(?!-)")
        )

    def go(self, place: str) -> Window:
        """Opens a channel or the app."""
        self.entry(place).click()
        expect(
            self.main.get_by_role("heading", name=place.removeprefix("#"), level=1)
        ).to_be_visible()
        return self

    def app(self, tab: str) -> Window:
        """Opens the app, and one of its tabs."""
        return self.go("Access").tab(tab)

    def tab(self, tab: str) -> Window:
        """Opens another tab of the app."""
        self.page.get_by_role("tab", name=tab).click()
        expect(self.page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
        return self

    # messages

    def message(self, *words: str | re.Pattern[str]) -> Locator:
        """The newest message in the middle that has all these words."""
        found = self.main.get_by_role("article")
        for some in words:
            found = found.filter(has_text=some)
        return found.last

    @property
    def thread(self) -> Locator:
        """The thread beside the conversation."""
        return self.page.get_by_role("complementary", name="Thread")

    @property
    def composer(self) -> Locator:
        """The field in which a person types a message."""
        return self.main.get_by_role("textbox", name="Message")

    def write(self, words: str) -> None:
        """Types something and sends it with Enter."""
        self.composer.fill(words)
        self.composer.press("Enter")
        expect(self.composer).to_have_value("")

    # modals

    def dialog(self, title: str) -> Locator:
        """The modal with this title, once it is open."""
        found = self.page.get_by_role("dialog", name=title)
        expect(found).to_be_visible()
        return found

    def no_dialog(self) -> None:
        """Waits until no modal is open."""
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    @property
    def question(self) -> Locator:
        """The question that a button asks before it does something."""
        return self.page.get_by_role("alertdialog")

    def confirm(self, answer: str) -> None:
        """Answers that question."""
        self.question.get_by_role("button", name=answer).click()

    # the bar

    def tool(self, name: str) -> Locator:
        """Opens a panel of the bar, the clock or the faults."""
        self.page.locator("#tools").get_by_role("button", name=name).click()
        found = self.page.get_by_role("dialog", name=name)
        expect(found).to_be_visible()
        return found

    def jump(self, to: str) -> None:
        """Moves the clock of the workspace ahead."""
        self.tool("Clock").get_by_role("button", name=re.compile(f"^{to}")).click()
        expect(self.page.get_by_role("dialog", name="Clock")).to_be_hidden()

    def shortcut(self, name: str) -> None:
        """Chooses a shortcut from the bar."""
        self.page.get_by_role("button", name="Shortcuts").click()
        self.page.get_by_role("menuitem", name=name).click()


def box_of(node: Locator) -> FloatRect:
    """The place of the element on the screen; it may be drawn again at that moment."""
    return next(box for _ in range(20) if (box := node.bounding_box()) is not None)


def error_of(field: Locator) -> Locator:
    """The words of the error that a screen reader reads with this field."""
    page, ids = field.page, (field.get_attribute("aria-describedby") or "").split()
    return page.locator(", ".join(f"[id='{one}'][role=alert]" for one in ids))


def choose(form: Locator, label: str, words: str) -> None:
    """Types into a menu that is searched, and takes the option with these words."""
    field = form.get_by_label(label)
    field.fill(words)
    form.get_by_role("option", name=words).click()
    expect(field).to_have_value(words)
