"""Explains a role: its deciders, its limits, and the result of a request by one person now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bot.core.approval import Refused, nobody_can_decide
from bot.core.authority import Authority, deciders, people_of, seats, tiers_of
from bot.core.criteria import Asked, Criterion, Facts, Verdict, judge
from bot.core.durations import format_duration
from bot.core.model import Delegation, Person
from bot.core.preapproval import PreApproval
from bot.core.roles import Role, rule_references
from bot.core.rules import AutoApproval

Called = Callable[[Iterable[str]], Sequence[str]]
"""Gives references to people and groups as they are shown."""


class Would(StrEnum):
    """The outcome of a request that is made now."""

    REFUSED = "refused"
    GRANTED = "granted"
    WAITS = "waits for approval"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that roles.toml says of a role, as a topic and a sentence without a full stop."""

    topic: str
    text: str


@dataclass(frozen=True, slots=True)
class RuleView:
    """An auto-approval, and its conditions as they are for a request of `duration`. `holds` says
    whether it would approve one, `with_ticket` whether only the ticket is missing for that."""

    name: str
    duration: int
    conditions: tuple[Criterion, ...]
    holds: bool
    with_ticket: bool


@dataclass(frozen=True, slots=True)
class ForPerson:
    """The result of a request by this person for `duration` now. `absent` are the delegations of
    approvers who are away."""

    person: Person
    duration: int
    would: Would
    text: str
    criteria: tuple[Criterion, ...]
    rules: tuple[RuleView, ...]
    preapprovals: tuple[PreApproval, ...]
    absent: tuple[Delegation, ...]
    unchecked: tuple[str, ...]
    """Groups and addresses whose people are not known from Slack."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """`own` is None where the role is explained in general. `withheld` says that the reader may
    not see it for somebody else."""

    role: Role
    points: tuple[Point, ...]
    own: ForPerson | None = None
    withheld: bool = False


# --- the role


def points(role: Role, called: Called) -> tuple[Point, ...]:
    """The settings of this role in roles.toml, in the order in which a request meets them."""
    return tuple(Point(topic, text) for topic, text in _points(role, called))


def _points(role: Role, called: Called) -> Iterator[tuple[str, str]]:
    yield "Who may ask", ", ".join(called(role.requesters)) or "nobody"
    for denial in role.deny:
        whom = ", ".join(called(denial.members)) or "everyone"
        when = f" in {denial.hours.text}" if denial.hours else ""
        yield "Never", f"{whom}{when}, by the rule “{denial.name}”: {denial.reason}"
    for rule in role.auto_approve:
        yield "Approved at once", f"by the rule “{rule.name}”: {_conditions(rule, called)}"
    yield from _deciding(role, called)
    if (later := role.escalation) is not None:
        after = format_duration(later.after)
        yield "Escalation", f"after {after} also {', '.join(called(later.approvers))} may decide"
    yield "How long", _lasts(role)
    yield "Renewal", _renewal(role)
    if role.ticket is not None:
        yield "Ticket", f"one that matches {role.ticket}"
    for each in role.parameters:
        yield f"Parameter {each.name}", str(each)
    if (urgent := role.emergency) is not None:
        most = format_duration(urgent.max_duration)
        yield "Emergency", f"{', '.join(called(urgent.members))}, for at most {most}"
    yield "Risk", role.risk


def _conditions(rule: AutoApproval, called: Called) -> str:
    shown = replace(rule, members=tuple(called(rule.members)))
    return str(shown).removeprefix(f"{rule.name}: ")


def _deciding(role: Role, called: Called) -> Iterator[tuple[str, str]]:
    for number, tier in enumerate(role.tiers, 1):
        people = ", ".join(called(tier.approvers))
        yield f"Tier {number}", f"“{tier.name}”, {tier.approvals} of {people}"
    if not role.tiers:
        yield "Who decides", f"{role.approvals} of {', '.join(called(role.approvers))}"
    lapses = format_duration(role.pending_timeout)
    yield "Unanswered", f"a request lapses after {lapses}"


def _lasts(role: Role) -> str:
    usual, most = format_duration(role.default_duration), format_duration(role.max_duration)
    return f"{usual} if not asked otherwise, at most {most}"


def _renewal(role: Role) -> str:
    if role.max_renewals == 0:
        return "not possible"
    most = f"at most {format_duration(role.max_total)} in all"
    if role.renewal_approval:
        return f"with a new approval each time, {most}"
    often = {1: "once", 2: "twice"}.get(role.max_renewals, f"{role.max_renewals} times")
    quota = f" ({role.renewal_quota} per person)" if role.renewal_quota else ""
    return f"{often} without a new approval{quota}, then with one, {most}"


# --- one person


@dataclass(frozen=True, slots=True)
class Known:
    """Facts about one person beside `Facts`: a refusal that is no criterion (the panic switch, a
    denial rule), their pre-approvals that hold, and whether these decide a request."""

    refused: Refused | None = None
    preapprovals: tuple[PreApproval, ...] = ()
    in_advance: bool = False


def for_person(role: Role, person: Person, facts: Facts, known: Known) -> ForPerson:
    """The result of a request for the role's usual duration now. Every criterion is from
    `judge`."""
    plain = replace(role, auto_approve=())
    authority = Authority(facts.directory, facts.now)
    judged = judge(plain, Asked(person, role.default_duration), facts)
    rules = tuple(_rule(role, rule, person, facts) for rule in role.auto_approve)
    criteria = tuple(map(_ticket_to_come, judged.criteria))
    would, text = _would(role, person, authority, criteria, rules, known)
    unchecked = facts.directory.unresolved(
        (*role.requesters, *role.approvers, *rule_references(role))
    )
    return ForPerson(
        person,
        role.default_duration,
        would,
        text,
        criteria,
        rules,
        known.preapprovals,
        _absent(role, person, authority),
        tuple(ref for ref in facts.directory.called(unchecked) if ref != "everyone"),
    )


def _rule(role: Role, rule: AutoApproval, person: Person, facts: Facts) -> RuleView:
    """A rule for the usual duration, or for its own maximum where that is shorter."""
    duration = min(role.default_duration, rule.max_duration or role.default_duration)
    judged = judge(replace(role, auto_approve=(rule,)), Asked(person, duration), facts)
    unmet = {each.name for each in judged.criteria if not each.met}
    own = tuple(_ticket_to_come(each) for each in judged.criteria if each.rule)
    return RuleView(rule.name, duration, own, not unmet, unmet == {"ticket"})


def _ticket_to_come(judged: Criterion) -> Criterion:
    """Marks the criterion of the ticket as open: the ticket comes with the request."""
    if judged.name != "ticket":
        return judged
    text = "depends on the ticket of the request"
    return replace(judged, verdict=Verdict.UNKNOWN, text=text, numbers={})


def _would(
    role: Role,
    person: Person,
    authority: Authority,
    criteria: Sequence[Criterion],
    rules: Sequence[RuleView],
    known: Known,
) -> tuple[Would, str]:
    verdicts = {each.name: each.verdict for each in criteria}
    if known.refused is not None:
        return Would.REFUSED, f"A request is refused. {known.refused.reason}"
    if verdicts["eligible"] is Verdict.UNKNOWN:
        return Would.UNKNOWN, "It is not known who may ask. Slack has to say who is in the groups."
    if verdicts["eligible"] is Verdict.NOT_MET:
        return Would.REFUSED, "A request is refused: this person may not ask for the role."
    usual = [rule for rule in rules if rule.duration == role.default_duration]
    for rule in usual:
        if rule.holds:
            return Would.GRANTED, f"The rule “{rule.name}” approves it at once."
    if known.in_advance:
        needs = " if the ticket is right" if "ticket" in verdicts else ""
        return Would.GRANTED, f"It was approved in advance, so nobody has to decide{needs}."
    return _asks_people(role, person, authority, rules)


def _asks_people(
    role: Role, person: Person, authority: Authority, rules: Sequence[RuleView]
) -> tuple[Would, str]:
    shorter = "".join(f" {hint}" for rule in rules if (hint := _hint(role, rule)))
    directory = authority.directory
    if unknown := directory.unresolved(role.approvers):
        names = ", ".join(directory.called(unknown))
        return Would.UNKNOWN, f"It is not known who may decide: {names}.{shorter}"
    if (refused := nobody_can_decide(role, person.id, authority)) is not None:
        return Would.REFUSED, f"A request is refused. {refused.reason}{shorter}"
    return Would.WAITS, f"{_waits(role, person, authority)}{shorter}"


def _waits(role: Role, person: Person, authority: Authority) -> str:
    if role.tiers:
        each = (
            f"“{tier.name}” ({tier.approvals} of"
            f" {_people(len(people_of(role, tier, person.id, authority)))})"
            for tier in role.tiers
        )
        return f"It waits for each tier in order: {', then '.join(each)}."
    need = "1 approval" if role.approvals == 1 else f"{role.approvals} approvals"
    return (
        f"It waits for {need}; {_people(len(deciders(role, person.id, authority)))} can give one."
    )


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def _absent(role: Role, person: Person, authority: Authority) -> tuple[Delegation, ...]:
    named = frozenset[str]().union(
        *(seats(role, tier, person.id, authority) for tier in tiers_of(role))
    )
    return tuple(
        each
        for each in authority.directory.delegations
        if each.giver in named and each.ends_at > authority.now and each.delegate != person.id
    )


def _hint(role: Role, rule: RuleView) -> str:
    """Advice on a request that this rule would approve, "" without one."""
    if not (rule.holds or rule.with_ticket):
        return ""
    how = [f"for {format_duration(rule.duration)}"] if rule.duration < role.default_duration else []
    how += ["with the right ticket"] if rule.with_ticket else []
    return f"The rule “{rule.name}” approves a request {' '.join(how)} at once."
