"""App Home: a person's access, pending requests, decisions to make and roles, and for leads all
active access.

A section that is too long for its share of Slack's hundred blocks is shown page by page.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from bot.core.durations import format_duration
from bot.core.model import Grant, GrantState, Request
from bot.core.names import app_name, slash
from bot.core.roles import Role
from bot.operations.people.describe_person import EmergencyView, PersonView
from bot.operations.systems.describe_alerts import AlertView
from bot.slack.blocks import (
    Block,
    Element,
    Part,
    View,
    actions,
    bold,
    button,
    clean,
    context,
    date,
    divider,
    header,
    link,
    paragraph,
    plain,
    quote,
    rich,
    who,
)
from bot.slack.ids import Action
from bot.slack.payloads import BadPayload
from bot.slack.views import onboarding_lists, preapproval_parts, review_notes
from bot.slack.views._fit import fit
from bot.slack.views._parts import (
    by_program,
    decision_buttons,
    revoke,
    state_now,
    state_parts,
    used_so_far,
    with_values,
)
from bot.slack.views.deciders import absence_lines, right_line
from bot.slack.views.emergency_message import buttons
from bot.slack.views.end_alert import acknowledgement
from bot.slack.views.flag_message import row
from bot.slack.views.lists import held_rows, pending_rows

NO_ROLE = "-"
"""The value of the request button: it can't be the name of a role."""

HELD, PENDING, DECIDE, ASK, PREAPPROVED, RAMPS, ALERTS, FLAGS, EVERYTHING = (
    "held",
    "pending",
    "decide",
    "ask",
    "preapproved",
    "ramps",
    "alerts",
    "flags",
    "everything",
)
SECTIONS = (HELD, PENDING, DECIDE, ASK, PREAPPROVED, RAMPS, ALERTS, FLAGS, EVERYTHING)
"""The sections that are shown page by page, as their buttons name them."""

BLOCKS = 100
CHARACTERS = 60_000
"""The most characters of one section; only the size of a request to Slack limits it."""

EMERGENCY_BLOCKS = 9
REVIEW_BLOCKS = 6
_FURTHEST = 100_000
_NAMED_APPROVERS = 3
_REASON = 200


@dataclass(frozen=True, slots=True)
class _Page:
    """The section that a button shows, and the number of its rows to skip."""

    section: str
    skip: int

    def of(self, section: str) -> int:
        return self.skip if section == self.section else 0


def page_from(value: str) -> tuple[str, int]:
    """The section and the rows to skip in a button's value. Raises BadPayload, because a value can
    be forged."""
    section, _, skip = value.partition(":")
    known = section in SECTIONS
    if (
        not known
        or not skip.isdecimal()
        or not skip.isascii()
        or not 0 <= int(skip[:7]) <= _FURTHEST
    ):
        raise BadPayload("This button is broken. Open Home again.")
    return section, int(skip)


def render(view: PersonView, now: int, section: str = "", skip: int = 0) -> View:
    """The Home of one person; `section` begins after `skip` rows, the others at the first."""
    if why := _why_empty(view):
        return _home([header(app_name()), paragraph([why])])
    page, banner = _Page(section, skip), _emergencies(view)
    crowd = sum(map(bool, (banner, view.ramps, view.preapprovals, view.reviews)))

    def room(most: int) -> int:
        """Emergencies, reviews, onboardings and pre-approvals leave less room for each section."""
        return most * 2 // (2 + crowd)

    held = _rows(held_rows(view, now), HELD, page, len(view.held), room(16))
    pending, mine = len(view.pending), len(view.waiting_for_me)
    blocks = [
        *banner,
        header("My access"),
        *_start(view),
        *_absences(view),
        *(held or [_nothing(view)]),
        *_titled("Waiting for a decision", pending_rows(view), PENDING, page, pending, room(8)),
        *_titled("Waiting for you", _waiting_rows(view), DECIDE, page, mine, room(18)),
        *_reviews(view),
        *_titled("What you may ask for", _role_rows(view), ASK, page, len(view.roles), room(8)),
        *_preapproved(view, page, room(8)),
        *_recent(view),
        *_onboarding(view, page, room(6)),
        *_titled("Open flags", map(row, view.flags), FLAGS, page, view.open_flags, room(9)),
        *_titled("Ends not confirmed", _alert_rows(view), ALERTS, page, view.open_alerts, room(9)),
    ]
    return _home([*blocks, *_everything(view, now, page, BLOCKS - len(blocks))])


def _why_empty(view: PersonView) -> str:
    """The reason why this person sees nothing; "" if they see something."""
    if view.person.checked_at == 0:
        return "Slack has not said yet who you are. Open Home again in a moment."
    unfit = view.person.ineligible_reason()
    return f"There is nothing for you here: {unfit}." if unfit else ""


