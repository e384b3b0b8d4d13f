"""Direct messages to a person about their own requests and access: on every change of state and
before the end.
"""

from collections.abc import Callable, Mapping

from bot.core.durations import format_duration
from bot.core.model import EndReason, Grant, GrantState, Request, Urgency
from bot.core.names import app_name, slash
from bot.operations.grants.describe_grant import GrantView
from bot.operations.messages.direct_notes import TRUE_IN
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import (
    Block,
    Message,
    Part,
    actions,
    bold,
    date,
    escape,
    left,
    listing,
    message,
    paragraph,
    quote,
    rich,
    section,
    who,
    who_text,
)
from bot.slack.views._fit import join
from bot.slack.views._parts import (
    ACTIONS_ROOM,
    done,
    ended_because,
    grant_buttons,
    lasted,
    renew,
    role_parts,
    state_now,
    state_parts,
    title_of,
    title_text,
    used_parts,
    used_text,
    with_values,
)
from bot.slack.views._request_parts import starts_later
from bot.slack.views.feedback import feedback_asked

__all__ = ["grant_note", "join", "past_note", "past_request_note", "reminder", "request_note"]


def grant_note(note: str, view: GrantView, now: int) -> Message:
    """A note about access: scheduled, active, delayed, failed, renewed or ended.

    If an outage of Slack delayed the note until it was no longer true, it shows the current state.
    """
    return (
        _GRANT_NOTES[note](view, now)
        if view.grant.state is TRUE_IN.get(note, view.grant.state)
        else _overtaken(view, now)
    )


def past_note(note: str, at: int, view: GrantView) -> Message:
    """A past note: its content when it was posted (`at`), in words that stay true, and the end of
    the access, if it has ended."""
    grant, words = view.grant, _PAST[note]
    since: list[Part] = ["Newer messages say what happened since."]
    if grant.state in (GrantState.ENDED, GrantState.FAILED):
        since = state_parts(grant)
    elif grant.state is GrantState.ENDING:  # stays true: a past note is no longer changed
        since = ["Its end was asked for. A message says when every system has confirmed it."]
    return message(
        f"{title_text(view.role, grant.role)}: {words}.",
        paragraph([*role_parts(view.role, grant.role), f": {words} ", date(at), "."], since),
    )


def past_request_note(card: RequestCard) -> Message:
    """A request that could not be posted at first."""
    title = title_text(card.role, card.request.role)
    return message(
        f"Your request for {title} could not be posted at first.",
        paragraph(
            [
                "Your request for ",
                *role_parts(card.role, card.request.role),
                " could not be posted at first.",
            ],
            ["Newer messages say what happened since."],
        ),
    )


def request_note(note: str, card: RequestCard, now: int) -> Message:
    """A note about a request: denied, lapsed, or unposted."""
    return _REQUEST_NOTES[note](card)


def reminder(view: GrantView, now: int) -> Message:
    """Access ends soon: the time left, and the holder's choices."""
    grant, title = view.grant, title_of(view.role, view.grant.role)
    if grant.state is not GrantState.ACTIVE or grant.ends_at <= now:
        return _overtaken(view, now)
    in_time = left(grant.ends_at - now)
    return message(
        f"Your access to {title_text(view.role, grant.role)} ends in {in_time}.",
        paragraph(
            [
                *role_parts(view.role, grant.role),
                " ends ",
                bold(f"in {in_time}"),
                ": ",
                date(grant.ends_at),
                ".",
            ],
            [*_still_working(grant), " Finished? Give it back now."],
        ),
        actions(
            *([] if grant.urgency else [renew(grant, title, primary=True)]), done(grant, title)
        ),
    )


def _still_working(grant: Grant) -> list[Part]:
    if grant.urgency:
        return ["Still working? Ask for more time now with ", bold(f"{slash()}"), "."]
    return ["Still working? Renew it."]


def _overtaken(view: GrantView, now: int) -> Message:
    grant = view.grant
    return message(
        f"News about your access to {title_text(view.role, grant.role)}.",
        paragraph([*role_parts(view.role, grant.role), ": ", *state_now(grant, now)]),
        *_buttons(view),
    )


def _scheduled(view: GrantView, now: int) -> Message:
    grant = view.grant
    lasts = format_duration(grant.duration)
    return message(
        f"Approved: {title_text(view.role, grant.role)} starts later.",
        paragraph(
            [
                "Approved: ",
                *role_parts(view.role, grant.role),
                " starts ",
                date(grant.starts_at),
                f" for {lasts}.",
            ],
            _narrowed(view),
            ["You get a message when it works."],
        ),
        *_buttons(view),
    )


