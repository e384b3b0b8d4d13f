"""The message that asks approvers: who wants what, for how long and why, and what they need to know
to decide. It shows a request in whatever state it is, and doesn't know where its copies are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from bot.core.criteria import Criterion, Verdict
from bot.core.durations import format_duration
from bot.core.lifecycle import longest_run
from bot.core.model import HELD, RULE, Grant, GrantState, Request, RequestState
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
    listing,
    mentions,
    message,
    paragraph,
    quote,
    rich,
    section,
    typed,
    who,
    who_text,
)
from bot.slack.views._parts import (
    UNBOUNDED,
    decision_buttons,
    gives,
    revoke_given,
    role_parts,
    state_parts,
    title_text,
    used_parts,
    why_words,
)

SHOWN_HOLDS = 5
ONLY_ROOM = 1500


def render(card: RequestCard, now: int, mentions: Sequence[str] = ()) -> Message:
    """The approval message as the request is at `now`; `mentions` (ready `<@U…>`, `<!subteam^S…>`)
    are pinged while it waits for a decision."""
    return (
        _pending(card, mentions) if card.request.state is RequestState.PENDING else _decided(card)
    )


def asked_directly() -> Block:
    """Why an approver has this as a direct message."""
    words = "The channel for these requests takes no messages now, so I ask you directly."
    return paragraph([bold("You can decide here. "), words])


def _pending(card: RequestCard, pinged: Sequence[str]) -> Message:
    request = card.request
    wants = f"{title_text(card.role, request.role)} for {format_duration(request.duration)}"
    about = f"{request.role} for {clean(card.requester.name, 40)}"
    return message(
        f"{who_text(request.requester)} asks for {wants}. Approve or deny it.",
        paragraph(_headline(card)),
        *_why_and_what(card),
        rich(section(bold("To help you decide")), bullets(_decision_card(card))),
        *mentions(pinged, "please decide."),
        actions(*decision_buttons(request, about)),
    )


def _decided(card: RequestCard) -> Message:
    request = card.request
    title = title_text(card.role, request.role)
    return message(
        f"The request of {who_text(request.requester)} for {title} was"
        f" {_OUTCOME_WORDS[request.state]}.",
        paragraph(_headline(card)),
        rich(section(*_outcome(card)), *_said(card)),
        *_fate(card),
        *_judged(card),
        *_why_and_what(card),
        *_undo(card),
    )


def _headline(card: RequestCard) -> list[Part]:
    request = card.request
    asks = " asked for " if request.state is not RequestState.PENDING else " asks for "
    wants = [*role_parts(card.role, request.role), " for ", bold(format_duration(request.duration))]
    more: list[Part] = [" more, as a renewal"] if request.renews else []
    start: list[Part] = [", from ", date(request.start_at)] if request.start_at else []
    return [
        bold(card.requester.name, 80),
        " (",
        who(request.requester),
        ")",
        asks,
        *wants,
        *more,
        *start,
        ".",
    ]


def _why_and_what(card: RequestCard) -> list[Block]:
    request = card.request
    facts: list[list[Part]] = [["On ", *gives(request.systems, request.actions, _in_full(card))]]
    if request.ticket:
        facts.append(["Ticket: ", typed(request.ticket, 100, "bold")])
    if card.role:
        facts.append([f"Risk: {card.role.risk}"])
    if request.state is RequestState.PENDING:
        facts += _waiting(card)
    return [rich(section(bold("Reason")), quote(request.reason)), rich(bullets(facts))]


def _in_full(card: RequestCard) -> str:
    return f"`/access roles {card.request.role}` lists them"


def _waiting(card: RequestCard) -> Iterator[list[Part]]:
    if card.need > 1 or card.have:
        names: list[Part] = [part for voter in card.have for part in (", ", who(voter))][1:]
        yield [
            f"{len(card.have)} of {card.need} approvals",
            *([" (", *names, ")"] if names else []),
        ]
    if card.request.renews and card.grant:
        yield ["Has it now until ", date(card.grant.ends_at)]
    yield from _unasked(card)
    yield ["Lapses ", date(card.request.lapses_at), " if nobody decides"]


def _unasked(card: RequestCard) -> Iterator[list[Part]]:
    """What an approval allows beyond what was asked for: renewals that ask nobody."""
    request, role = card.request, card.role
    if role is None or role.renewal_approval or request.renews:
        return
    longest = longest_run(request.duration, role.max_renewals, role.max_total)
    if longest > request.duration:
        until: list[Part] = (
            [", until ", date(request.start_at + longest)] if request.start_at else []
        )
        often = _often(role.max_renewals)
        yield [
            (
                f"Can be extended {often} without asking again, at most {format_duration(longest)}"
                " in all"
            ),
            *until,
        ]


def _extended(card: RequestCard, grant: Grant) -> Iterator[list[Part]]:
    """What may follow without asking, of what is held."""
    role, left = card.role, card.role.max_renewals - grant.renewals if card.role else 0
    if role is None or role.renewal_approval or left <= 0:
        return
    latest = min(grant.latest_end, (grant.started_at or grant.starts_at) + role.max_total)
    latest = min(latest, grant.ends_at + left * grant.duration)
    if latest > grant.ends_at and grant.state in (GrantState.SCHEDULED, GrantState.ACTIVE):
        again = " more" if grant.renewals else ""
        yield [
            f"Can be extended {_often(left)}{again} without asking again, at most until ",
            date(latest),
            ".",
        ]


def _often(times: int) -> str:
    return {1: "once", 2: "twice"}.get(times, f"{times} times")


# --- the decision card


_SIGNS = {Verdict.MET: "✓", Verdict.NOT_MET: "✗", Verdict.UNKNOWN: "?"}


def _decision_card(card: RequestCard) -> list[list[Part]]:
    lines = [_criterion(each) for each in card.criteria]
    return [*lines, *_history(card), _holds(card), _usual(card), _why_you(card)]


def _criterion(criterion: Criterion) -> list[Part]:
    return [f"{_SIGNS[criterion.verdict]} {criterion.verdict}: ", typed(criterion.text)]


def _history(card: RequestCard) -> list[list[Part]]:
    if not card.past and not card.approved:
        first: list[Part] = ["First time for this role"]
        return [[*first, f"; denied before: {_times(card.denied)}"] if card.denied else first]
    counts = f"Approved before: {_times(card.approved)}; denied: {_times(card.denied)}"
    return [[counts], *(_past(grant) for grant in card.past)]


def _times(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def _past(grant: Grant) -> list[Part]:
    said: list[Part] = [
        "Had it ",
        date(grant.started_at or grant.starts_at),
        f" for {format_duration(grant.duration)}",
    ]
    if grant.end_reason is not None:
        return [
            *said,
            ", ",
            why_words(grant.end_reason),
        ]  # without who: a card pings nobody but its readers
    return [*said, ", failed: it could not be set up"] if grant.state is GrantState.FAILED else said


def _holds(card: RequestCard) -> list[Part]:
    if not card.holds:
        return ["Holds nothing else now"]
    names = listing([grant.role for grant in card.holds[:SHOWN_HOLDS]], 400)
    more = len(card.holds) - SHOWN_HOLDS
    return ["Holds now: ", *names, *([f" and {more} more, which Edit lists"] if more > 0 else [])]


def _usual(card: RequestCard) -> list[Part]:
    if card.usual_duration is None:
        return ["No usual duration yet: nobody was given this role before"]
    longer = ", shorter than asked for now" if card.usual_duration < card.request.duration else ""
    return [f"Usual duration: {format_duration(card.usual_duration)}{longer}"]


def _why_you(card: RequestCard) -> list[Part]:
    if card.role is None:
        return [
            "The role is no longer in roles.toml, so nobody can decide on it; its requester can"
            " cancel it"
        ]
    need = "one approval is enough" if card.need == 1 else f"{card.need} approvals are needed"
    people = f"{len(card.deciders)} people" if len(card.deciders) != 1 else "1 person"
    groups: list[Part] = (
        [" (", *listing(card.groups, 200, "bold", _in_full(card)), ")"] if card.groups else []
    )
    return [
        "You are asked because you approve this role",
        *groups,
        f"; {people} can decide, {need}",
    ]


# --- after the decision

_OUTCOME_WORDS: Mapping[RequestState, str] = {
    RequestState.APPROVED: "approved",
    RequestState.DENIED: "denied",
    RequestState.WITHDRAWN: "withdrawn",
    RequestState.LAPSED: "lapsed, as nobody decided in time",
}

_OUTCOMES: Mapping[RequestState, Callable[[list[Part]], list[Part]]] = {
    RequestState.APPROVED: lambda by: [bold("Approved"), " by ", *by],
    RequestState.DENIED: lambda by: [bold("Denied"), " by ", *by],
    RequestState.WITHDRAWN: lambda by: [bold("Withdrawn"), " by ", *by],
    RequestState.LAPSED: lambda by: [bold("Nobody decided in time"), ", so it lapsed"],
}


def _outcome(card: RequestCard) -> list[Part]:
    request = card.request
    deciders = request.decided_by_each or ("somebody",)
    by: list[Part] = [part for actor in deciders for part in (", ", who(actor))][1:]
    when: list[Part] = [" ", date(request.decided_at)] if request.decided_at else []
    return [*_OUTCOMES[request.state](by), *when, "."]


def _said(card: RequestCard) -> list[dict[str, object]]:
    return [quote(card.request.decision_reason)] if card.request.decision_reason else []


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


def _judged(card: RequestCard) -> list[Block]:
    """What a rule decided by, and what had changed by the decision."""
    lines = [_criterion(each) for each in card.criteria] if _by_rule(card.request) else []
    lines += [["Changed since it was asked: ", typed(text, 400)] for text in card.changed]
    return [rich(bullets(lines))] if lines else []


def _by_rule(request: Request) -> bool:
    return (request.decided_by or "").startswith(RULE)


def _undo(card: RequestCard) -> list[Block]:
    """The button that revokes what nobody decided on, while it is held."""
    request, grant = card.request, card.grant
    if not _by_rule(request) or grant is None or grant.state not in HELD:
        return []
    about = f"{request.role} of {clean(card.requester.name, 40)}"
    return [actions(revoke_given(request, about))]


def _narrowed(card: RequestCard, grant: Grant) -> Iterator[list[Part]]:
    if grant.duration < card.request.duration:
        yield [f"Given for {format_duration(grant.duration)}, less than was asked for."]
    if len(grant.actions) < len(card.request.actions):
        rest = "Show credentials lists them, and `/access audit export` for leads"
        yield ["Only: ", *listing(grant.actions, ONLY_ROOM, rest=rest)]
