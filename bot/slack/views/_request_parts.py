"""Lines about a request that the approval message and its details share."""

from collections.abc import Callable, Iterator, Mapping

from bot.core.criteria import Criterion, Verdict
from bot.core.durations import format_duration
from bot.core.lifecycle import longest_run
from bot.core.model import RULE, Grant, Request, RequestState
from bot.core.names import slash
from bot.core.roles import Role
from bot.operations.requests.describe_request import RequestCard
from bot.slack.blocks import Part, bold, date, typed, who
from bot.slack.views._parts import by_program, role_parts, with_values

_SIGNS = {Verdict.MET: "✓", Verdict.NOT_MET: "✗", Verdict.UNKNOWN: "?"}


def headline(card: RequestCard) -> list[Part]:
    """The requester, the role and the duration."""
    request = card.request
    asks = " asked for " if request.state is not RequestState.PENDING else " asks for "
    role = [*role_parts(card.role, request.role), *with_values(request)]
    wants = [*role, " for ", bold(format_duration(request.duration))]
    more: list[Part] = [" more, as a renewal"] if request.renews else []
    start: list[Part] = [", from ", date(request.start_at)] if request.start_at else []
    person: list[Part] = [bold(card.requester.name, 80), " (", who(request.requester), ")"]
    return [*person, asks, *wants, *more, *start, *by_program(request), "."]


def outcome(card: RequestCard) -> list[Part]:
    """The outcome with its deciders and time."""
    request = card.request
    if card.in_advance and request.state is RequestState.APPROVED:
        return [bold("Approved"), " in advance by ", *_givers(card), "."]
    deciders = request.decided_by_each or ("somebody",)
    by: list[Part] = [part for actor in deciders for part in (", ", who(actor))][1:]
    when: list[Part] = [" ", date(request.decided_at)] if request.decided_at else []
    return [*_OUTCOMES[request.state](by), *when, "."]


_OUTCOMES: Mapping[RequestState, Callable[[list[Part]], list[Part]]] = {
    RequestState.APPROVED: lambda by: [bold("Approved"), " by ", *by],
    RequestState.DENIED: lambda by: [bold("Denied"), " by ", *by],
    RequestState.WITHDRAWN: lambda by: [bold("Withdrawn"), " by ", *by],
    RequestState.LAPSED: lambda by: [bold("Nobody decided in time"), ", so it lapsed"],
}


def criterion(judged: Criterion) -> list[Part]:
    """One criterion with its sign."""
    of: list[Part] = [" (rule ", typed(f"“{judged.rule}”", 90), ")"] if judged.rule else []
    return [f"{_SIGNS[judged.verdict]} {judged.verdict}: ", typed(judged.text), *of]


def was_decided_by_people(card: RequestCard) -> bool:
    """Whether somebody looked at this very request before it was approved."""
    return not card.in_advance and not (card.request.decided_by or "").startswith(RULE)


def in_advance(card: RequestCard) -> list[list[Part]]:
    """The people who approved it in advance, and the longest duration that they approved."""
    if not card.in_advance:
        return []
    most = min(each.duration for each in card.in_advance)
    return [["Approved in advance up to ", format_duration(most), " by ", *_givers(card)]]


def _givers(card: RequestCard) -> list[Part]:
    parts: list[Part] = []
    for each in card.in_advance:
        parts += [", ", who(each.giver), " (until ", date(each.until), ")"]
    return parts[1:]


def sign(verdict: Verdict) -> str:
    return _SIGNS[verdict]


def changed(card: RequestCard) -> list[list[Part]]:
    """The criteria that were different when it was asked."""
    return [["Changed since it was asked: ", typed(text, 400)] for text in card.changed]


def votes(card: RequestCard) -> list[Part]:
    """The number of approvals, where it needs more than one; `deciders` describes tiers."""
    if (card.role and card.role.tiers) or (card.need <= 1 and not card.have):
        return []
    names: list[Part] = [part for voter in card.have for part in (", ", who(voter))][1:]
    counted = f"{len(card.have)} of {card.need} approvals"
    return [counted, *([" (", *names, ")"] if names else [])]


def unasked(card: RequestCard) -> Iterator[list[Part]]:
    """The renewals without approval that an approval allows beyond the request."""
    request, role = card.request, card.role
    if role is None or role.renewal_approval or request.renews:
        return
    longest = longest_run(request.duration, role.max_renewals, role.max_total)
    if longest > request.duration:
        until: list[Part] = (
            [", until ", date(request.start_at + longest)] if request.start_at else []
        )
        words = (
            f"Can be extended {often(role.max_renewals)} without asking again{_quota(role)}, at"
            f" most {format_duration(longest)} in all"
        )
        yield [words, *until]


def _quota(role: Role) -> str:
    return f" ({role.renewal_quota} for each person)" if role.renewal_quota else ""


def starts_later(grant: Grant, request: Request) -> bool:
    """Whether an approver gave it a later start than was asked for."""
    decided_at = request.decided_at
    return decided_at is not None and grant.starts_at > max(request.start_at or 0, decided_at)


def often(times: int) -> str:
    return {1: "once", 2: "twice"}.get(times, f"{times} times")


def in_full(card: RequestCard) -> str:
    return f"`{slash()} roles {card.request.role}` lists them"
