"""The answers to `/access list` and `/access roles`: a person's access and requests, and the roles
they may request.
"""

from collections.abc import Iterable, Sequence

from bot.core.durations import format_duration
from bot.core.model import Grant, Request
from bot.core.names import slash
from bot.core.roles import Role
from bot.operations.people.describe_person import PersonView
from bot.slack.blocks import (
    Block,
    Message,
    Part,
    actions,
    bold,
    bullets,
    clean,
    code,
    context,
    date,
    escape,
    header,
    message,
    paragraph,
    rich,
    section,
    typed,
)
from bot.slack.views._fit import FIRST, MESSAGE_BLOCKS, Place, Row, one_page
from bot.slack.views._parts import cancel, grant_buttons, references, state_now, with_values

EACH_ROLES = 10
"""The most roles in one block of a page."""


def my_access(view: PersonView, now: int, place: Place = FIRST) -> Message:
    """The person's grants with the time left and their pending requests, each with its buttons."""
    ids = [*(grant.id for grant in view.held), *(request.id for request in view.pending)]
    rows = [*zip(ids, [*held_rows(view, now), *pending_rows(view)], strict=True)]
    if not rows:
        return message(
            "You have no access and no requests.",
            paragraph(
                [
                    "You have no access and no open requests. ",
                    bold(f"{slash()}"),
                    " asks for something.",
                ]
            ),
        )
    counted = (
        f"You have {_counted(len(view.held), 'grant')} and"
        f" {_counted(len(view.pending), 'open request')}"
    )
    page = one_page(rows, place, "access", "my access", blocks=MESSAGE_BLOCKS - 1)
    return message(f"{counted}.", header("My access"), *page)


def held_rows(view: PersonView, now: int) -> Iterable[list[Block]]:
    """One group of blocks for each grant that somebody holds."""
    for grant in view.held:
        title = view.title_of(grant)
        buttons = grant_buttons(grant, title)
        yield [
            paragraph(_named(title, grant), state_now(grant, now)),
            *([actions(*buttons)] if buttons else []),
        ]


def pending_rows(view: PersonView) -> Iterable[list[Block]]:
    """One group of blocks for each request that somebody waits for."""
    for request in view.pending:
        title = view.title_of(request)
        waits: list[Part] = ["Waits for a decision until ", date(request.lapses_at), "."]
        yield [paragraph(_named(title, request), waits), actions(cancel(request, title))]


def roles(found: Sequence[Role], words: str = "", place: Place = FIRST) -> Message:
    """The roles that a person may request and that match `words`, each with its durations and
    approvals."""
    if not found:
        nothing = "There is no role that you may ask for"
        matching: list[Part] = [" and that matches ", typed(words, 100)] if words else []
        hint = f"{slash()} roles lists all of yours." if words else "Ask a lead which one you need."
        return message(f"{nothing}.", paragraph([nothing, *matching, f". {hint}"]))
    groups = [found[begin : begin + EACH_ROLES] for begin in range(0, len(found), EACH_ROLES)]
    rows: list[Row] = [
        (group[-1].name, [rich(bullets([_role(role) for role in group]))]) for group in groups
    ]
    return message(
        f"You may ask for {_counted(len(found), 'role')}{' that match' if words else ''}.",
        header("What you may ask for"),
        context(
            f"{_counted(len(found), 'role')}. `{slash()} roles WORDS` searches them,"
            f" `{slash()} roles ROLE` shows one in full."
        ),
        *one_page(rows, place, "roles", "roles", {"words": words}, blocks=MESSAGE_BLOCKS - 2),
    )


def _given(shown: Role) -> list[list[Part]]:
    if not shown.system_actions:
        return [[code(action, 1000)] for action in shown.actions]
    return [
        [bold(system), ": ", code(action, 1000)]
        for system in shown.systems
        for action in shown.actions_of(system)
    ]


def role(shown: Role, place: Place = FIRST) -> Message:
    """One role in full, however much it gives."""
    parts: list[tuple[str, list[list[Part]]]] = [
        ("Who approves", [*_deciders(shown)]),
        ("On", [[bold(system)] for system in shown.systems]),
        ("What it gives", _given(shown)),
    ]
    about: list[list[Part]] = [
        _role(shown),
        [typed(shown.description, 2000)] if shown.description else [],
    ]
    rows: list[Row] = [("about", [paragraph(*about)])]
    for title, items in parts:
        for begin in range(0, len(items), EACH_ROLES):
            group = rich(section(bold(title)), bullets(items[begin : begin + EACH_ROLES]))
            rows.append((f"{title} {begin}", [group]))
    page = one_page(rows, place, "role", "this role", {"role": shown.name})
    return message(escape(clean(shown.title, 75)), *page)


def _deciders(role: Role) -> Iterable[list[Part]]:
    for tier in role.tiers:
        yield [bold(f"“{tier.name}”", 60), f", {tier.approvals} of: ", *references(tier.approvers)]
    if not role.tiers:
        yield from (references([ref]) for ref in role.approvers)
    if role.escalation:
        after = format_duration(role.escalation.after)
        backups = references(role.escalation.approvers)
        yield [f"Backups, if nobody decides for {after}: ", *backups]


def _role(role: Role) -> list[Part]:
    usual, most = format_duration(role.default_duration), format_duration(role.max_duration)
    approvals = "1 approval" if role.approvals == 1 else f"{role.approvals} approvals"
    ticket = ", with a ticket" if role.ticket else ""
    return [
        bold(role.title, 75),
        " (",
        code(role.name, 63),
        f"): {usual}, at most {most}; {approvals}{ticket}",
    ]


def _named(title: str, row: Grant | Request) -> list[Part]:
    name: list[Part] = [" (", typed(row.role, 63, "code"), ")"] if title != row.role else []
    return [bold(title, 75), *name, *with_values(row)]


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count or 'no'} {what}s"
