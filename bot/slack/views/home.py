"""App Home: what I have and wait for, what waits for me, and for leads everything that is active. It always fits into
Slack's hundred blocks; what has no room is counted.
"""

from collections.abc import Iterable, Sequence

from bot.core.durations import format_duration
from bot.core.model import Grant, Request
from bot.operations.describe_person import PersonView
from bot.slack.blocks import (
    Block,
    Part,
    View,
    actions,
    bold,
    bullets,
    button,
    context,
    divider,
    header,
    paragraph,
    quote,
    rich,
    who,
)
from bot.slack.ids import Action
from bot.slack.views._fit import fit
from bot.slack.views._parts import decision_buttons, state_now, used_so_far
from bot.slack.views.lists import held_rows, pending_rows

MOST_EVERYTHING = 50
NO_ROLE = "-"
"""The request button's value: no role can be called this."""

CHARACTERS = 60_000
"""Of one part of the view: it has no limit of its own but for what one request to Slack may weigh."""


def render(view: PersonView, now: int) -> View:
    """The home view of one person; a stranger or guest sees that there is nothing for them."""
    unfit = view.person.unfit()
    if unfit:
        return _home([header("Access"), paragraph([f"There is nothing for you here: {unfit}."])])
    blocks = [
        header("My access"),
        *_start(view),
        *(_section(held_rows(view, now), 36, "`/access list`") or [paragraph(["You have no access right now."])]),
        *_titled("Waiting for a decision", _section(pending_rows(view), 16, "`/access list`"), len(view.pending)),
        *_titled("Waiting for you", _section(_waiting_rows(view), 32, "see their channels"), len(view.waiting_for_me)),
        *_everything(view, now),
    ]
    return _home(blocks)


def _home(blocks: Sequence[Block]) -> View:
    return {"type": "home", "blocks": list(blocks)}


def _start(view: PersonView) -> list[Block]:
    if not view.roles:
        return [paragraph(["There is no role that you may ask for. Ask a lead which one you need."])]
    return [actions(button("Request access", Action.REQUEST, NO_ROLE, style="primary"))]


def _section(rows: Iterable[list[Block]], room: int, where: str) -> list[Block]:
    """As many rows as fit into so many blocks, how many more there are, and where they can be seen."""
    shown, missing = fit(rows, room, CHARACTERS)
    return [*shown, context(f"And {missing} more: {where}.")] if missing else shown


def _titled(title: str, blocks: list[Block], count: int) -> list[Block]:
    return [divider(), header(f"{title} ({count})"), *blocks] if blocks else []


def _waiting_rows(view: PersonView) -> Iterable[list[Block]]:
    for request in view.waiting_for_me:
        title = view.titles.get(request.role, request.role)
        asks: list[Part] = [who(request.requester), " asks for ", bold(title, 75), " for "]
        yield [
            paragraph([*asks, bold(format_duration(request.duration)), "."], _ticket(request)),
            rich(quote(request.reason, 500)),
            actions(*decision_buttons(request, f"{request.role} ({request.id})")),
        ]


def _ticket(request: Request) -> list[Part]:
    return ["Ticket: ", bold(request.ticket, 100)] if request.ticket else []


def _everything(view: PersonView, now: int) -> list[Block]:
    if view.everything is None:
        return []
    count = len(view.everything)
    lines = [_line(view, grant, now) for grant in view.everything[:MOST_EVERYTHING]]
    more = [context(f"And {count - MOST_EVERYTHING} more.")] if count > MOST_EVERYTHING else []
    listed = [rich(bullets(lines))] if lines else [paragraph(["Nobody has any access right now."])]
    return [
        divider(),
        header(f"Everything active ({count})"),
        *listed,
        *more,
        context("To end one: `/access revoke @user`."),
    ]


def _line(view: PersonView, grant: Grant, now: int) -> list[Part]:
    used = view.used.get(grant.id)
    said = [" ", *used_so_far(used)] if used is not None and grant.started_at is not None else []
    title = bold(view.titles.get(grant.role, grant.role), 75)
    return [who(grant.person), ", ", title, ". ", *state_now(grant, now), *said]
