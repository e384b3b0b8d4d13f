"""The modal with everything that is known about a request, for those who decide on it."""

from bot.core.durations import format_duration
from bot.core.model import Grant, GrantState, RequestState
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import (
    Block,
    Part,
    View,
    bold,
    bullets,
    code,
    date,
    divider,
    link,
    listing,
    modal,
    paragraph,
    quote,
    rich,
    section,
    typed,
)
from bot.slack.ids import Modal
from bot.slack.views._parts import UNBOUNDED, gives_in_full, why_words
from bot.slack.views._request_parts import (
    changed,
    criterion,
    headline,
    in_advance,
    in_full,
    outcome,
    unasked,
    votes,
)
from bot.slack.views.deciders import asked_lines, why_you


def render(card: RequestCard, reader: str = "") -> View:
    """The whole card as it is now, for one reader. It has no buttons, because it is not updated."""
    request = card.request
    blocks: list[Block] = [
        paragraph(headline(card), [] if _waits(card) else outcome(card)),
        rich(section(bold("Reason")), quote(request.reason)),
        rich(section(bold("What it gives")), bullets(_gives(card))),
        divider(),
    ]
    if card.criteria:
        blocks.append(rich(section(bold("Criteria")), bullets(map(criterion, card.criteria))))
    if lines := changed(card):
        blocks.append(rich(bullets(lines)))
    if _waits(card):
        blocks.append(rich(section(bold("The person")), bullets(_person(card))))
        blocks.append(rich(section(bold("The decision")), bullets(_decision(card, reader))))
    return modal(Modal.NOTICE, "Details", blocks, close="Close")


def _waits(card: RequestCard) -> bool:
    return card.request.state is RequestState.PENDING


def _gives(card: RequestCard) -> list[list[Part]]:
    request = card.request
    lines: list[list[Part]] = [["On ", *gives_in_full(request)]]
    if request.ticket:
        lines.append(["Ticket: ", link(request.ticket, card.ticket_link, 200)])
    if card.role:
        lines.append([f"Risk: {card.role.risk}"])
    if request.renews and card.grant and _waits(card):
        lines.append(["Has it now until ", date(card.grant.ends_at)])
    return lines


def _person(card: RequestCard) -> list[list[Part]]:
    return [*_history(card), *_flags(card), _holds(card), _usual(card)]


def _flags(card: RequestCard) -> list[list[Part]]:
    """The open flags about this person; if there are none, a line says so."""
    if not card.flags:
        return [["No open flags about this person"]]
    return [
        [bold(f"Flag, {each.severity}"), ": ", code(each.rule), ", ", typed(each.sentence, 300)]
        for each in card.flags
    ]


def _history(card: RequestCard) -> list[list[Part]]:
    if not card.past and not card.approved:
        first: list[Part] = ["First time for this role"]
        return [[*first, f"; denied before: {_times(card.denied)}"] if card.denied else first]
    counts = f"Approved before: {_times(card.approved)}; denied: {_times(card.denied)}"
    return [[counts], *(_past(grant) for grant in card.past)]


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _past(grant: Grant) -> list[Part]:
    parts: list[Part] = [
        "Had it ",
        date(grant.started_at or grant.starts_at),
        f" for {format_duration(grant.duration)}",
    ]
    if grant.end_reason is not None:
        return [*parts, ", ", why_words(grant.end_reason)]
    return (
        [*parts, ", failed: it could not be set up"] if grant.state is GrantState.FAILED else parts
    )


def _holds(card: RequestCard) -> list[Part]:
    if not card.holds:
        return ["Holds nothing else now"]
    return ["Holds now: ", *listing([grant.role for grant in card.holds], UNBOUNDED)]


def _usual(card: RequestCard) -> list[Part]:
    if card.usual_duration is None:
        return ["No usual duration yet: nobody was given this role before"]
    longer = ", shorter than asked for now" if card.usual_duration < card.request.duration else ""
    return [f"Usual duration: {format_duration(card.usual_duration)}{longer}"]


def _decision(card: RequestCard, reader: str) -> list[list[Part]]:
    asked = [votes(card), *asked_lines(card), *in_advance(card)]
    lines = [*asked, *unasked(card), _asked(card), why_you(card, reader)]
    lapses: list[Part] = ["Lapses ", date(card.request.lapses_at), " if nobody decides"]
    return [*filter(None, lines), lapses]


def _asked(card: RequestCard) -> list[Part]:
    if card.role is None:
        return [
            "The role is no longer in roles.toml, so nobody can decide on it; its requester can"
            " cancel it"
        ]
    need = "one approval is enough" if card.need == 1 else f"{card.need} approvals are needed"
    people = f"{len(card.deciders)} people" if len(card.deciders) != 1 else "1 person"
    groups: list[Part] = (
        [" (", *listing(card.groups, 200, "bold", in_full(card)), ")"] if card.groups else []
    )
    tier = card.counted.tier if card.counted else None
    named = f" as “{tier.name}”" if tier is not None and tier.name else ""
    return [
        f"Approvers of this role{named} are asked",
        *groups,
        f"; {people} can decide, {need}",
    ]
