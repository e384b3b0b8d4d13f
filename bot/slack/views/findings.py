"""The answer to `/access drift`: unexpected access on the systems, each with a button to remove it;
missing access; and the systems that could not be reached.
"""

from collections.abc import Mapping, Sequence

from bot.core.drift import EXCESS, Finding, What
from bot.slack.blocks import (
    Block,
    Message,
    Part,
    actions,
    bold,
    button,
    clean,
    code,
    confirm,
    listing,
    message,
    paragraph,
    preformatted,
    rich,
    section,
    typed,
)
from bot.slack.ids import Action
from bot.slack.views._fit import (
    FIRST,
    MESSAGE_BLOCKS,
    MESSAGE_CHARACTERS,
    Place,
    fit,
    one_page,
    weight,
)

WORDS: Mapping[What, str] = {
    What.LINGERING: "has ended, and is still there",
    What.UNMANAGED: "is there without a grant",
    What.ENDING: "is still there; the bot is retrying the revocation",
    What.MISSING: "is missing, or a part of it, before its end",
}


def render(found: Sequence[Finding], asked: int, unasked: Mapping[str, str]) -> Message:
    """`asked` is the number of systems; `unasked` has the reasons of those that could not be
    reached, or reported only in part."""
    summary = _summary(found, asked, unasked)
    failed = [
        rich(
            section("Unreachable, or reported only in part: ", bold(system), ". Error:"),
            preformatted(why, 300),
        )
        for system, why in sorted(unasked.items())
    ]
    problems, untold = fit([[block] for block in failed], 10, 3_500)
    unnamed = sorted(unasked)[len(problems) :]
    command = "`access-bot systems drift` on the command line says why"
    if untold:
        problems.append(
            paragraph(
                [
                    "Also unreachable, or reported only in part: ",
                    *listing(unnamed, 700, "bold", command),
                    ".",
                ]
            )
        )
    return message(
        summary,
        paragraph([summary]),
        *problems,
        *_page(found, FIRST, 1 + len(problems), weight(problems)),
    )


def more(found: Sequence[Finding], place: Place) -> Message:
    """A later page of the findings."""
    heading = "Differences, continued."
    return message(heading, paragraph([heading]), *_page(found, place, 1, 0))


def _page(found: Sequence[Finding], place: Place, blocks: int, characters: int) -> list[Block]:
    rows = [(each.id, _finding(each)) for each in found]
    room = MESSAGE_BLOCKS - blocks, MESSAGE_CHARACTERS - characters - 300
    return one_page(rows, place, "findings", "findings", None, *room)


def _summary(found: Sequence[Finding], asked: int, unasked: Mapping[str, str]) -> str:
    systems = "1 system was" if asked == 1 else f"{asked} systems were"
    things = "Nothing" if not found else "1 thing" if len(found) == 1 else f"{len(found)} things"
    but = f", {len(unasked)} of them unreachable or reported only in part" if unasked else ""
    verdict = "is unexpected, and nothing is missing" if not found else "differ from what should be"
    return (
        f"{systems} checked{but}. {things}"
        f" {verdict if len(found) != 1 else 'differs from what should be'}."
    )


def _finding(finding: Finding) -> list[Block]:
    name = finding.name or finding.grant or "?"
    words: list[Part] = [
        bold(finding.system, 75),
        ": ",
        code(name, 150),
        f" {WORDS[finding.what]}.",
    ]
    about: list[Part] = ["Grant ", code(finding.grant, 60), ". "] if finding.grant else []
    if finding.detail:
        about.append(typed(finding.detail, 200))
    text = paragraph(words, about)
    return [text, actions(_remove(finding, name))] if finding.what in EXCESS else [text]


def _remove(finding: Finding, name: str) -> dict[str, object]:
    asked = confirm(
        "Remove it now?",
        f"{clean(name, 120)} is removed from {clean(finding.system, 63)}. People who still work"
        " with it are cut off.",
        "Remove",
        "Leave it",
        "danger",
    )
    return button(
        "Remove", Action.REMOVE_ORPHAN, finding.id, f"{name} from {finding.system}", "danger", asked
    )
