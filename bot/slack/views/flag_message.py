"""Flags: the message in the security channel with its buttons, the form that asks why a pattern was
expected, and the rows of lists."""

from collections.abc import Sequence

from bot.core.approval import Refused
from bot.core.eligibility import REASON_LIMIT
from bot.core.flags.flag import REVOKED, Flag
from bot.operations.flags.describe_flags import FlagView
from bot.slack.blocks import (
    Block,
    Element,
    Message,
    Part,
    View,
    actions,
    bold,
    bullets,
    button,
    clean,
    code,
    confirm,
    date,
    escape,
    mentions,
    message,
    modal,
    paragraph,
    quote,
    rich,
    section,
    text_input,
    typed,
    who,
    who_text,
)
from bot.slack.ids import Action, Field, Modal
from bot.slack.views import answers
from bot.slack.views._fit import FIRST, Place, one_page

SENTENCE_ROOM = 400
EXPECTED, INVESTIGATE, REVOKE = "Expected", "Investigate", "Revoke now"


def render(view: FlagView) -> Message:
    """The message as the flag is now."""
    flag = view.flag
    about = f" about {who_text(flag.person)}" if flag.person else ""
    return message(
        f"Flag ({flag.severity}){about}: {escape(clean(flag.sentence, SENTENCE_ROOM))}",
        paragraph(
            [bold("Flag"), f", {flag.severity}: ", code(flag.rule), *_about(flag)],
            _sentence(flag),
        ),
        *_parts(view.parts),
        *_grants(view),
        *_answer(view),
    )


def _about(flag: Flag) -> list[Part]:
    return [" about ", who(flag.person), "."] if flag.person else ["."]


def _sentence(flag: Flag) -> list[Part]:
    return [typed(flag.sentence, SENTENCE_ROOM), " Time: ", date(flag.at), "."]


def _parts(parts: Sequence[Flag]) -> list[Block]:
    if not parts:
        return []
    rows = [[code(each.rule), ": ", *_sentence(each)] for each in parts]
    return [rich(section("Within an hour before:"), bullets(rows))]


def _grants(view: FlagView) -> list[Block]:
    """The last grants, in words that stay true: the message is not updated when a grant ends."""
    if not view.flag.person:
        return []
    if not view.grants:
        return [paragraph(["This person had no access before."])]
    rows: list[list[Part]] = [
        [code(each.role), ", given ", date(each.starts_at), "."] for each in view.grants
    ]
    return [rich(section("Their last grants:"), bullets(rows))]


def _answer(view: FlagView) -> list[Block]:
    """The buttons of an open flag, or its answer."""
    flag = view.flag
    if view.whole is not None:
        words = "This flag is part of a later one of high severity, which has the buttons."
        return [paragraph([words])]
    if flag.answer:
        return _answered(flag)
    return [*_investigator(flag), actions(*buttons(flag, holds=view.holds))]


def _investigator(flag: Flag) -> list[Block]:
    if flag.investigated_at is None:
        return []
    words: list[Part] = [who(flag.investigated_by), " investigates since "]
    return [paragraph([*words, date(flag.investigated_at), "."])]


def _answered(flag: Flag) -> list[Block]:
    words = "Access revoked" if flag.answer == REVOKED else EXPECTED
    parts: list[Part] = [bold(words), " by ", who(flag.answered_by), " "]
    parts += [date(flag.answered_at or flag.raised_at)]
    if not flag.answer_reason:
        return [paragraph([*parts, "."])]
    return [rich(section(*parts, ":"), quote(flag.answer_reason))]


def buttons(flag: Flag, *, holds: bool) -> list[Element]:
    """The buttons of an open flag; `holds`: the person has access that can be revoked."""
    about = clean(f"{flag.rule} {flag.id}", 60)
    made = [button(EXPECTED, Action.FLAG_EXPECTED, flag.id, about)]
    if flag.investigated_at is None:
        made.append(button(INVESTIGATE, Action.FLAG_INVESTIGATE, flag.id, about))
    if holds:
        asked = confirm(
            "Revoke all access of this person?",
            "Everything that they hold ends now, on every system.",
            REVOKE,
            style="danger",
        )
        made.append(button(REVOKE, Action.FLAG_REVOKE, flag.id, about, "danger", asked))
    return made


def investigated(view: FlagView) -> Message:
    """The note in the thread, which mentions the leads."""
    by = view.flag.investigated_by
    words = f"{who_text(by)} investigates this flag."
    pinged = [f"<!subteam^{ref}>" if ref[:1] == "S" else f"<@{ref}>" for ref in view.leads]
    note = "please look at this flag, too, and write here what you know."
    return message(words, paragraph([who(by), " investigates this flag."]), *mentions(pinged, note))


def expected_form(flag: Flag) -> View:
    """Asks why a flagged pattern was expected."""
    blocks = [
        paragraph([bold(flag.rule), *_about(flag)], _sentence(flag)),
        text_input(
            Field.REASON,
            "Why was it expected?",
            "The leads read it, and the audit log keeps it.",
            multiline=True,
            max_length=REASON_LIMIT,
        ),
    ]
    view = modal(Modal.FLAG_EXPECTED, "Expected", blocks, "Send")
    return {**view, "private_metadata": flag.id}


# --- lists


def row(flag: Flag) -> list[Block]:
    """One open flag in a list, with buttons; **Revoke now** is only in its message."""
    return [
        paragraph(
            [bold(str(flag.severity)), ": ", code(flag.rule), *_about(flag)],
            _sentence(flag),
        ),
        *_investigator(flag),
        actions(*buttons(flag, holds=False)),
    ]


def listed(found: Sequence[Flag] | Refused, place: Place = FIRST) -> Message:
    """The open flags for a lead."""
    if isinstance(found, Refused):
        return answers.refused(found.reason)
    if not found:
        return answers.done("No open flags.")
    rows = [(flag.id, row(flag)) for flag in found]
    text = f"{len(found)} open flag{'s' if len(found) > 1 else ''}."
    return message(text, paragraph([bold(text)]), *one_page(rows, place, "flags", "open flags"))
