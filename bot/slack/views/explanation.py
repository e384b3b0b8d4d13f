"""The answer to `/access explain`: the outcome of a request made now, the reasons, and the rules of
the role."""

from collections.abc import Iterable

from bot.core.durations import format_duration
from bot.core.explanation import Explanation, ForPerson, Point, RuleView, Would
from bot.slack.blocks import (
    Block,
    Element,
    Message,
    Part,
    bold,
    bullets,
    context,
    date,
    escape,
    header,
    message,
    paragraph,
    rich,
    section,
    typed,
    who,
)
from bot.slack.views._fit import MESSAGE_BLOCKS, MESSAGE_CHARACTERS, fit
from bot.slack.views._parts import role_parts, title_text
from bot.slack.views._request_parts import criterion, sign

EACH = 8
"""The most lines of one block, so that a block fits into a message."""

MOST_NAMES = 10

_SIGNS = {
    Would.GRANTED: "✓",
    Would.WAITS: "→",
    Would.REFUSED: "✗",
    Would.UNKNOWN: "?",
}


def render(shown: Explanation) -> Message:
    """For the person who asked."""
    role = shown.role
    groups = [*_own(shown.own), *_points(shown.points)] if shown.own else [*_points(shown.points)]
    note = [context(_WITHHELD)] if shown.withheld else []
    blocks, missing = fit(groups, MESSAGE_BLOCKS - 4, MESSAGE_CHARACTERS - 1000)
    rest = [context(f"And more: `access-bot policy explain {role.name}`.")] if missing else []
    outcome = f" {shown.own.text}" if shown.own else ""
    return message(
        f"{title_text(role, role.name)}.{escape(outcome)}"[:3000],
        header("How this role is given"),
        paragraph(role_parts(role, role.name)),
        *note,
        *blocks,
        *rest,
    )


_WITHHELD = (
    "This is what the role says in general. Only leads and people who decide on it see more about"
    " somebody else."
)


def _own(own: ForPerson) -> Iterable[list[Block]]:
    asked: list[Part] = ["Asked now by ", who(own.person.id), " for "]
    yield [
        paragraph(
            [*asked, bold(format_duration(own.duration)), ":"],
            [f"{_SIGNS[own.would]} ", typed(own.text, 1200)],
        )
    ]
    yield [rich(section(bold("Criteria")), bullets(map(criterion, own.criteria)))]
    for rule in own.rules:
        yield [_rule(rule)]
    if own.preapprovals:
        lines: list[list[Part]] = [
            [
                f"up to {format_duration(each.duration)} by ",
                who(each.giver),
                ", until ",
                date(each.until),
            ]
            for each in own.preapprovals[:EACH]
        ]
        yield [rich(section(bold("Approved in advance")), bullets(lines))]
    if own.absent:
        away: list[list[Part]] = [
            [who(each.giver), " until ", date(each.ends_at), "; ", who(each.delegate), " decides"]
            for each in own.absent[:EACH]
        ]
        yield [rich(section(bold("Away")), bullets(away))]
    if own.unchecked:
        names = ", ".join(own.unchecked[:MOST_NAMES])
        yield [paragraph(["Could not be checked: ", typed(names, 500), "."])]


def _rule(rule: RuleView) -> Block:
    title: Element = section(
        bold("Rule"),
        " ",
        typed(f"“{rule.name}”", 90, "bold"),
        f", asked for {format_duration(rule.duration)}",
    )
    lines: list[list[Part]] = [
        [f"{sign(each.verdict)} {each.verdict}: ", typed(each.text)] for each in rule.conditions
    ]
    return rich(title, bullets(lines)) if lines else rich(title)


def _points(points: tuple[Point, ...]) -> Iterable[list[Block]]:
    for begin in range(0, len(points), EACH):
        some = points[begin : begin + EACH]
        title = [section(bold("The role"))] if begin == 0 else []
        lines: list[list[Part]] = [[bold(each.topic), ": ", typed(each.text, 600)] for each in some]
        yield [rich(*title, bullets(lines))]
