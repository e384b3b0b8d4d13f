"""The criteria of a request: each is met, not met, or could not be checked, with a sentence and its
numbers. The decision card, auto-approval, `explain` and the audit log all use this one list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from bot.core.approval import Refused
from bot.core.durations import format_duration
from bot.core.eligibility import may_request
from bot.core.model import Directory, Person, folded, is_recent
from bot.core.roles import Role, ticket_matches
from bot.core.rules import AutoApproval, DenyRule, Tickets
from bot.core.tickets import COUNTS_FOR
from bot.core.working_hours import Hours


class Verdict(StrEnum):
    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "could not be checked"


@dataclass(frozen=True, slots=True)
class Criterion:
    """`name` is one of maximum, eligible, unchanged, deny, ticket, renewals, renewal_quota,
    members, on_call, hours, quota, rule_maximum and emergency; `text` is a sentence without a full
    stop; `numbers` are the values it was judged by; `rule` is the auto-approval that it is a
    condition of, "" for the role itself."""

    name: str
    verdict: Verdict
    text: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    rule: str = ""

    @property
    def met(self) -> bool:
        return self.verdict is Verdict.MET


@dataclass(frozen=True, slots=True)
class TicketFacts:
    """The answer of the ticket system about a ticket at `checked_at` (UTC seconds). `error` is the
    reason if it could not be asked; the other fields then mean nothing. `assignee` is a folded
    e-mail address."""

    ticket: str
    checked_at: int
    found: bool = False
    is_open: bool = False
    assignee: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The part of a request that criteria judge. `fingerprint` is that of the role when it was
    requested, "" before. `start_at` is the chosen start, None for at once."""

    person: Person
    duration: int
    ticket: str = ""
    fingerprint: str = ""
    start_at: int | None = None

    def starts_after(self, now: int) -> bool:
        """Whether a later start was chosen."""
        return self.start_at is not None and self.start_at > now


