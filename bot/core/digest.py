"""Computes the numbers of the weekly digest from the requests, grants and emergencies of its
period. docs/digest.md explains each number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from math import ceil
from zoneinfo import ZoneInfo

from bot.core.emergency import EmergencyReview
from bot.core.feedback import Feedback
from bot.core.model import RULE, EndReason, Grant, GrantState, Request, RequestState
from bot.core.onboarding import RULE_OF_RAMPS
from bot.core.usage import GrantUsage
from bot.core.weekly import Period

MOST_LONGEST = 3
"""The number of grants that are named as the longest."""


class Report(StrEnum):
    WEEKLY = "weekly"
    RIGHT_SIZING = "right_sizing"
    """Suggestions for roles.toml, once a month."""


class Outcome(StrEnum):
    """The outcome of a request, with the kind of decider."""

    BY_PEOPLE = "by people"
    BY_RULE = "by a rule"
    IN_ADVANCE = "in advance"
    BY_PLAN = "by an onboarding"
    DENIED = "denied"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


DECIDED = (Outcome.BY_PEOPLE, Outcome.BY_RULE, Outcome.IN_ADVANCE, Outcome.DENIED)
"""The outcomes of which the shares are parts. The plan of an onboarding was approved before, and a
request that lapsed or was withdrawn got no decision."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts on record about a period.

    `settled` are the requests that got an outcome in it, `in_advance` the ids of those that
    pre-approvals decided. `had` are the grants that somebody had at a time of it, `asked` the
    requests of those that started in it, `used` the use of those that ended in it, and `feedback`
    the answers about those. `refused` counts the refusals by denial rules.
    """

    settled: Sequence[Request] = ()
    in_advance: Collection[str] = ()
    had: Sequence[Grant] = ()
    asked: Mapping[str, Request] = field(default_factory=dict)
    used: Mapping[str, GrantUsage] = field(default_factory=dict)
    feedback: Mapping[str, Feedback] = field(default_factory=dict)
    emergencies: Sequence[EmergencyReview] = ()
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Times:
    """Durations in seconds: the median of `count`, and the longest of the quickest nine tenths."""

    count: int
    median: int
    most: int


@dataclass(frozen=True, slots=True)
class Longest:
    """A grant, and the seconds for which somebody has had it, up to the end of the period."""

    grant: Grant
    seconds: int


@dataclass(frozen=True, slots=True)
class Digest:
    """The numbers of one period. Grants that are `held` are so at its end, soonest end first."""

    period: Period
    held: tuple[Grant, ...]
    started: tuple[Grant, ...]
    ended: tuple[Grant, ...]
    by_day: tuple[tuple[date, int, int], ...]
    """Each day with the numbers of grants that started and that ended."""
    ends: Mapping[EndReason, int]
    outcomes: Mapping[Outcome, int]
    refused: int
    to_decision: Times | None
    to_access: Times | None
    unused: tuple[Grant, ...]
    use_known: int
    """The number of ended grants of which it is known whether they were used."""
    feedback: Mapping[Feedback, int]
    longest: tuple[Longest, ...]
    emergencies: tuple[EmergencyReview, ...]

    @property
    def decided(self) -> int:
        return sum(self.outcomes.get(each, 0) for each in DECIDED)

    def share(self, *outcomes: Outcome) -> int | None:
        """The percentage of decided requests that had one of these outcomes; None without any."""
        count = sum(self.outcomes.get(each, 0) for each in outcomes)
        return round(100 * count / self.decided) if self.decided else None


def digest(period: Period, facts: Facts, zone: ZoneInfo) -> Digest:
    """The numbers of this period; its days are those on the clocks of `zone`."""
    had = [grant for grant in facts.had if grant.state is not GrantState.FAILED]
    started = tuple(grant for grant in had if period.has(grant.started_at))
    ended = tuple(grant for grant in had if period.has(grant.ended_at))
    held = (grant for grant in had if grant.ended_at is None or grant.ended_at >= period.until)
    used, feedback = facts.used, facts.feedback
    known = [grant for grant in ended if use_is_known(grant, used, feedback)]
    return Digest(
        period=period,
        held=tuple(sorted(held, key=lambda grant: (grant.ends_at, grant.id))),
        started=started,
        ended=ended,
        by_day=tuple(_by_day(period, started, ended, zone)),
        ends=Counter(grant.end_reason or EndReason.EXPIRED for grant in ended),
        outcomes=Counter(
            outcome_of(request, facts.in_advance)
            for request in facts.settled
            if not request.urgency
        ),
        refused=facts.refused,
        to_decision=times(_to_decision(facts)),
        to_access=times(_to_access(started, facts.asked)),
        unused=tuple(grant for grant in known if is_unused(grant, used, feedback)),
        use_known=len(known),
        feedback=Counter(feedback[grant.id] for grant in ended if grant.id in feedback),
        longest=_longest(period, had),
        emergencies=tuple(sorted(facts.emergencies, key=lambda each: each.started_at)),
    )


def outcome_of(request: Request, in_advance: Collection[str]) -> Outcome:
    """The outcome of a request that is not pending."""
    match request.state:
        case RequestState.DENIED:
            return Outcome.DENIED
        case RequestState.LAPSED:
            return Outcome.LAPSED
        case RequestState.WITHDRAWN:
            return Outcome.WITHDRAWN
    by = request.decided_by or ""
    if by.startswith(RULE_OF_RAMPS):
        return Outcome.BY_PLAN
    if by.startswith(RULE):
        return Outcome.BY_RULE
    return Outcome.IN_ADVANCE if request.id in in_advance else Outcome.BY_PEOPLE


def is_unused(
    grant: Grant, used: Mapping[str, GrantUsage], feedback: Mapping[str, Feedback]
) -> bool:
    """Whether a grant was not used, as far as that is known. The holder's answer counts where the
    systems do not report use."""
    use = used.get(grant.id, GrantUsage())
    return not use.times and feedback.get(grant.id, Feedback.UNNEEDED) is Feedback.UNNEEDED


def use_is_known(
    grant: Grant, used: Mapping[str, GrantUsage], feedback: Mapping[str, Feedback]
) -> bool:
    """Whether it is known if a grant was used: its systems report every use, or its holder
    answered."""
    use = used.get(grant.id)
    reported = use is not None and (bool(use.times) or not (use.silent or use.glimpsed))
    return reported or grant.id in feedback


def times(seconds: Iterable[int]) -> Times | None:
    """The middle and the ninth of ten of these durations; None without any."""
    ordered = sorted(seconds)
    if not ordered:
        return None
    return Times(len(ordered), nearest_rank(ordered, 0.5), nearest_rank(ordered, 0.9))


def nearest_rank(ordered: Sequence[int], share: float) -> int:
    """The smallest value that this share of all does not exceed (nearest rank)."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def _to_decision(facts: Facts) -> Iterable[int]:
    """Seconds from each request to its decision by people. Decisions by a rule or a pre-approval
    take no time of anybody."""
    for request in facts.settled:
        outcome = outcome_of(request, facts.in_advance)
        if outcome in (Outcome.BY_PEOPLE, Outcome.DENIED) and not request.urgency:
            yield (request.decided_at or request.created_at) - request.created_at


def _to_access(started: Iterable[Grant], asked: Mapping[str, Request]) -> Iterable[int]:
    """Seconds from each request to its access, without later starts and emergencies."""
    for grant in started:
        request = asked.get(grant.request)
        if request is None or request.start_at is not None or grant.urgency:
            continue
        yield max(0, (grant.started_at or 0) - request.created_at)


def _by_day(
    period: Period, started: Sequence[Grant], ended: Sequence[Grant], zone: ZoneInfo
) -> Iterable[tuple[date, int, int]]:
    for day, part in period.days(zone):
        begun = sum(part.has(grant.started_at) for grant in started)
        yield day, begun, sum(part.has(grant.ended_at) for grant in ended)


def _longest(period: Period, had: Iterable[Grant]) -> tuple[Longest, ...]:
    lengths = (
        Longest(grant, min(grant.ended_at or period.until, period.until) - grant.started_at)
        for grant in had
        if grant.started_at is not None
    )
    ordered = sorted(lengths, key=lambda each: (-each.seconds, each.grant.id))
    return tuple(ordered[:MOST_LONGEST])
