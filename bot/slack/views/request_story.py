"""The story of one request or grant, from the request to the confirmed end."""

from collections.abc import Sequence

from bot.core.plurals import counted
from bot.core.record_lines import Line, lines_of
from bot.operations.audit.read_story import RequestStory
from bot.slack.blocks import (
    Block,
    Message,
    Part,
    bullets,
    clean,
    code,
    context,
    date,
    message,
    paragraph,
    preformatted,
    rich,
    typed,
    who,
)
from bot.slack.views._fit import MESSAGE_CHARACTERS, weight

MOST_PATHS = 10

ROOM = MESSAGE_CHARACTERS - 3000
"""Characters for the lines; the rest is for the frame and the paths."""


def render(story: RequestStory) -> Message:
    """A message with as many lines as fit, and the command that shows all of them."""
    lines = lines_of(story.records)
    shown, room = [], ROOM
    for line in lines:
        parts = _parts(line)
        room -= weight(parts)
        if room < 0:
            break
        shown.append(parts)
    id = story.grant or story.request
    left, count = len(lines) - len(shown), counted(len(lines), "record")
    rest = f"{counted(left, 'more record')}: " if left else ""
    return message(
        f"The story of {id}: {count}.",
        paragraph(["The story of ", code(id), f", oldest first ({count})."]),
        rich(bullets(shown)),
        *_used_paths(story),
        context(f"{rest}`access-bot audit list {id}` shows all of it. This query is recorded."),
    )


def _used_paths(story: RequestStory) -> list[Block]:
    if not story.paths:
        return []
    lines = [
        f"{each.allowed + each.refused} × {each.method or '–'} {each.path or '–'} ({each.system})"
        for each in story.paths[:MOST_PATHS]
    ]
    more = len(story.paths) - len(lines)
    lines += [f"and more: access-bot usage list --grant {story.grant}"] if more else []
    return [
        paragraph(["Paths that were used, last used first:"]),
        rich(preformatted("\n".join(clean(line, 120) for line in lines))),
    ]


def _parts(line: Line) -> list[Part]:
    parts: list[Part] = [date(line.at), " · ", who(line.actor), " ", typed(line.text, 300)]
    if line.people:
        parts += [" (", *_people(line.people), ")"]
    if line.typed:
        parts += [": ", typed(f"“{line.typed}”", 300, "italic")]
    for each in line.more[:12]:
        parts += ["\n    ", typed(each, 150)]
    return parts


def _people(ids: Sequence[str]) -> list[Part]:
    parts: list[Part] = []
    for id in ids[:10]:
        parts += [", "] * bool(parts) + [who(id)]
    return parts
