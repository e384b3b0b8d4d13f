"""The monthly suggestions for roles.toml, each with its numbers and the lines to copy."""

from collections.abc import Mapping

from bot.core.plurals import counted
from bot.core.right_sizing import DAYS, Change, Suggestion
from bot.operations.digest.describe_right_sizing import RightSizing
from bot.slack.blocks import (
    Block,
    Message,
    clean,
    code,
    context,
    date,
    escape,
    header,
    message,
    paragraph,
    preformatted,
    rich,
    section,
    spoken,
)
from bot.slack.views._fit import MESSAGE_BLOCKS, MESSAGE_CHARACTERS, fit

FRAME = 1000
"""Characters for the words around the suggestions."""

WHOLE = 9_000
"""Characters of the lines to copy: more than those of most roles, because lines that were cut can't
be copied."""

TITLES: Mapping[Change, str] = {
    Change.UNUSED_ROLE: "nobody uses it",
    Change.UNUSED_ACTIONS: "a part of it is never used",
    Change.REQUESTERS: "some requesters never asked",
    Change.SHORTER: "a shorter default is enough",
    Change.LONGER: "the default is too short",
    Change.RULE: "a rule can decide",
}


def render(found: RightSizing) -> Message:
    looked = (
        f"From {counted(found.roles, 'role')}, {counted(found.requests, 'request')} and"
        f" {counted(found.grants, 'grant')} of {DAYS} days."
    )
    if not found.suggestions:
        return message(
            f"Right-sizing: there is nothing to suggest for roles.toml. {looked}",
            header("Right-sizing"),
            paragraph(["There is nothing to suggest for roles.toml."], [looked]),
        )
    groups = [_suggestion(each) for each in found.suggestions]
    shown, missing = fit(groups, MESSAGE_BLOCKS - 4, MESSAGE_CHARACTERS - FRAME)
    more = [context(f"and {missing} more. They follow when these are settled.")] if missing else []
    return message(
        _twin(found, looked),
        header("Right-sizing"),
        paragraph(
            [looked, " The period ends ", date(found.period.until), "."],
            ["Put the keys into the existing table. Add a table in double brackets as a new one."],
        ),
        *shown,
        *more,
        context(
            "The documentation says when each of these is suggested: “The weekly digest and"
            " right-sizing”."
        ),
    )


def _suggestion(each: Suggestion) -> list[Block]:
    return [
        rich(
            section(code(each.role), f": {TITLES[each.change]}. ", *spoken(each.why)),
            preformatted(each.toml, WHOLE),
        )
    ]


def _twin(found: RightSizing, looked: str) -> str:
    """The suggestions for screen readers; the lines to copy are in the message."""
    lines = [
        f"{each.role}: {TITLES[each.change]}. {clean(each.why, 300)}" for each in found.suggestions
    ]
    return "\n".join(escape(line) for line in [f"Right-sizing. {looked}", *lines])
