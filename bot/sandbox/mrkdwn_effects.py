"""The effects of a message in Slack: mentions, broadcasts and links.

An id in a mention need not exist.
"""

from __future__ import annotations

import re
from typing import Any

from bot.sandbox.checks import Json

INTERPRETED = re.compile(r"<(?P<inside>[@#!][^<>\n]*|(?:https?://|mailto:|tel:)[^<>\n]*)>")
BARE_URL = re.compile(r"(?<![<|\w])https?://[^\s<>|]+")


def mrkdwn_texts(value: Any) -> list[tuple[str, bool]]:
    """Each mrkdwn text inside blocks, with whether bare addresses and #names in it become links."""
    if isinstance(value, list):
        return [found for item in value for found in mrkdwn_texts(item)]
    if not isinstance(value, dict):
        return []
    if value.get("type") == "mrkdwn":
        return [(str(value.get("text", "")), not value.get("verbatim", False))]
    return [found for item in value.values() for found in mrkdwn_texts(item)]


def _rich_parts(value: Any) -> list[str]:
    """The effects of rich text elements: mentions and links."""
    marks = {
        "user": "<@{user_id}>",
        "usergroup": "<!subteam^{usergroup_id}>",
        "channel": "<#{channel_id}>",
        "broadcast": "<!{range}>",
        "link": "<{url}>",
    }
    if isinstance(value, list):
        return [found for item in value for found in _rich_parts(item)]
    if not isinstance(value, dict):
        return []
    if value.get("type") in marks and not isinstance(value.get("elements"), list):
        needed = re.findall(r"{(\w+)}", marks[value["type"]])
        if all(name in value for name in needed):
            return [marks[value["type"]].format_map(value)]
    return [found for item in value.values() for found in _rich_parts(item)]


def notifications(message: Json) -> list[str]:
    """The effects of a message or view: mentions, broadcasts, links.

    Dates (`<!date^…>`) only render, so they are left out.
    """
    top = [(str(message["text"]), True)] if isinstance(message.get("text"), str) else []
    found = []
    for words, links in top + mrkdwn_texts(message.get("blocks") or []):
        found += [
            match[0]
            for match in INTERPRETED.finditer(words)
            if not match["inside"].startswith("!date^")
        ]
        found += BARE_URL.findall(words) if links else []
    return found + _rich_parts(message.get("blocks") or [])
