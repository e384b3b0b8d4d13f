"""Keeps whole messages and views within Slack's limits: so many blocks, so many characters over all of them, and never
a silent cut. It doesn't know what the blocks say.
"""

from collections.abc import Iterable, Mapping, Sequence

from bot.slack.blocks import Block, Message, divider, message, mrkdwn

MESSAGE_BLOCKS = 50
MESSAGE_CHARACTERS = 12_500
"""A little under the 13,200 that Slack takes over all blocks of a message."""

SHORT_ROOM = 2_400
_UNSHOWN = frozenset({"type", "action_id", "block_id", "value", "style", "format", "user_id", "channel_id"})


def weight(value: object) -> int:
    """How many characters Slack may count in these blocks; rather too many than too few."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(weight(each) for name, each in value.items() if name not in _UNSHOWN)
    return sum(map(weight, value)) if isinstance(value, list | tuple) else 0


def fit(
    groups: Iterable[Sequence[Block]], blocks: int = MESSAGE_BLOCKS, characters: int = MESSAGE_CHARACTERS
) -> tuple[list[Block], int]:
    """The first groups that fit together, and the number of groups that don't. Order is never changed."""
    shown: list[Block] = []
    waiting = list(groups)
    for place, group in enumerate(waiting):
        blocks, characters = blocks - len(group), characters - weight(list(group))
        if blocks < 0 or characters < 0:
            return shown, len(waiting) - place
        shown += group
    return shown, 0


def join(messages: Sequence[Message]) -> Message:
    """Several messages to one reader as one, within Slack's limits; of what has no room, the `text` is shown."""
    if len(messages) == 1:
        return messages[0]
    groups = [[*([divider()] if place else []), *each["blocks"]] for place, each in enumerate(messages)]
    shown, missing = fit(groups, MESSAGE_BLOCKS - 1, MESSAGE_CHARACTERS - SHORT_ROOM - 100)
    lines = [each["text"] for each in messages]
    rest = ["And in short, for want of room:", *lines[len(lines) - missing :]] if missing else []
    return message(
        "\n".join(lines), *shown, *([{"type": "section", "text": mrkdwn(_whole(rest, SHORT_ROOM))}] if rest else [])
    )


def _whole(lines: Sequence[str], limit: int) -> str:
    """As many lines as fit without cutting one, and how many don't."""
    for count in range(len(lines), 0, -1):
        more = [f"and {len(lines) - count} more"] if count < len(lines) else []
        if len(text := "\n".join([*lines[:count], *more])) <= limit:
            return text
    return f"{len(lines)} more"
