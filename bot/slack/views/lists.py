"""What a person reads about themselves on a command: what they have and wait for, and what they may ask for.
It doesn't know where the lists come from.
"""

from collections.abc import Iterable

from bot.core.durations import format_duration
from bot.core.model import Grant, Request
from bot.core.policy import Role
from bot.operations.describe_person import PersonView
from bot.slack.blocks import (
    Block,
    Message,
    Part,
    actions,
    bold,
    bullets,
    code,
    context,
    date,
    header,
    message,
    paragraph,
    rich,
    typed,
)
from bot.slack.views._fit import MESSAGE_BLOCKS, fit
from bot.slack.views._parts import cancel, grant_buttons, state_now

MOST_ROLES = 60


def my_access(view: PersonView, now: int) -> Message:
    """My grants with what is left and my pending requests, each with its buttons."""
    rows = [*held_rows(view, now), *pending_rows(view)]
    if not rows:
        return message(
            "You have no access and no requests.",
            paragraph(["You have no access and wait for nothing. ", bold("/access"), " asks for something."]),
        )
    shown, missing = fit(rows, MESSAGE_BLOCKS - 2, 11_500)
    more = [context(f"And {missing} more. Give back what you do not need, then they are listed.")] if missing else []
    counted = f"You have {_counted(len(view.held), 'grant')} and {_counted(len(view.pending), 'open request')}"
    return message(f"{counted}.", header("My access"), *shown, *more)


def held_rows(view: PersonView, now: int) -> Iterable[list[Block]]:
    """One group of blocks for each grant that somebody holds."""
    for grant in view.held:
        title = view.titles.get(grant.role, grant.role)
        buttons = grant_buttons(grant, title)
        yield [paragraph(_named(title, grant), state_now(grant, now)), *([actions(*buttons)] if buttons else [])]


def pending_rows(view: PersonView) -> Iterable[list[Block]]:
    """One group of blocks for each request that somebody waits for."""
    for request in view.pending:
        title = view.titles.get(request.role, request.role)
        waits: list[Part] = ["Waits for a decision until ", date(request.lapses_at), "."]
        yield [paragraph(_named(title, request), waits), actions(cancel(request, title))]


def roles(view: PersonView) -> Message:
    """What this person may ask for, with what it gives and for how long."""
    if not view.roles:
        return message(
            "There is no role that you may ask for.",
            paragraph(["There is no role that you may ask for. Ask a lead which one you need."]),
        )
    lines = [_role(role) for role in view.roles[:MOST_ROLES]]
    missing = len(view.roles) - len(lines)
    more = [context(f"And {missing} more; ask for them with `/access request ROLE REASON`.")] if missing else []
    return message(
        f"You may ask for {_counted(len(view.roles), 'role')}.",
        header("What you may ask for"),
        rich(bullets(lines)),
        *more,
    )


def _role(role: Role) -> list[Part]:
    usual, most = format_duration(role.default_duration), format_duration(role.max_duration)
    approvals = "1 approval" if role.approvals == 1 else f"{role.approvals} approvals"
    ticket = ", with a ticket" if role.ticket else ""
    return [bold(role.title, 75), " (", code(role.name, 63), f"): {usual}, at most {most}; {approvals}{ticket}"]


def _named(title: str, row: Grant | Request) -> list[Part]:
    return [bold(title, 75)] if title == row.role else [bold(title, 75), " (", typed(row.role, 63, "code"), ")"]


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count or 'no'} {what}s"