def _active(view: GrantView, now: int) -> Message:
    return message(
        f"You have {title_text(view.role, view.grant.role)} now,"
        f" for {format_duration(view.grant.duration)}.",
        paragraph(
            [
                "You have ",
                *role_parts(view.role, view.grant.role),
                *with_values(view.grant),
                " until ",
                date(view.grant.ends_at),
                f" ({format_duration(view.grant.duration)}).",
            ],
            *(_emergency_terms() if view.grant.urgency else [_narrowed(view)]),
            ["Show credentials shows how to get in. Only you can see it."],
        ),
        *_buttons(view),
    )


def _emergency_terms() -> list[list[Part]]:
    return [
        ["All leads and the approvers are notified. A lead who is not you reviews it."],
        ["It can't be renewed. If you need it longer, ask now with ", bold(f"{slash()}"), "."],
    ]


def _narrowed(view: GrantView) -> list[Part]:
    """The differences where an approver gave less, or later, than was asked for; empty without
    any."""
    grant, asked = view.grant, view.request
    lasts = format_duration(grant.duration)
    changes: list[list[Part]] = []
    if is_shorter := grant.duration < asked.duration:
        lasts += f" instead of {format_duration(asked.duration)}"
    if systems := [each for each in asked.systems if each not in grant.systems]:
        changes.append(["without ", *listing(systems, 600, "bold")])
    wanted = {action for system in grant.systems for action in asked.actions_of(system)}
    if left_out := [each for each in asked.actions if each in wanted - {*grant.actions}]:
        rest = "Show credentials lists what you have"
        changes.append(["without ", *listing(left_out, ACTIONS_ROOM, rest=rest)])
    if grant.state is GrantState.SCHEDULED and starts_later(grant, asked):
        changes.append(["from ", date(grant.starts_at)])
    if not is_shorter and not changes:
        return []
    listed = [part for each in changes for part in ("; ", *each)]
    return ["Your approver changed it. You get ", bold(lasts), *listed, "."]


def _delayed(view: GrantView, now: int) -> Message:
    grant = view.grant
    if view.why:
        return _waits(view)
    return message(
        f"{title_text(view.role, grant.role)} is approved, but takes longer to set up.",
        paragraph(
            [*role_parts(view.role, grant.role), " is approved, but a system did not answer yet."],
            *_half(view),
            ["We keep trying and tell you either way."],
        ),
        *_buttons(view),
    )


def _half(view: GrantView) -> list[list[Part]]:
    """The systems that are set up already. The time runs from the first of them."""
    made = [lease.system for lease in view.leases if lease.state is GrantState.ACTIVE]
    rest = [lease.system for lease in view.leases if lease.state is not GrantState.ACTIVE]
    if not made:
        return [["Your time starts with the first system that has it, or may have it."]]
    until: list[Part] = [" until ", date(view.grant.ends_at)]
    return [
        [
            "You have it on ",
            *listing(made, 900, "bold"),
            *until,
            "; ",
            *listing(rest, 900),
            " is still being set up.",
        ]
    ]


def _waits(view: GrantView) -> Message:
    """The holder must act first."""
    grant = view.grant
    return message(
        f"{title_text(view.role, grant.role)} is approved, and waits for you: {escape(view.why)}",
        paragraph(
            [*role_parts(view.role, grant.role), " is approved, and waits for you."],
            [
                view.why,
                " Your access starts after that, if you do it before ",
                date(view.until),
                ".",
            ],
        ),
        *_buttons(view),
    )


def _failed(view: GrantView, now: int) -> Message:
    grant = view.grant
    return message(
        f"{title_text(view.role, grant.role)} could not be set up. You have no access from this"
        " request.",
        paragraph(
            [
                *role_parts(view.role, grant.role),
                " was approved but could not be set up",
                *_not_had(view),
                ".",
            ],
            _taken_back(view),
            [view.why] if view.why else [],
            _ask_again(view),
        ),
    )


def _not_started(view: GrantView, now: int) -> Message:
    """The words stay true even if the end has changed since."""
    return message(
        f"{title_text(view.role, view.grant.role)} was approved, but does not start.",
        paragraph(
            [*role_parts(view.role, view.grant.role), " was approved, but does not start."],
            [view.why],
        ),
    )


def _not_had(view: GrantView) -> list[Part]:
    return [" everywhere, so it ends"] if view.grant.started_at else [", so you do not have it"]


