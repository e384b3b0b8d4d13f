"""Builds Block Kit values as plain dicts, cleaned, escaped and cut to Slack's limits
(docs.slack.dev/reference/block-kit).

Text that a person typed goes through `typed`, `quote`, `preformatted` or `plain`, which Slack never
interprets; `mrkdwn` is only for our own words.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from bot.core.names import app_name
from bot.core.plurals import counted

Block = dict[str, Any]
Element = dict[str, Any]
Message = dict[str, Any]
View = dict[str, Any]
Part = str | Element

HOLE = "\N{REPLACEMENT CHARACTER}"
DELIVERY = 5
DATE_FORMAT = "{date_short_pretty} at {time}"
DAY_FORMAT = "{date_short_pretty}"

# Invisible letters: Hangul fillers, the Braille blank, the combining grapheme joiner.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
_EMOJI = "[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]"
_JOINER = re.compile(f"(?<={_EMOJI})\u200d(?={_EMOJI})")
_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_PILED = re.compile(f"([{_MARKS}]{{3}})[{_MARKS}]+")
_SLACK_ID = re.compile("[UW][A-Z0-9]{2,20}")
_GROUP_ID = re.compile("S[A-Z0-9]{2,20}")
_CHANNEL_ID = re.compile("[CG][A-Z0-9]{2,20}")
_MANY_LINES = 25

MOST_PINGED = 100
"""The most mentions in one message: a section has 3,000 characters."""


# --- text


def clean(text: str, limit: int, *, lines: bool = False) -> str:
    """`text` that is safe to show: at most `limit` characters, with "…" at the end if it was cut.

    Control, bidirectional and zero-width characters are visibly replaced. With `lines` line breaks
    stay, up to a number that keeps the buttons on the screen; otherwise the text becomes one line.
    """
    # the usual case: nothing to replace
    if text.isascii() and text.isprintable() and len(text) <= limit:
        return text.strip() if lines else " ".join(text.split())
    start = text[: limit * 2 + 100].replace("\r\n", "\n").replace("\r", "\n")
    seen = "".join(map(_visible, _PILED.sub(r"\1", _JOINER.sub("", start))))
    if lines and seen.count("\n") < _MANY_LINES:
        shown = re.sub(r"\n{3,}", "\n\n", seen).strip()
    else:
        shown = " ".join(re.sub("\n+", " ⏎ " if lines else " ", seen.strip()).split())
    return cut(shown if len(text) <= limit * 2 + 100 else shown + "…", limit)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, ending with "…" if it was cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def escape(text: str) -> str:
    """Text that is safe in mrkdwn and in a message's `text`: Slack makes no mention and no link of
    it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _visible(char: str) -> str:
    if char == "\n" or (char.isprintable() and char not in _BLANK):
        return char
    return " " if char.isspace() else HOLE


def plain(text: str, limit: int) -> Element:
    """A plain_text object: nothing in it is interpreted, not even `:emoji:`."""
    return {"type": "plain_text", "text": clean(text, limit) or "–", "emoji": False}


def mrkdwn(text: str) -> Element:
    """A mrkdwn object of our own words; anything else in it has gone through `escape`."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


# --- times and people


def utc(at: int) -> str:
    """UTC seconds as a date with the zone: `22 Nov 2026 14:05 UTC`."""
    return datetime.fromtimestamp(at, UTC).strftime("%-d %b %Y %H:%M UTC")


def date(at: int) -> Element:
    """A time that Slack shows in each reader's own zone, as `<!date^…>` does in mrkdwn."""
    return {"type": "date", "timestamp": at, "format": DATE_FORMAT, "fallback": utc(at)}


def day(at: int) -> Element:
    """A day that Slack shows in each reader's own zone."""
    fallback = datetime.fromtimestamp(at, UTC).strftime("%-d %b %Y")
    return {"type": "date", "timestamp": at, "format": DAY_FORMAT, "fallback": fallback}


