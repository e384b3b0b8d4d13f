"""The message that asks approvers: the requester, the role, the duration, the reason, and whether
the criteria are met. It shows a request in any state, and doesn't know the places of its copies."""

from collections.abc import Iterator, Mapping, Sequence

from bot.core.criteria import Criterion, Verdict
from bot.core.durations import format_duration
from bot.core.model import HELD, Grant, GrantState, Request, RequestState
from bot.core.names import slash
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import (
    Block,
    Message,
    Part,
    actions,
    bold,
    bullets,
    clean,
    date,
    link,
    listing,
    mentions,
    message,
    paragraph,
    quote,
    rich,
    section,
    typed,
    who_text,
)
from bot.slack.views._parts import (
    UNBOUNDED,
    decision_buttons,
    details,
    gives,
    gives_within,
    revoke_given,
    state_parts,
    title_text,
    used_parts,
)
from bot.slack.views._request_parts import (
    changed,
    criterion,
    headline,
    in_advance,
    in_full,
    often,
    outcome,
    sign,
    starts_later,
    unasked,
    votes,
    was_decided_by_people,
)
from bot.slack.views.deciders import asked_lines

ONLY_ROOM = 1500
REASON_ROOM, REASON_LINES = 300, 4
"""Characters and lines of a reason in a request that waits; Details has the rest."""

_SYSTEMS_ROOM, _ACTIONS_ROOM = 60, 90


def render(card: RequestCard, now: int, mentions: Sequence[str] = ()) -> Message:
    """The approval message as the request is at `now`; `mentions` (ready `<@U…>`, `<!subteam^S…>`)
    are pinged while it waits for a decision."""
    return (
        _pending(card, mentions) if card.request.state is RequestState.PENDING else _decided(card)
    )


# --- while it waits


def _pending(card: RequestCard, pinged: Sequence[str]) -> Message:
    """Short enough for a phone: Details has everything."""
    request = card.request
    wants = f"{title_text(card.role, request.role)} for {format_duration(request.duration)}"
    about = f"{request.role} for {clean(card.requester.name, 40)}"
    return message(
        f"{who_text(request.requester)} asks for {wants}. Approve or deny it.",
        paragraph(headline(card)),
        rich(_reason(request)),
        paragraph(_facts(card), *_criteria(card), *_more(card)),
        *mentions(pinged, "please decide."),
        actions(*decision_buttons(request, about), details(request, about)),
    )


def _more(card: RequestCard) -> list[list[Part]]:
    """Further facts for a decision: changes, pre-approvals, and the people who are asked."""
    return [*changed(card), *in_advance(card), *asked_lines(card)]


def _reason(request: Request) -> dict[str, object]:
    with_lines = request.reason.strip().count("\n") < REASON_LINES
    words = typed(request.reason, REASON_ROOM, lines=with_lines)
    return {"type": "rich_text_quote", "elements": [words]}


def _facts(card: RequestCard) -> list[Part]:
    """One line: the access and its renewals, the ticket, the risk, and the votes."""
    request = card.request
    facts: list[list[Part]] = [gives_within(request, _SYSTEMS_ROOM, _ACTIONS_ROOM)]
    if request.ticket:
        facts.append(["ticket ", link(request.ticket, card.ticket_link, 60)])
    if card.role:
        facts.append([f"{card.role.risk} risk"])
    if counted := votes(card):
        facts.append(counted)
    if request.renews and card.grant:
        facts.append(["has it until ", date(card.grant.ends_at)])
    if not card.past and not card.approved:
        facts.append(["first time"])
    if card.flags:
        count = len(card.flags)
        facts.append([bold(f"{count} open flag{'s' if count > 1 else ''} about this person")])
    if card.denied:
        facts.append([f"denied {often(card.denied)} before"])
    facts += ([str(first)[0].lower() + str(first)[1:], *rest] for first, *rest in unasked(card))
    return [part for fact in facts for part in (" · ", *fact)][1:]


def _criteria(card: RequestCard) -> list[list[Part]]:
    """Those that are not met or could not be checked; one line for the others, and one for the
    rule that came nearest to decide."""
    own = [each for each in card.criteria if not each.rule]
    open_ = [criterion(each) for each in own if not each.met]
    return [*open_, *_met(len(own) - len(open_), bool(open_)), *_nearest(card.criteria)]


def _met(count: int, others: bool) -> Iterator[list[Part]]:
    if count:
        which = "The other" if others else "All" if count > 1 else "The"
        yield [f"✓ {which} {'criterion is' if count == 1 else f'{count} criteria are'} met."]


def _nearest(criteria: Sequence[Criterion]) -> Iterator[list[Part]]:
    """The reason why the nearest rule did not decide."""
    open_ = [each for each in criteria if each.rule and not each.met]
    if open_:
        unknown = all(each.verdict is Verdict.UNKNOWN for each in open_)
        words = "; ".join(each.text for each in open_)
        mark = sign(Verdict.UNKNOWN if unknown else Verdict.NOT_MET)
        named = typed(f"“{open_[0].rule}”", 90)
        yield [f"{mark} The rule ", named, " does not decide it: ", typed(words, 200), "."]