def _ask_again(view: GrantView) -> list[Part]:
    ask: list[Part] = ["ask again with ", bold(f"{slash()} request"), "."]
    if view.why:
        return ["Then ", *ask]
    leads = _leads(view, "start_failed", " why")
    return [
        leads,
        " Talk to one of them, or " if "start_failed" in view.leads_notified else " Or ",
        *ask,
    ]


def _taken_back(view: GrantView) -> list[Part]:
    """Access is all or nothing: the parts that were set up are removed again."""
    if len(view.leases) < 2:
        return []
    left = [lease.system for lease in view.leases if lease.state is not GrantState.ENDED]
    if not left:
        return ["The parts that were set up have been removed."]
    return [
        "The parts that were set up are being removed from ",
        *listing(left, 2000),
        ".",
    ]


def _leads(view: GrantView, note: str, what: str = "") -> str:
    """Says that the leads were notified only if they have the note."""
    if note in view.leads_notified:
        return f"The leads were notified{what}."
    return "The leads have not been notified yet: please tell one."


def _end_delayed(view: GrantView, now: int) -> Message:
    waiting = ", ".join(
        lease.system for lease in view.leases if lease.state is not GrantState.ENDED
    )
    return message(
        f"The end of {title_text(view.role, view.grant.role)} is not confirmed yet.",
        paragraph(
            [
                *role_parts(view.role, view.grant.role),
                " is over, but ",
                waiting,
                " has not confirmed it yet.",
            ],
            [f"We keep trying. {_leads(view, 'alert')} Please stop using it."],
        ),
    )


def _unextended(view: GrantView, now: int) -> Message:
    return message(
        f"Your access to {title_text(view.role, view.grant.role)} may stop earlier than you were"
        " told.",
        paragraph(
            [
                *role_parts(view.role, view.grant.role),
                " is yours until ",
                date(view.grant.ends_at),
                ".",
            ],
            [
                "But a system has not confirmed that yet, and may end it there when it would have"
                " ended before."
            ],
            [view.why] if view.why else [],
            [f"We keep trying and tell you when it has. {_leads(view, 'unextended')}"],
        ),
        *_buttons(view),
    )


def _extended(view: GrantView, now: int) -> Message:
    return message(
        f"Confirmed: your access to {title_text(view.role, view.grant.role)} works to its end.",
        paragraph(
            ["The system that had not confirmed it now has."],
            [
                *role_parts(view.role, view.grant.role),
                " is yours until ",
                date(view.grant.ends_at),
                ".",
            ],
            ["Show credentials gives you what works until then."],
        ),
        *_buttons(view),
    )


def _missing(view: GrantView, now: int) -> Message:
    return message(
        f"Part of your access to {title_text(view.role, view.grant.role)} is missing.",
        paragraph(
            [
                *role_parts(view.role, view.grant.role),
                " should work until ",
                date(view.grant.ends_at),
                ", but all or part of it is missing.",
            ],
            [f"It was removed on the system, not by {app_name()}. {_leads(view, 'missing')}"],
            ["The bot does not restore it: talk to a lead, or press I'm done and ask again."],
        ),
        *_buttons(view),
    )


def _renewed(view: GrantView, now: int) -> Message:
    grant = view.grant
    lasts = left(grant.ends_at - now)
    return message(
        f"Renewed: you have {title_text(view.role, grant.role)} for another {lasts}.",
        paragraph(
            [
                "Renewed: ",
                *role_parts(view.role, grant.role),
                " now ends ",
                date(grant.ends_at),
                f" ({lasts} left).",
            ],
            [
                "What you were shown before works until its old end. Show credentials gives you the"
                " new ones."
            ],
        ),
        *_buttons(view),
    )


def _ended(view: GrantView, now: int) -> Message:
    grant, used = view.grant, view.used if view.grant.started_at is not None else None
    return message(
        f"Your access to {title_text(view.role, grant.role)} has ended."
        + (f" It was {used_text(used)}." if used else ""),
        paragraph(
            [
                *role_parts(view.role, grant.role),
                " has ended: ",
                *ended_because(grant, to_holder=True),
                ".",
            ],
            lasted(grant),
            ["It was ", *used_parts(used), "."] if used else [],
            _again(grant),
        ),
        *feedback_asked(view),
    )


def _again(grant: Grant) -> list[Part]:
    if grant.end_reason is EndReason.OFFBOARDED:
        return []
    return ["If you need it again, ask with ", bold(f"{slash()}"), "."]


