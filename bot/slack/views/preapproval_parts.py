"""Pre-approvals in lists, App Home and answers."""

from collections.abc import Iterator, Mapping, Sequence

from bot.core.durations import format_duration
from bot.core.names import slash
from bot.core.preapproval import PreApproval
from bot.operations.preapprovals.describe_preapprovals import PreApprovalView
from bot.operations.preapprovals.give_preapproval import Given
from bot.slack.blocks import (
    Block,
    Message,
    Part,
    actions,
    bold,
    button,
    code,
    confirm,
    date,
    escape,
    header,
    message,
    paragraph,
    quote,
    rich,
    section,
    typed,
    who,
)
from bot.slack.ids import Action
from bot.slack.views._fit import MESSAGE_BLOCKS, MESSAGE_CHARACTERS, fit
from bot.slack.views._parts import role_parts, title_text


def given(made: Given) -> Message:
    """For the person who gave it."""
    row, role = made.given, made.role
    more = made.needed - 1
    others = "1 more person has" if more == 1 else f"{more} more people have"
    lines: list[list[Part]] = [
        ["Approved in advance: ", who(row.person), " may have ", *role_parts(role, row.role)],
        ["for up to ", bold(format_duration(row.duration)), " each time, until ", date(row.until)],
        ["Their requests need nobody. ", *_takes_back(row)],
    ]
    if more:
        lines[2] = [
            f"The role needs {made.needed} approvals: {others} to approve it in advance, too. ",
            *_takes_back(row),
        ]
    return message(
        f"Approved in advance: {title_text(role, row.role)}.",
        paragraph([*lines[0], " ", *lines[1], "."], lines[2]),
    )


def _takes_back(row: PreApproval) -> list[Part]:
    return [code(f"{slash()} disallow @user {row.role}"), " takes it back."]


def to_receiver(view: PreApprovalView | None) -> Message:
    """For the person who has it."""
    if view is None:
        return message("A pre-approval has ended.", paragraph(["A pre-approval has ended."]))
    row = view.given
    words = rich(section("Their reason"), quote(row.reason, 1000)) if row.reason else None
    return message(
        f"You may have {title_text(view.role, row.role)} without asking anybody.",
        paragraph(
            [
                who(row.giver),
                " approved ",
                *role_parts(view.role, row.role),
                " for you in advance.",
            ],
            [
                "Until ",
                date(row.until),
                f" a request of up to {format_duration(row.duration)} needs nobody. Ask with ",
                code(f"{slash()} request {row.role}"),
                ".",
            ],
        ),
        *([words] if words else []),
    )


def ended(facts: Mapping[str, object]) -> Message:
    """For the giver or receiver who did not end it."""
    role = str(facts["role"])
    return message(
        f"A pre-approval for {escape(role)} has ended.",
        paragraph(
            [
                "The pre-approval of ",
                code(role),
                " for ",
                who(str(facts["receiver"])),
                " by ",
                who(str(facts["giver"])),
                " has ended: ",
                typed(str(facts["why"]), 200),
                ".",
            ],
            ["Requests need approval again."],
        ),
    )


def taken(rows: Sequence[PreApproval]) -> Message:
    """For the person who took them back."""
    row = rows[0]
    words: list[Part] = ["Taken back: ", code(row.role), " for ", who(row.person)]
    return message("Taken back.", paragraph([*words, ". Their requests need approval again."]))


def listed(views: Sequence[PreApprovalView], reader: str) -> Message:
    """The pre-approvals that a person gave and has, or all there are."""
    if not views:
        hint: list[Part] = [
            code(f"{slash()} allow @user ROLE 2h until 2026-12-24"),
            " adds a pre-approval.",
        ]
        return message(
            "There is no pre-approval.",
            paragraph(["Nothing is approved in advance. ", *hint]),
        )
    shown, missing = fit([*rows(views, reader)], MESSAGE_BLOCKS - 2, MESSAGE_CHARACTERS - 500)
    more = [paragraph([f"and {missing} more."])] if missing > 0 else []
    counted = "1 pre-approval" if len(views) == 1 else f"{len(views)} pre-approvals"
    return message(f"{counted}.", header("Approved in advance"), *shown, *more)


def rows(views: Sequence[PreApprovalView], reader: str) -> Iterator[list[Block]]:
    for view in views:
        yield row(view, reader)


def row(view: PreApprovalView, reader: str) -> list[Block]:
    """One pre-approval, with the button that ends it for its giver and the person who has it."""
    each = view.given
    words: list[Part] = [
        *role_parts(view.role, each.role),
        f" up to {format_duration(each.duration)} until ",
        date(each.until),
        ", for " if each.person != reader else ", for you, by ",
        who(each.person if each.person != reader else each.giver),
    ]
    if reader not in (each.giver, each.person):
        words += [", by ", who(each.giver)]
    unsure = [] if view.holds else ["It counts once Slack has confirmed the person who gave it."]
    about = f"{each.role} for {view.names.get(each.person, each.person)}"
    asked = confirm(
        "Take it back?",
        "Requests need approval again. What was given already stays until its end.",
        "Take back",
        "Keep it",
    )
    return [
        paragraph([*words, "."], unsure),
        actions(button("Take back", Action.DISALLOW, each.id, about, confirm=asked)),
    ]
