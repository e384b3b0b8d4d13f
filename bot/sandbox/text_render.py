"""Renders messages and views as plain text, with dates in the reader's time zone.

Buttons and inputs appear as their words.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from bot.sandbox.checks import Json
from bot.sandbox.forms import chosen, first_value

BRACKETS = re.compile(r"<([^<>\n]+)>")
MARKS = re.compile(r"(?<![\w*_~`])([*_~])(?=\S)(.+?)(?<=\S)\1(?![\w*_~`])")
DATE_FORMATS: dict[str, str] = {
    "date_num": "%Y-%m-%d",
    "date": "%B %-d, %Y",
    "date_slash": "%m/%d/%Y",
    "date_short": "%b %-d, %Y",
    "date_long": "%A, %B %-d, %Y",
    "time": "%H:%M",
    "time_secs": "%H:%M:%S",
}


@dataclass(frozen=True)
class Reader:
    """The reader: the zone of dates, and the names of ids."""

    tz: str = "UTC"
    names: Mapping[str, str] = field(default_factory=dict)
    now: float = field(default_factory=time.time)

    def date(self, timestamp: int, pattern: str) -> str:
        """A date token string such as `{date_short_pretty} at {time}`, rendered."""
        moment = dt.datetime.fromtimestamp(timestamp, ZoneInfo(self.tz))
        return re.sub(r"{(\w+)}", lambda match: self._token(moment, match[1]), pattern)

    def _token(self, moment: dt.datetime, token: str) -> str:
        base = token.removesuffix("_pretty")
        if base != token:
            near = self._near(moment.date())
            if near:
                return near
        return moment.strftime(DATE_FORMATS[base]) if base in DATE_FORMATS else "{" + token + "}"

    def _near(self, day: dt.date) -> str | None:
        today = dt.datetime.fromtimestamp(self.now, ZoneInfo(self.tz)).date()
        near = {
            today: "today",
            today + dt.timedelta(1): "tomorrow",
            today - dt.timedelta(1): "yesterday",
        }
        return near.get(day)

    def name(self, key: str) -> str:
        """The name of an id, or the id."""
        return self.names.get(key, key)

    def mrkdwn(self, text: str) -> str:
        """Slack's markup as text: dates, mentions and links resolved, escapes decoded."""
        unmarked = MARKS.sub(r"\2", text)
        shown = BRACKETS.sub(lambda match: self._bracket(match[1]), unmarked)
        return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")

    def _bracket(self, inside: str) -> str:
        body, _, label = inside.partition("|")
        if body.startswith("!date^"):
            _, stamp, pattern, *_ = body.split("^")
            return self.date(int(stamp), pattern)
        if body.startswith("!subteam^"):
            return label or "@" + self.name(body.removeprefix("!subteam^"))
        if body[0] in "@#":
            return body[0] + (label or self.name(body[1:]))
        return "@" + body[1:] if body[0] == "!" else label or body


def text_of(thing: Any, reader: Reader) -> str:
    """The words of a text object."""
    if not isinstance(thing, dict):
        return "" if thing is None else str(thing)
    words = str(thing.get("text", ""))
    return reader.mrkdwn(words) if thing.get("type") == "mrkdwn" else words


def _section(block: Json, reader: Reader) -> list[str]:
    fields = [text_of(item, reader) for item in block.get("fields", [])]
    accessory = [element(block["accessory"], reader)] if "accessory" in block else []
    return [text_of(block.get("text"), reader), *fields, *accessory]


def _actions(block: Json, reader: Reader) -> list[str]:
    return [" ".join(element(item, reader) for item in block["elements"])]


def _input(block: Json, reader: Reader) -> list[str]:
    hint = f" ({text_of(block['hint'], reader)})" if "hint" in block else ""
    return [f"{text_of(block['label'], reader)}: {element(block['element'], reader)}{hint}"]


def element(item: Json, reader: Reader) -> str:
    """An interactive element: a button as [Words], an input by its first value or placeholder."""
    kind = item.get("type", "")
    if kind == "button":
        return f"[{text_of(item['text'], reader)}]"
    if kind == "image":
        return f"[image: {item['alt_text']}]"
    if kind == "overflow":
        return (
            "[… " + " / ".join(text_of(option["text"], reader) for option in item["options"]) + "]"
        )
    if kind in {"plain_text", "mrkdwn"}:
        return text_of(item, reader)
    return (
        _value(chosen(item, first_value(item)), reader)
        or f"<{text_of(item.get('placeholder'), reader)}>"
    )


def _value(value: Any, reader: Reader) -> str:
    if isinstance(value, list):
        return ", ".join(_value(item, reader) for item in value)
    if isinstance(value, dict):
        return text_of(value.get("text"), reader)
    return "" if value is None else reader.name(str(value))