@dataclass(frozen=True, slots=True)
class Renewals:
    """The number of renewals of a grant, and of its holder's renewals of the role without approval
    in the period of its quota."""

    of_grant: int
    of_person: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts at `now`. `on_call` has the ids of those on call by the name of the duty; a duty
    that could not be read is left out. `used` counts, by rule, the approvals of each for this
    person in the period of its quota. `ticket` is None where the ticket was not looked up.
    `has_emergency` says whether an emergency of this person is open. `renewals` is None where
    nothing is renewed."""

    now: int
    zone: ZoneInfo
    directory: Directory
    on_call: Mapping[str, frozenset[str]] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)
    tickets: Tickets | None = None
    ticket: TicketFacts | None = None
    has_emergency: bool = False
    renewals: Renewals | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """`rule` is the auto-approval whose conditions all hold, `denied` the denial rule that holds.
    `criteria` has those of the role, and those of `rule` or of the one that is nearest to hold."""

    criteria: tuple[Criterion, ...]
    rule: AutoApproval | None = None
    nearest: AutoApproval | None = None
    denied: DenyRule | None = None


def judge(role: Role, asked: Asked, facts: Facts) -> Judgement:
    """All criteria of a request for this role."""
    denied = denied_by(role, asked.person, facts)
    basic = tuple(_of_role(role, asked, facts, denied))
    rules = [(rule, tuple(_of_rule(rule, asked, facts))) for rule in role.auto_approve]
    if not rules:
        return Judgement(basic, denied=denied)
    rule, own = min(rules, key=lambda each: sum(not criterion.met for criterion in each[1]))
    known = {each.name for each in basic}
    shown = (replace(each, rule=rule.name) for each in own if each.name not in known)
    holds = all(each.met for each in (*basic, *own))
    return Judgement((*basic, *shown), rule if holds else None, rule, denied)


def denied_by(role: Role, person: Person, facts: Facts) -> DenyRule | None:
    """The first denial rule that holds for this person now. A rule whose group can't be read holds
    for everybody."""
    return next((rule for rule in role.deny if _denies(rule, person, facts)), None)


def denial(role: Role, person: Person, facts: Facts) -> Refused | None:
    """Refuses this person if a denial rule of the role holds for them now."""
    if (rule := denied_by(role, person, facts)) is None:
        return None
    directory = facts.directory
    text = f"The rule “{rule.name}” of {role.name} denies it: {rule.reason}"
    if unknown := directory.unreadable(rule.members):
        text = (
            f"{_why_unreadable(unknown, directory)}, so the rule “{rule.name}” of {role.name}"
            " denies it to everybody."
        )
        is_missing = directory.missing.issuperset(unknown)
        text += " Ask a lead to correct that." if is_missing else " Try again when Slack answers."
    return Refused(text, "role", rule.name)


def reason_of_denial(rule: DenyRule, directory: Directory) -> str:
    """The reason of this rule, which holds, as a part of a sentence or some sentences."""
    unknown = directory.unreadable(rule.members)
    return _why_unreadable(unknown, directory) if unknown else rule.reason


def _why_unreadable(refs: Sequence[str], directory: Directory) -> str:
    missing = [ref for ref in refs if ref in directory.missing]
    if missing:
        return f"Slack no longer has the user group {', '.join(missing)}"
    return f"Slack has not said who is in {', '.join(directory.called(refs))}"


WHILE_SCHEDULED = frozenset({"members", "rule_maximum"})
"""The conditions of a rule that can be judged before the start; the others are about the start."""


def rule_at_start(
    role: Role, name: str, asked: Asked, facts: Facts, has_come: bool
) -> Refused | None:
    """Refuses access that the rule `name` approved for a later start and would no longer approve.
    `has_come` says whether its start has come. The quota was counted when the rule approved it."""
    if (rule := role.auto_approval(name)) is None:
        return Refused(
            f"The rule “{name}” of {role.name}, which approved it, is no longer in roles.toml. Ask"
            " again."
        )
    own = [each for each in _of_rule(rule, asked, facts) if each.name != "quota"]
    if not has_come:
        own = [each for each in own if each.name in WHILE_SCHEDULED and not _unknown(each)]
        return _unmet(f"The rule “{name}” of {role.name}", own)
    basic = _of_role(role, asked, facts, denied_by(role, asked.person, facts))
    return _unmet(f"The rule “{name}” of {role.name}", [*basic, *own])


def preapproval_at_start(role: Role, asked: Asked, facts: Facts) -> Refused | None:
    """Refuses access that pre-approvals approved for a later start, when that start has come and a
    criterion of the role is not met."""
    basic = list(_of_role(role, asked, facts, denied_by(role, asked.person, facts)))
    emergency = [_open_emergency()] if facts.has_emergency else []
    return _unmet("A pre-approval", [*basic, *emergency])


def _unmet(what: str, criteria: Iterable[Criterion]) -> Refused | None:
    found = next((each for each in criteria if not each.met), None)
    if found is None:
        return None
    return Refused(f"{what} approved it, and would not do so now: {found.text}. Ask again.")


def _unknown(criterion: Criterion) -> bool:
    return criterion.verdict is Verdict.UNKNOWN


def _denies(rule: DenyRule, person: Person, facts: Facts) -> bool:
    if rule.hours is not None and not rule.hours.include(facts.now, facts.zone):
        return False
    if not rule.members or "everyone" in rule.members:
        return True
    directory = facts.directory
    if directory.unreadable(rule.members):
        return True
    return directory.has(rule.members, person.id) or directory.stood_for(rule.members, person.id)


def _of_role(
    role: Role, asked: Asked, facts: Facts, denied: DenyRule | None
) -> Iterator[Criterion]:
    yield _maximum("maximum", asked.duration, role.max_duration, "the role's maximum")
    yield _eligible(role, asked.person, facts.directory)
    if asked.fingerprint and asked.fingerprint != role.fingerprint:
        yield Criterion("unchanged", Verdict.NOT_MET, "the role was changed since it was requested")
    if role.deny:
        text = f"the rule “{denied.name}” denies it" if denied else "no denial rule holds"
        yield Criterion("deny", _verdict(denied is None), text)
    if role.ticket is not None:
        yield _ticket(role, asked, facts)
    if facts.renewals is not None and not role.renewal_approval:
        yield from _of_renewal(role, facts.renewals)


def _of_renewal(role: Role, made: Renewals) -> Iterator[Criterion]:
    """Whether this renewal is one of those that need no approval."""
    number, most = made.of_grant + 1, role.max_renewals
    text = f"renewal {number} of {most} that need no approval"
    if number > most:
        first = "the first needs" if most == 1 else f"the first {most} need"
        text = f"renewal {number}, and only {first} no approval"
    numbers: dict[str, object] = {"renewals": made.of_grant, "most": most}
    yield Criterion("renewals", _verdict(number <= most), text, numbers)
    if (quota := role.renewal_quota) is not None:
        used = made.of_person
        text = f"{used} of {quota.times} renewals without approval used this {quota.per}"
        numbers = {"used": used, "times": quota.times, "per": quota.per}
        yield Criterion("renewal_quota", _verdict(used < quota.times), text, numbers)


BUDGET = frozenset({"renewals", "renewal_quota"})
"""The criteria that must be met for a renewal without approval."""


def why_renewal_asks(role: Role, judged: Judgement) -> str:
    """The reason why this renewal needs an approval, as a sentence for its holder; "" if it needs
    none."""
    if role.renewal_approval:
        return f"{role.name} is renewed only with a new approval."
    beyond = (each for each in judged.criteria if each.name in BUDGET and not each.met)
    return next((f"This is beyond what needs no approval: {each.text}." for each in beyond), "")


def _eligible(role: Role, person: Person, directory: Directory) -> Criterion:
    if may_request(role, person, directory) is None:
        return Criterion("eligible", Verdict.MET, "may ask for this role")
    unknown = directory.unresolved(role.requesters)
    if unknown and person.ineligible_reason() is None:
        named = ", ".join(directory.called(unknown))
        return Criterion("eligible", Verdict.UNKNOWN, f"Slack has not said who is in {named}")
    return Criterion("eligible", Verdict.NOT_MET, "may not ask for this role")


def _of_rule(rule: AutoApproval, asked: Asked, facts: Facts) -> Iterator[Criterion]:
    if rule.max_duration is not None:
        yield _maximum("rule_maximum", asked.duration, rule.max_duration, f"“{rule.name}”")
    if rule.members:
        yield _member(rule, asked.person, facts.directory)
    if rule.on_call:
        yield _on_call(rule.on_call, asked, facts)
    if rule.hours is not None:
        yield _inside(rule.hours, asked, facts)
    if rule.quota is not None:
        used = facts.used.get(rule.name, 0)
        text = f"{used} of {rule.quota.times} used this {rule.quota.per}"
        numbers = {"used": used, "times": rule.quota.times, "per": rule.quota.per}
        yield Criterion("quota", _verdict(used < rule.quota.times), text, numbers)
    if rule.ticket:
        yield _looked_up(asked, facts, by_rule=True)
    if facts.has_emergency:
        yield _open_emergency()


def _open_emergency() -> Criterion:
    return Criterion("emergency", Verdict.NOT_MET, "an emergency of this person is open")


def _maximum(name: str, duration: int, most: int, of: str) -> Criterion:
    text = f"{format_duration(duration)}, {of} gives at most {format_duration(most)}"
    if duration <= most:
        text = f"{format_duration(duration)} is within {of}, {format_duration(most)}"
    return Criterion(name, _verdict(duration <= most), text, {"asked": duration, "most": most})


def _member(rule: AutoApproval, person: Person, directory: Directory) -> Criterion:
    named = ", ".join(directory.called(rule.members))
    if directory.includes(rule.members, person):
        return Criterion("members", Verdict.MET, f"is in {named}")
    if directory.unresolved(rule.members):
        return Criterion("members", Verdict.UNKNOWN, f"Slack has not said who is in {named}")
    return Criterion("members", Verdict.NOT_MET, f"is not in {named}")


def _inside(hours: Hours, asked: Asked, facts: Facts) -> Criterion:
    """The hours hold for now, and for a later start, too."""
    if not hours.include(facts.now, facts.zone):
        return Criterion("hours", Verdict.NOT_MET, f"outside the hours {hours.text}")
    if not hours.include(max(facts.now, asked.start_at or 0), facts.zone):
        text = f"it would start outside the hours {hours.text}"
        return Criterion("hours", Verdict.NOT_MET, text)
    return Criterion("hours", Verdict.MET, f"inside the hours {hours.text}")


def _on_call(duty: str, asked: Asked, facts: Facts) -> Criterion:
    person, people = asked.person, facts.on_call.get(duty)
    if asked.starts_after(facts.now):
        text = f"who is on call for {duty} at a later start is not known"
        return Criterion("on_call", Verdict.UNKNOWN, text)
    if people is None:
        text = f"who is on call for {duty} could not be read"
        return Criterion("on_call", Verdict.UNKNOWN, text)
    fit = person.id in people and person.ineligible_reason() is None
    return Criterion("on_call", _verdict(fit), f"is {'' if fit else 'not '}on call for {duty} now")


def _ticket(role: Role, asked: Asked, facts: Facts) -> Criterion:
    if not ticket_matches(role, asked.ticket):
        return Criterion("ticket", Verdict.NOT_MET, "the ticket does not match the role's pattern")
    if facts.tickets is None:
        return Criterion("ticket", Verdict.MET, "the ticket matches the role's pattern")
    return _looked_up(asked, facts)


def _looked_up(asked: Asked, facts: Facts, by_rule: bool = False) -> Criterion:
    """For a rule that approves, it must be open in any case, and have been looked up within
    COUNTS_FOR."""
    found, wanted = facts.ticket, facts.tickets
    if wanted is None or found is None or found.ticket != asked.ticket:
        return Criterion("ticket", Verdict.UNKNOWN, "the ticket was not looked up")
    numbers = {"checked_at": found.checked_at}
    if found.error:
        text = f"the ticket could not be looked up: {found.error}"
        return Criterion("ticket", Verdict.UNKNOWN, text, numbers)
    if by_rule and not is_recent(found.checked_at, facts.now, COUNTS_FOR):
        text = "the ticket was not looked up in the last minutes"
        return Criterion("ticket", Verdict.UNKNOWN, text, numbers)
    if not found.found:
        return Criterion("ticket", Verdict.NOT_MET, _NO_TICKET, numbers)
    must_be_open = by_rule or wanted.must_be_open
    if must_be_open and not found.is_open:
        return Criterion("ticket", Verdict.NOT_MET, _CLOSED, numbers)
    if wanted.must_be_assigned and not _is_theirs(found, asked.person):
        return Criterion("ticket", Verdict.NOT_MET, _NOT_THEIRS, numbers)
    state = "found and open" if must_be_open else "found"
    return Criterion("ticket", Verdict.MET, f"the ticket was {state}", numbers)


_NO_TICKET = "there is no such ticket"
_CLOSED = "the ticket is closed"
_NOT_THEIRS = "the ticket is not assigned to the requester"
_ADVICE = {
    _NO_TICKET: "There is no ticket “{}”. Check it, and ask with one that exists.",
    _CLOSED: "The ticket “{}” is closed. Ask with one that is open.",
    _NOT_THEIRS: "The ticket “{}” is not assigned to the requester. Ask with one that is.",
}


def ticket_refusal(role: Role, asked: Asked, facts: Facts) -> Refused | None:
    """Refuses a ticket that the ticket system does not have, or not as `[tickets]` asks. A ticket
    that could not be looked up is not refused."""
    if role.ticket is None or facts.tickets is None:
        return None
    advice = _ADVICE.get(_looked_up(asked, facts).text)
    return Refused(advice.format(asked.ticket), "ticket") if advice else None


def _is_theirs(found: TicketFacts, person: Person) -> bool:
    return bool(person.email) and found.assignee == folded(person.email)


def _verdict(met: bool) -> Verdict:
    return Verdict.MET if met else Verdict.NOT_MET


# --- on record


def on_record(criteria: Iterable[Criterion]) -> list[dict[str, Any]]:
    """Criteria as the audit log and the database keep them."""
    return [
        {
            "name": each.name,
            "verdict": str(each.verdict),
            "text": each.text,
            **({"numbers": dict(each.numbers)} if each.numbers else {}),
            **({"rule": each.rule} if each.rule else {}),
        }
        for each in criteria
    ]


def from_record(kept: Iterable[Mapping[str, Any]]) -> tuple[Criterion, ...]:
    """The criteria that `on_record` made."""
    return tuple(
        Criterion(
            each["name"],
            Verdict(each["verdict"]),
            each["text"],
            each.get("numbers", {}),
            each.get("rule", ""),
        )
        for each in kept
    )


def changes(before: Sequence[Criterion], now: Sequence[Criterion]) -> tuple[str, ...]:
    """The differences between two judgements of a request, each as a sentence without a full
    stop."""
    earlier = {(each.name, each.rule): each for each in before}
    found = []
    for each in now:
        was = earlier.get((each.name, each.rule))
        if was is None and not each.rule and not each.met:
            found.append(each.text)
        elif was is not None and was.verdict is not each.verdict:
            found.append(f"{each.text}; before: {was.text}")
    return tuple(found)
