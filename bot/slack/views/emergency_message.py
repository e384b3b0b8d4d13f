"""The message about an emergency, for the channels and the leads: the access, its reason, its state
and its review."""

from collections.abc import Sequence

from bot.core.durations import format_duration
from bot.core.model import HELD, GrantState, RequestState, Urgency
from bot.core.names import slash
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import (
    Block,
    Element,
    Message,
    Part,
    actions,
    bold,
    bullets,
    button,
    clean,
    confirm,
    date,
    mentions,
    message,
    paragraph,
    quote,
    rich,
    section,
    who,
    who_text,
)
from bot.slack.ids import Action
from bot.slack.views import approval_message
from bot.slack.views._parts import (
    gives,
    role_parts,
    state_parts,
    title_text,
    used_parts,
    with_values,
)

DRILL = "This is a drill: the access is real, and it is reviewed like any other."


def render(card: RequestCard, now: int, pinged: Sequence[str] = ()) -> Message:
    """The message as the emergency is at `now`; `pinged` (ready mentions) are pinged while somebody
    has to act."""
    if card.emergency is not None:
        return _started(card, pinged)
    rendered = approval_message.render(card, now, pinged)
    if card.request.state is RequestState.PENDING:
        rendered["blocks"].insert(0, paragraph(*_waits(card)))
    return rendered


def _waits(card: RequestCard) -> list[list[Part]]:
    others = [each for each in card.open_emergencies if each.request != card.request.id]
    since: list[Part] = [" since ", date(others[0].started_at)] if others else []
    drill: list[list[Part]] = [[DRILL]] if card.request.urgency is Urgency.DRILL else []
    return [
        [
            bold("Emergency that waits for you."),
            " An earlier emergency of ",
            who(card.request.requester),
            " is open",
            *since,
            ", so this one starts with one press on Approve, of an approver or a lead.",
        ],
        *drill,
    ]


def _started(card: RequestCard, pinged: Sequence[str]) -> Message:
    request = card.request
    lasts = format_duration(card.grant.duration if card.grant else request.duration)
    title = title_text(card.role, request.role)
    is_signed = card.emergency is not None and card.emergency.signed_at is not None
    return message(
        f"{who_text(request.requester)} took {title} for {lasts}{_how_text(card)}.",
        paragraph(
            [
                bold(card.requester.name, 80),
                " (",
                who(request.requester),
                ") took ",
                *role_parts(card.role, request.role),
                *with_values(request),
                " for ",
                bold(lasts),
                *_how(card),
                ".",
            ],
            *([[DRILL]] if request.urgency is Urgency.DRILL else []),
        ),
        rich(section(bold("Reason")), quote(request.reason)),
        paragraph(*_fate(card)),
        *_review(card),
        rich(
            bullets([["On ", *gives(request, _in_full(request.role))]]),
        ),
        *([] if is_signed else mentions(pinged, "please look at this, and sign its review.")),
        *_buttons(card),
    )


def _in_full(role: str) -> str:
    return f"`{slash()} roles {role}` lists them"


def _how(card: RequestCard) -> list[Part]:
    if card.emergency is None or card.emergency.alone:
        return [", without approval"]
    by = [actor for actor in (card.request.decided_by or "").split(",") if actor]
    return [", with the approval of ", *[p for actor in by for p in (", ", who(actor))][1:]]


def _how_text(card: RequestCard) -> str:
    alone = card.emergency is None or card.emergency.alone
    return ", without approval" if alone else ", with one approval"


def _fate(card: RequestCard) -> list[Sequence[Part]]:
    if card.grant is None:
        return [["It is being set up."]]
    lines: list[Sequence[Part]] = [state_parts(card.grant)]
    if card.grant.state is GrantState.ENDED and card.grant.started_at and card.used is not None:
        lines.append(["It was ", *used_parts(card.used), "."])
    return lines


def _review(card: RequestCard) -> list[Block]:
    review = card.emergency
    if review is None:
        return []
    if review.signed_at is not None:
        words: list[Part] = [bold("Review signed"), " by ", who(review.signed_by or "")]
        return [rich(section(*words, " ", date(review.signed_at), ":"), quote(review.conclusion))]
    if not card.has_signer:
        nobody = " There is no other lead: add one to leads in roles.toml."
        return [paragraph([bold("Review open"), ": another lead has to sign it.", nobody])]
    return [
        paragraph([bold("Review open"), ": a lead has to sign it, not ", who(review.person), "."])
    ]


def _buttons(card: RequestCard) -> list[Block]:
    review = card.emergency
    if review is None:
        return []
    holder = card.requester.name
    held = card.grant is not None and card.grant.state in HELD
    return buttons(card.request.id, holder, held=held, is_open=review.signed_at is None)


def buttons(request: str, holder: str, *, held: bool, is_open: bool) -> list[Block]:
    """The lead's buttons for an emergency: sign its review, end its access."""
    about = f"emergency of {holder}"
    sign = button("Sign review", Action.SIGN_REVIEW, request, about, "primary")
    made = [*([sign] if is_open else []), *([_end(request, holder, about)] if held else [])]
    return [actions(*made)] if made else []


def _end(request: str, holder: str, about: str) -> Element:
    asked = confirm(
        "End this access now?",
        f"The emergency access of {clean(holder, 60)} ends at once on every system. The review"
        " stays open until it is signed.",
        "End now",
        "Keep it",
        "danger",
    )
    return button("End now", Action.END_EMERGENCY, request, about, "danger", asked)