def _denied(card: RequestCard) -> Message:
    request = card.request
    by = request.decided_by or "system"
    words = (
        quote(request.decision_reason)
        if request.decision_reason
        else section("No reason was given.")
    )
    return message(
        f"{who_text(by)} denied your request for {title_text(card.role, request.role)}.",
        rich(
            section(
                who(by), " denied your request for ", *role_parts(card.role, request.role), ":"
            ),
            words,
        ),
        paragraph([_nothing(request), " Talk to them, or ask again with what is missing."]),
    )


def _lapsed(card: RequestCard) -> Message:
    request = card.request
    waited = format_duration(request.lapses_at - request.created_at)
    return message(
        f"Nobody decided on your request for {title_text(card.role, request.role)} in time.",
        paragraph(
            [
                f"Nobody decided within {waited} on your request for ",
                *role_parts(card.role, request.role),
                ": it lapsed.",
            ],
            [_nothing(request), " Ask again, and tell an approver that it waits."],
        ),
    )


def _unposted(card: RequestCard) -> Message:
    asked = sum(channel.startswith("D") for channel, _ in card.copies)
    able = len(card.deciders)
    directly = f" {asked} of {able} have it as a direct message." if asked else ""
    return message(
        f"Your request for {title_text(card.role, card.request.role)} could not be posted yet.",
        paragraph(
            [
                "I can't post your request for ",
                *role_parts(card.role, card.request.role),
                " to its channel now.",
            ],
            [f"Its approvers find it in their App Home.{directly}"],
            [
                "I post it as soon as the channel works again. If it is urgent, speak to an"
                " approver."
            ],
        ),
    )


def _emergency_skipped(card: RequestCard) -> Message:
    """For an approver whom nobody asked; it stays true in every later state of the access."""
    request = card.request
    title, lasts = title_text(card.role, request.role), format_duration(request.duration)
    drill: list[Part] = (
        ["This is a drill: the access is real."] if request.urgency is Urgency.DRILL else []
    )
    return message(
        f"{who_text(request.requester)} took {title} for {lasts}, without approval.",
        rich(
            section(
                who(request.requester),
                " took ",
                *role_parts(card.role, request.role),
                " for ",
                bold(lasts),
                ", without approval, ",
                date(request.created_at),
                ":",
            ),
            quote(request.reason),
        ),
        paragraph(
            ["You approve this role, so you are notified. A lead reviews it afterwards."], drill
        ),
    )


def _review_signed(card: RequestCard) -> Message:
    """For the user of an emergency."""
    request, review = card.request, card.emergency
    by, words = (review.signed_by or "", review.conclusion) if review else ("", "")
    return message(
        f"{who_text(by)} signed the review of {title_text(card.role, request.role)}.",
        rich(
            section(who(by), " signed the review of ", *role_parts(card.role, request.role), ":"),
            quote(words),
        ),
    )


def _nothing(request: Request) -> str:
    return "Your access ends as planned." if request.renews else "Nothing was given."


def _buttons(view: GrantView) -> list[Block]:
    label = "Give it back" if _narrowed(view) else "I'm done"
    title = title_of(view.role, view.grant.role)
    buttons = grant_buttons(view.grant, title, primary=True, give_back=label)
    return [actions(*buttons)] if buttons else []


_GRANT_NOTES: Mapping[str, Callable[[GrantView, int], Message]] = {
    "scheduled": _scheduled,
    "active": _active,
    "delayed": _delayed,
    "failed": _failed,
    "not_started": _not_started,
    "renewed": _renewed,
    "unextended": _unextended,
    "extended": _extended,
    "missing": _missing,
    "end_delayed": _end_delayed,
    "ended": _ended,
}

_PAST: Mapping[str, str] = {
    "scheduled": "approved, to start later,",
    "active": "started",
    "delayed": "took longer to set up,",
    "renewed": "renewed",
    "unextended": "a system had not confirmed the new end",
    "extended": "every system had confirmed the new end",
    "missing": "a part of it was missing",
    "reminder": "reminded of its end",
    "end_delayed": "a system had not confirmed the end",
    "lost": "reported",
}
"""The past form of each note; the time follows it."""

_REQUEST_NOTES: Mapping[str, Callable[[RequestCard], Message]] = {
    "denied": _denied,
    "lapsed": _lapsed,
    "unposted": _unposted,
    "emergency_skipped": _emergency_skipped,
    "review_signed": _review_signed,
}