def left(seconds: int) -> str:
    """The time left in at most two units: `2d 3h`, `1h 5 min`, `29 min`, `45 s`.

    Rounded down, but an hour does not become `59 min` while the message is delivered.
    """
    seconds += DELIVERY if seconds >= 60 - DELIVERY else 0
    units = (("d", 86_400), ("h", 3_600), (" min", 60), (" s", 1))
    for (name, size), (finer, fine) in zip(units, [*units[1:], ("", 1)], strict=True):
        if seconds >= size:
            rest = seconds % size // fine if size >= 3_600 else 0
            return f"{seconds // size}{name}" + (f" {rest}{finer}" if rest else "")
    return "0 s"


def is_slack_id(actor: str) -> bool:
    """Whether this is the id of a member of the workspace, not the command line, a rule or the
    bot."""
    return _SLACK_ID.fullmatch(actor) is not None


def actor_words(actor: str) -> str:
    """An actor outside Slack in words: `ann (command line)`, `rule “on call”`, or the bot."""
    kind, _, name = actor.partition(":")
    words = {
        "os": f"{name} (command line)",
        "rule": f"rule “{name}”",
        "system": name or app_name(),
    }
    return clean(words.get(kind, actor), 80) or "somebody"


def who(actor: str) -> Element:
    """An actor, for rich text."""
    return (
        {"type": "user", "user_id": actor} if is_slack_id(actor) else typed(actor_words(actor), 80)
    )


def place(ref: str) -> Element:
    """A message's destination: a channel by its id, else by its name."""
    return {"type": "channel", "channel_id": ref} if _CHANNEL_ID.fullmatch(ref) else who(ref)


def named(ref: str) -> Element:
    """A reference of roles.toml: user, group, handle or e-mail. Only for places where it pings
    nobody."""
    if _GROUP_ID.fullmatch(ref):
        return {"type": "usergroup", "usergroup_id": ref}
    return who(ref) if is_slack_id(ref) else bold(ref, 100)


def who_text(actor: str) -> str:
    """`who` for mrkdwn and for a message's `text`."""
    return f"<@{actor}>" if is_slack_id(actor) else escape(actor_words(actor))


# --- rich text


def typed(text: str, limit: int = 150, *styles: str, lines: bool = False) -> Element:
    """Typed text that Slack does not interpret; `styles` are Slack's: bold, italic, code."""
    element: Element = {"type": "text", "text": clean(text, limit, lines=lines) or "–"}
    return {**element, "style": dict.fromkeys(styles, True)} if styles else element


def bold(text: str, limit: int = 150) -> Element:
    return typed(text, limit, "bold")


def link(text: str, url: str, limit: int = 150) -> Element:
    """Typed text as a link, or only in bold where `url` is ""."""
    if not url:
        return bold(text, limit)
    return {"type": "link", "url": url, "text": clean(text, limit) or "–", "style": {"bold": True}}


def code(text: str, limit: int = 200) -> Element:
    return typed(text, limit, "code")


def spoken(text: str, limit: int = 1000) -> list[Part]:
    """A sentence of ours that may quote typed text: not interpreted, with text in backticks as
    code."""
    parts = re.split("`([^`]+)`", clean(text, limit, lines=True))
    return [
        {"type": "text", "text": part, **({"style": {"code": True}} if place % 2 else {})}
        for place, part in enumerate(parts)
        if part
    ] or ["–"]


def section(*parts: Part) -> Element:
    """One run of rich text; a plain string is our own words and stays as it is."""
    elements = [
        {"type": "text", "text": part} if isinstance(part, str) else part for part in parts if part
    ]
    return {"type": "rich_text_section", "elements": elements}


def lines(*each: Sequence[Part]) -> Element:
    """Rich text with each of the lines on its own."""
    parts = [part for line in each if line for part in ("\n", *line)]
    return section(*parts[1:])


def paragraph(*each: Sequence[Part]) -> Block:
    """`lines` as a rich_text block."""
    return rich(lines(*each))


def bullets(items: Iterable[Sequence[Part]]) -> Element:
    """A bulleted list for `rich`; at least one item."""
    return {
        "type": "rich_text_list",
        "style": "bullet",
        "elements": [section(*item) for item in items],
    }


def quote(text: str, limit: int = 3000) -> Element:
    """A person's text as a quotation, for `rich`."""
    return {"type": "rich_text_quote", "elements": [typed(text, limit, lines=True)]}


def preformatted(text: str, limit: int = 3000) -> Element:
    """A system's text, unchanged, for `rich`."""
    return {"type": "rich_text_preformatted", "elements": [typed(text, limit, lines=True)]}