# --- after the decision


def _decided(card: RequestCard) -> Message:
    request = card.request
    title = title_text(card.role, request.role)
    return message(
        f"The request of {who_text(request.requester)} for {title} was"
        f" {_OUTCOME_WORDS[request.state]}.",
        paragraph(headline(card)),
        rich(section(*outcome(card)), *_decision_reason(card)),
        *_fate(card),
        *_judged(card),
        *_why_and_what(card),
        *_undo(card),
    )


_OUTCOME_WORDS: Mapping[RequestState, str] = {
    RequestState.APPROVED: "approved",
    RequestState.DENIED: "denied",
    RequestState.WITHDRAWN: "withdrawn",
    RequestState.LAPSED: "lapsed, as nobody decided in time",
}


def _decision_reason(card: RequestCard) -> list[dict[str, object]]:
    return [quote(card.request.decision_reason)] if card.request.decision_reason else []


def _why_and_what(card: RequestCard) -> list[Block]:
    request = card.request
    facts: list[list[Part]] = [["On ", *gives(request, in_full(card))]]
    if request.ticket:
        facts.append(["Ticket: ", link(request.ticket, card.ticket_link, 100)])
    if card.role:
        facts.append([f"Risk: {card.role.risk}"])
    return [rich(section(bold("Reason")), quote(request.reason)), rich(bullets(facts))]


def _fate(card: RequestCard) -> list[Block]:
    grant = card.grant
    if card.request.state is not RequestState.APPROVED or grant is None:
        return []
    lines: list[Sequence[Part]] = [state_parts(grant)]
    if grant.state is GrantState.ENDED and grant.started_at is not None and card.used is not None:
        lines.append(["It was ", *used_parts(card.used), "."])
    if grant.request == card.request.id:
        lines += _narrowed(card, grant)
    lines += _extended(card, grant)
    if grant.state is GrantState.STARTING and len(card.leases) > 1:
        made = [lease.system for lease in card.leases if lease.state is GrantState.ACTIVE]
        lines.append(
            [
                f"{len(made)} of {len(card.leases)} systems",
                *([": ", *listing(made, UNBOUNDED)] if made else []),
                ".",
            ]
        )
    waiting = [lease.system for lease in card.leases if lease.state is not GrantState.ENDED]
    if grant.state is GrantState.ENDING and waiting:
        lines.append(["Not confirmed yet by ", *listing(waiting, UNBOUNDED, "bold"), "."])
    return [paragraph(*lines)]


def _narrowed(card: RequestCard, grant: Grant) -> Iterator[list[Part]]:
    if grant.duration < card.request.duration:
        yield [f"Given for {format_duration(grant.duration)}, less than was asked for."]
    if starts_later(grant, card.request):
        yield ["Given from ", date(grant.starts_at), ", later than was asked for."]
    if left_out := [each for each in card.request.systems if each not in grant.systems]:
        yield ["Without ", *listing(left_out, UNBOUNDED, "bold"), "."]
    if len(grant.actions) < len(card.request.actions):
        rest = f"Show credentials lists them, and `{slash()} audit export` for leads"
        yield ["Only: ", *listing(grant.actions, ONLY_ROOM, rest=rest)]


def _extended(card: RequestCard, grant: Grant) -> Iterator[list[Part]]:
    """The renewals without approval that a held grant may still have."""
    role, left = card.role, card.role.max_renewals - grant.renewals if card.role else 0
    if role is None or role.renewal_approval or left <= 0:
        return
    latest = min(grant.latest_end, (grant.started_at or grant.starts_at) + role.max_total)
    latest = min(latest, grant.ends_at + left * grant.duration)
    if latest > grant.ends_at and grant.state in (GrantState.SCHEDULED, GrantState.ACTIVE):
        again = " more" if grant.renewals else ""
        yield [
            f"Can be extended {often(left)}{again} without asking again, at most until ",
            date(latest),
            ".",
        ]


def _judged(card: RequestCard) -> list[Block]:
    """The criteria by which a rule or pre-approval decided, and the changes by the time of the
    decision."""
    lines = [] if was_decided_by_people(card) else [criterion(each) for each in card.criteria]
    lines += changed(card)
    return [rich(bullets(lines))] if lines else []


def _undo(card: RequestCard) -> list[Block]:
    """The button that revokes access that nobody decided on, while it is held."""
    request, grant = card.request, card.grant
    if was_decided_by_people(card) or grant is None or grant.state not in HELD:
        return []
    about = f"{request.role} of {clean(card.requester.name, 40)}"
    return [actions(revoke_given(request, about))]