def _preapproved(view: PersonView, page: _Page, room: int) -> list[Block]:
    rows = preapproval_parts.rows(view.preapprovals, view.person.id)
    return _titled("Approved in advance", rows, PREAPPROVED, page, len(view.preapprovals), room)


def _home(blocks: Sequence[Block]) -> View:
    return {"type": "home", "blocks": list(blocks)}


def _emergencies(view: PersonView) -> list[Block]:
    """The banner of the leads: every emergency whose review nobody has signed."""
    if not view.emergencies:
        return []
    rows = [_emergency(view, each) for each in view.emergencies]
    shown, missing = fit(rows, EMERGENCY_BLOCKS, CHARACTERS)
    missing = view.open_emergencies - (len(rows) - missing)
    more = [context(f"and {missing} more: sign the oldest to see them.")] if missing else []
    return [header(f"Open emergencies ({view.open_emergencies})"), *shown, *more, divider()]


def _emergency(view: PersonView, each: EmergencyView) -> list[Block]:
    grant, mine = each.grant, each.review.person == view.person.id
    words: list[Part] = [who(grant.person), " took ", bold(view.title_of(grant), 90), " "]
    signs: list[Part] = ["Another lead has to sign your review."] if mine else []
    return [
        paragraph([*words, date(each.review.started_at), "."], state_parts(grant), signs),
        rich(quote(each.request.reason, _REASON)),
        *buttons(
            each.request.id,
            view.names.get(grant.person, grant.person),
            held=_may_end(grant),
            is_open=not mine,
        ),
    ]


def _reviews(view: PersonView) -> list[Block]:
    """The open reviews, those that are due first before the others."""
    if not view.reviews:
        return []
    rows = [review_notes.row(each) for each in view.reviews]
    shown, missing = fit(rows, REVIEW_BLOCKS, CHARACTERS)
    more = [context(f"and {missing} more, which {slash()} review list shows.")] if missing else []
    return [divider(), header(f"Reviews ({len(view.reviews)})"), *shown, *more]


def _start(view: PersonView) -> list[Block]:
    if not view.roles:
        return [
            paragraph(["There is no role that you may ask for. Ask a lead which one you need."])
        ]
    return [actions(button("Request access", Action.REQUEST, NO_ROLE, style="primary"))]


def _absences(view: PersonView) -> list[Block]:
    lines = absence_lines(view.away, view.decides_for, view.names)
    if not lines:
        return []
    back = [actions(button("I'm back", Action.BACK, view.person.id))] if view.away else []
    return [paragraph(*lines), *back]


def _nothing(view: PersonView) -> Block:
    """The text without any access; for a newcomer it explains how this works."""
    if view.pending or view.recent or not view.roles:
        return paragraph(["You have no access right now."])
    return paragraph(
        ["You have no access right now."],
        [
            "Here you get access to production for a limited time: choose a role, say why, and an"
            " approver decides."
        ],
        [
            "It ends automatically, and a message tells you before it does. ",
            bold(f"{slash()} help"),
            " has the commands.",
        ],
    )


def _rows(
    rows: Iterable[list[Block]], section: str, page: _Page, count: int, room: int, had: int = 0
) -> list[Block]:
    """The rows of one page in at most `room` blocks, then the buttons for other pages.

    The first `had` rows are missing in `rows`, because the database skipped them.
    """
    skip = page.of(section)
    left = list(islice(rows, max(0, skip - had), None))
    shown, missing = fit(left, room, CHARACTERS)
    here = len(left) - missing
    if not skip and here >= count:
        return shown
    return [*shown, *_turn(section, skip, here, count)]


def _turn(section: str, skip: int, here: int, count: int) -> list[Block]:
    """The buttons for other pages of a section, and the numbers of the rows shown."""
    beyond = skip + here
    about = f"{min(skip + 1, beyond)} to {beyond} of {count}"
    buttons: list[Element] = []
    if beyond < count and here:
        buttons.append(button("Show more", Action.HOME_PAGE, f"{section}:{beyond}", about))
    if skip:
        buttons.append(button("Back to the first", Action.HOME_FIRST, f"{section}:0", section))
    return [context(f"{about} are shown." if here else "There are no more."), actions(*buttons)]


def _titled(
    title: str, rows: Iterable[list[Block]], section: str, page: _Page, count: int, room: int
) -> list[Block]:
    blocks = _rows(rows, section, page, count, room) if count else []
    return [divider(), header(f"{title} ({count})"), *blocks] if blocks else []