PARTS: dict[str, Callable[[Json, Reader], str]] = {
    "text": lambda part, reader: str(part["text"]),
    "link": lambda part, reader: str(part.get("text") or part["url"]),
    "emoji": lambda part, reader: f":{part['name']}:",
    "user": lambda part, reader: "@" + reader.name(part["user_id"]),
    "usergroup": lambda part, reader: "@" + reader.name(part["usergroup_id"]),
    "channel": lambda part, reader: "#" + reader.name(part["channel_id"]),
    "broadcast": lambda part, reader: f"@{part['range']}",
    "date": lambda part, reader: reader.date(int(part["timestamp"]), part["format"]),
    "color": lambda part, reader: str(part["value"]),
}


def rich(part: Json, reader: Reader) -> str:
    """A rich text element with everything inside it."""
    if "elements" not in part:
        return PARTS[part["type"]](part, reader)
    inner = [rich(item, reader) for item in part["elements"]]
    if part["type"] == "rich_text_list":
        return "\n".join(f"- {item}" for item in inner)
    joined = "".join(inner)
    return (
        "\n".join(f"> {line}" for line in joined.split("\n"))
        if part["type"] == "rich_text_quote"
        else joined
    )


def _rich_text(block: Json, reader: Reader) -> list[str]:
    return [rich(part, reader) for part in block["elements"]]


def _cell(cell: Json, reader: Reader) -> str:
    if cell["type"] == "rich_text":
        return " ".join(_rich_text(cell, reader))
    return str(cell.get("text", cell.get("value", "")))


def _table(block: Json, reader: Reader) -> list[str]:
    rows = [" | ".join(_cell(cell, reader) for cell in row) for row in block["rows"]]
    return [block.get("caption", ""), *rows]


def _chart(block: Json, reader: Reader) -> list[str]:
    chart = block["chart"]
    pie = [f"{part['label']}: {part['value']}" for part in chart.get("segments", [])]
    series = [
        f"{line['name']}: "
        + ", ".join(f"{point['label']} {point['value']}" for point in line["data"])
        for line in chart.get("series", [])
    ]
    return [block["title"], *pie, *series]


def _card(block: Json, reader: Reader) -> list[str]:
    words = [text_of(block.get(name), reader) for name in ("title", "subtitle", "body")]
    return [*words, " ".join(element(item, reader) for item in block.get("actions", []))]


def _inside(name: str) -> Callable[[Json, Reader], list[str]]:
    """Blocks in blocks: a title, then the blocks inside."""

    def lines(block: Json, reader: Reader) -> list[str]:
        inner = [line for item in block.get(name, []) for line in block_lines(item, reader)]
        return [text_of(block.get("title"), reader), text_of(block.get("subtitle"), reader), *inner]

    return lines


LINES: dict[str, Callable[[Json, Reader], list[str]]] = {
    "section": _section,
    "header": lambda block, reader: [text_of(block["text"], reader)],
    "divider": lambda block, reader: ["---"],
    "image": lambda block, reader: [f"[image: {block['alt_text']}]"],
    "context": _actions,
    "actions": _actions,
    "input": _input,
    "rich_text": _rich_text,
    "markdown": lambda block, reader: [str(block["text"])],
    "table": _table,
    "data_table": _table,
    "data_visualization": _chart,
    "alert": lambda block, reader: [
        f"({block.get('level', 'default')}) {text_of(block['text'], reader)}"
    ],
    "card": _card,
    "carousel": _inside("elements"),
    "container": _inside("child_blocks"),
    "plan": _inside("tasks"),
    "task_card": lambda block, reader: [
        f"{text_of(block['title'], reader)} ({block.get('status', 'pending')})"
    ],
}


def _unknown(block: Json, reader: Reader) -> list[str]:
    return [f"({block['type']})"]


def block_lines(block: Json, reader: Reader) -> list[str]:
    """The lines of one block; an unknown block is named."""
    lines = LINES.get(block["type"], _unknown)(block, reader)
    return [line for line in lines if line]


def plain(thing: Json | None, reader: Reader | None = None) -> str:
    """A message or view as its reader sees it: the blocks, or the text if there are no blocks."""
    if thing is None:
        return ""
    reader = reader or Reader()
    title = [text_of(thing["title"], reader)] if isinstance(thing.get("title"), dict) else []
    lines = [line for block in thing.get("blocks") or [] for line in block_lines(block, reader)]
    words = [] if thing.get("blocks") else [reader.mrkdwn(str(thing.get("text") or ""))]
    files = [f"[file: {item['name']}]" for item in thing.get("files", [])]
    submit = (
        [f"[{text_of(thing['submit'], reader)}]"] if isinstance(thing.get("submit"), dict) else []
    )
    return "\n".join([*title, *lines, *words, *files, *submit])