def rich(*elements: Element) -> Block:
    """A rich_text block of sections, lists, quotations."""
    return {"type": "rich_text", "elements": list(elements)}


def listing(items: Sequence[str], limit: int, style: str = "code", rest: str = "") -> list[Part]:
    """As many names as fit into `limit` characters, then how many more there are. `rest` says where
    those are: words of ours, with commands in backticks."""
    parts: list[Part] = []
    room = limit
    for place, item in enumerate(items):
        room -= len(item[:200]) + 2
        if room < 0 and parts:
            return [
                *parts,
                f" and {len(items) - place} more",
                *([" (", *spoken(rest), ")"] if rest else []),
            ]
        parts += [", "] * (place > 0) + [typed(item, 200, style)]
    return parts


# --- blocks


def header(text: str) -> Block:
    return {"type": "header", "text": plain(text, 150)}


def divider() -> Block:
    return {"type": "divider"}


def context(words: str) -> Block:
    """Small print in our own words."""
    return {"type": "context", "elements": [mrkdwn(words)]}


def mentions(who: Sequence[str], words: str) -> list[Block]:
    """A line that pings `who` (ready `<@U…>` or `<!subteam^S…>`), or nothing if `who` is empty."""
    if not who:
        return []
    pinged = list(dict.fromkeys(who))
    text = " ".join(pinged[:MOST_PINGED]) + " " + words
    if len(pinged) > MOST_PINGED:
        text += (
            f" Not pinged: {counted(len(pinged) - MOST_PINGED, 'other')} who may decide; App Home"
            " shows it to them."
        )
    return [{"type": "section", "text": mrkdwn(text)}]


def actions(*buttons: Element) -> Block:
    return {"type": "actions", "elements": list(buttons)}


def button(
    label: str,
    action: str,
    value: str,
    about: str = "",
    style: str = "",
    confirm: Element | None = None,
    url: str = "",
) -> Element:
    """A button with the id of one row as value; `about` names the row for screen readers. A press
    also opens `url`."""
    made: Element = {
        "type": "button",
        "text": plain(label, 75),
        "action_id": str(action),
        "value": value,
    }
    more = {
        "accessibility_label": clean(f"{label}: {about}", 75) if about else "",
        "style": style,
        "confirm": confirm,
        "url": url,
    }
    return {**made, **{name: given for name, given in more.items() if given}}


def confirm(title: str, text: str, yes: str, no: str = "Not now", style: str = "") -> Element:
    """The question that is asked before a press counts."""
    asked: Element = {"title": plain(title, 100), "text": plain(text, 300)}
    asked |= {"confirm": plain(yes, 30), "deny": plain(no, 30)}
    return {**asked, "style": style} if style else asked


def text_input(
    name: str,
    label: str,
    hint: str = "",
    *,
    optional: bool = False,
    initial: str = "",
    **settings: Any,
) -> Block:
    """An input for words; block and element are both called `name`, so Slack keeps the typed text
    on an update."""
    element: Element = {"type": "plain_text_input", "action_id": str(name), **settings}
    if initial:
        element["initial_value"] = initial[: settings.get("max_length", 3000)]
    return input_block(name, label, element, hint, optional)


def input_block(
    name: str, label: str, element: Element, hint: str = "", optional: bool = False
) -> Block:
    """An input block called `name` around an element."""
    block: Block = {
        "type": "input",
        "block_id": str(name),
        "label": plain(label, 2000),
        "element": element,
    }
    block["optional"] = optional
    return {**block, "hint": plain(hint, 2000)} if hint else block


def modal(
    callback: str, title: str, blocks: Sequence[Block], submit: str = "", close: str = "Cancel"
) -> View:
    """A modal view; without `submit` it only informs."""
    view: View = {
        "type": "modal",
        "callback_id": str(callback),
        "title": plain(title, 24),
        "close": plain(close, 24),
    }
    if submit:
        view["submit"] = plain(submit, 24)
    return {**view, "blocks": list(blocks)}


def message(text: str, *blocks: Block) -> Message:
    """`text` is for notifications and screen readers; it is escaped already and nobody typed it."""
    return {"text": cut(text, 3000), "blocks": list(blocks)}
