"""Keeps messages and views within Slack's limits of blocks and characters, without a silent cut."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.names import slash
from bot.slack.blocks import Block, Message, actions, button, context, divider, message, mrkdwn
from bot.slack.ids import Action

MESSAGE_BLOCKS = 50
MESSAGE_CHARACTERS = 12_500
"""A little under the 13,200 that Slack takes over all blocks of a message."""

REPLY_BYTES = 45_000
"""JSON of one reply: slack_sdk's Socket Mode client can't send a frame of more than 65,535
bytes."""

SHORT_ROOM = 2_400
_UNSHOWN = frozenset(
    {"type", "action_id", "block_id", "value", "style", "format", "user_id", "channel_id"}
)


def weight(value: object) -> int:
    """The characters that Slack may count in these blocks; an upper bound."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(weight(each) for name, each in value.items() if name not in _UNSHOWN)
    return sum(map(weight, value)) if isinstance(value, list | tuple) else 0


def within_reply(items: Iterable[Any], most: int = REPLY_BYTES) -> int:
    """The number of these items that fit into one reply over Socket Mode."""
    count = 0
    for item in items:
        most -= len(json.dumps(item))
        if most < 0:
            break
        count += 1
    return count


def fit(
    groups: Iterable[Sequence[Block]],
    blocks: int = MESSAGE_BLOCKS,
    characters: int = MESSAGE_CHARACTERS,
) -> tuple[list[Block], int]:
    """The first groups that fit together, and the number of groups that don't. Order is never
    changed."""
    shown: list[Block] = []
    waiting = list(groups)
    for place, group in enumerate(waiting):
        blocks, characters = blocks - len(group), characters - weight(list(group))
        if blocks < 0 or characters < 0:
            return shown, len(waiting) - place
        shown += group
    return shown, 0


def _elsewhere() -> str:
    """The place of the entries that did not fit."""
    return f"see App Home; leads find everything in `{slash()} audit`"


Row = tuple[str, Sequence[Block]]
"""One entry of a list: its id and its blocks."""


@dataclass(frozen=True, slots=True)
class Place:
    """The beginning of a page of a list: after the row `after`, or at number `start` if that row is
    gone."""

    start: int = 0
    after: str = ""

    def within(self, ids: Sequence[str]) -> int:
        """The number of the first row to show. If the row `after` is gone, one row may be shown
        twice."""
        if self.after in ids:
            return ids.index(self.after) + 1
        return min(max(0, self.start - bool(self.after)), len(ids))


FIRST = Place()


def one_page(
    rows: Sequence[Row],
    place: Place,
    name: str,
    about: str,
    words: Mapping[str, str] | None = None,
    blocks: int = MESSAGE_BLOCKS,
    characters: int = MESSAGE_CHARACTERS,
) -> list[Block]:
    """The rows from `place` on that fit, and a More button if there are others.
    `bot/slack/pages.py` finds the list by `name` and `words`; `about` names the list for a screen
    reader."""
    begin = place.within([id for id, _ in rows])
    groups = [list(group) for _, group in rows[begin:]]
    small = within_reply(groups)
    shown, missing = fit(groups[:small], blocks - 2, characters - 500)
    missing += len(groups) - small
    end = len(rows) - missing
    if not begin and not missing:
        return shown
    counted = context(f"{begin + 1}–{end} of {len(rows)}" if end > begin else "There are no more.")
    if not missing:
        return [*shown, counted]
    value = {"list": name, "start": end, "after": rows[end - 1][0] if end else "", **(words or {})}
    packed = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return [*shown, counted, actions(button("More", Action.MORE, packed, about))]


def join(messages: Sequence[Message]) -> Message:
    """Several messages to one reader as one, within Slack's limits. Messages that don't fit are
    shown by their `text`."""
    if len(messages) == 1:
        return messages[0]
    groups = [
        [*([divider()] if place else []), *each["blocks"]] for place, each in enumerate(messages)
    ]
    shown, missing = fit(groups, MESSAGE_BLOCKS - 1, MESSAGE_CHARACTERS - SHORT_ROOM - 100)
    lines = [each["text"] for each in messages]
    rest = ["The rest in short:", *lines[len(lines) - missing :]] if missing else []
    return message(
        "\n".join(lines),
        *shown,
        *([{"type": "section", "text": mrkdwn(_whole(rest, SHORT_ROOM))}] if rest else []),
    )


def _whole(lines: Sequence[str], limit: int) -> str:
    """As many lines as fit without cutting one, and the number of the others."""
    for count in range(len(lines), 0, -1):
        more = [f"and {len(lines) - count} more, {_elsewhere()}"] if count < len(lines) else []
        if len(text := "\n".join([*lines[:count], *more])) <= limit:
            return text
    return f"{len(lines)} more, {_elsewhere()}"