def _waiting_rows(view: PersonView) -> Iterable[list[Block]]:
    for request in view.waiting_for_me:
        title = view.title_of(request)
        asks: list[Part] = [who(request.requester), " asks for ", bold(title, 75)]
        why = right_line(view.rights.get(request.id), view.person.id, view.names)
        length = bold(format_duration(request.duration))
        yield [
            paragraph(
                [*asks, *with_values(request), " for ", length, *by_program(request), "."],
                why,
                _ticket(view, request),
            ),
            rich(quote(request.reason, 500)),
            actions(*decision_buttons(request, f"{request.role} ({request.id})")),
        ]


def _ticket(view: PersonView, request: Request) -> list[Part]:
    if not request.ticket:
        return []
    return ["Ticket: ", link(request.ticket, view.ticket_links.get(request.id, ""), 100)]


def _role_rows(view: PersonView) -> Iterable[list[Block]]:
    for role in view.roles:
        named = role.title if role.title == role.name else f"{role.title} ({role.name})"
        most = format_duration(role.max_duration)
        words = f"{named}: at most {most}, decided by {_approvers(view, role)}"
        yield [_with_button(words, button("Request", Action.REQUEST, role.name, role.title))]


def _approvers(view: PersonView, role: Role) -> str:
    names = view.approvers.get(role.name, role.approvers)
    more = len(names) - _NAMED_APPROVERS
    return ", ".join(names[:_NAMED_APPROVERS]) + (f" and {more} more" if more > 0 else "")


def _recent(view: PersonView) -> list[Block]:
    """The last requests, each with a button to repeat it."""
    if not view.recent:
        return []
    open_now = {role.name for role in view.roles}
    return [
        divider(),
        header("Your last requests"),
        *(_again(view, request, request.role in open_now) for request in view.recent),
    ]


def _again(view: PersonView, request: Request, may_ask: bool) -> Block:
    title = view.title_of(request)
    words = (
        f"{clean(title, 75)} for {format_duration(request.duration)}, {request.state}:"
        f" {clean(request.reason, _REASON)}"
    )
    return _with_button(
        words, button("Ask again", Action.ASK_AGAIN, request.id, title) if may_ask else None
    )


def _with_button(words: str, pressed: Element | None) -> Block:
    """One line with a button; Slack does not interpret the words."""
    block: Block = {"type": "section", "text": plain(words, 600)}
    return {**block, "accessory": pressed} if pressed else block


def _onboarding(view: PersonView, page: _Page, room: int) -> list[Block]:
    """The reader's own onboarding, then those that they mentor or lead."""
    mine = [each for each in view.ramps if each.ramp.newcomer == view.person.id]
    rest = [each for each in view.ramps if each.ramp.newcomer != view.person.id]
    is_lead = view.everything is not None
    rows = (onboarding_lists.row(each, is_lead, view.person.id) for each in rest)
    own = [divider(), header("My onboarding"), *onboarding_lists.own(mine[0])] if mine else []
    return [*own, *_titled("Onboarding", rows, RAMPS, page, len(rest), room)]


def _alert_rows(view: PersonView) -> Iterable[list[Block]]:
    for each in view.alerts:
        yield [paragraph(_alert(view, each)), acknowledgement(each)]


def _alert(view: PersonView, each: AlertView) -> list[Part]:
    title = view.title_of(each.grant)
    return [
        bold(each.alert.system, 75),
        " has not confirmed the end of ",
        bold(title, 75),
        " of ",
        who(each.grant.person),
        " since ",
        date(each.alert.since),
        ".",
    ]


def _everything(view: PersonView, now: int, page: _Page, room: int) -> list[Block]:
    """All active grants, in the rest of the view."""
    if view.everything is None:
        return []
    count = view.active or len(view.everything)
    rows = (_grant(view, grant, now) for grant in view.everything)
    listed = _rows(rows, EVERYTHING, page, count, room - 4, had=page.of(EVERYTHING))
    return [
        divider(),
        header(f"Everything active ({count})"),
        *(listed or [paragraph(["Nobody has any access right now."])]),
    ]


def _grant(view: PersonView, grant: Grant, now: int) -> list[Block]:
    title = view.title_of(grant)
    used = view.used.get(grant.id)
    use = [" ", *used_so_far(used)] if used is not None and grant.started_at is not None else []
    words: list[Part] = [
        who(grant.person),
        ", ",
        bold(title, 75),
        *with_values(grant),
        ". ",
        *state_now(grant, now),
        *use,
    ]
    holder = view.names.get(grant.person, grant.person)
    ends = [actions(revoke(grant, title, holder, "End now"))] if _may_end(grant) else []
    return [paragraph(words), *ends]


def _may_end(grant: Grant) -> bool:
    return grant.state in (GrantState.SCHEDULED, GrantState.STARTING, GrantState.ACTIVE)
