"""Replays recorded requests against two versions of roles.toml, with the facts about their
requesters as they were recorded, and collects the changes by the second version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from bot.core.approval import Refused, nobody_can_decide
from bot.core.authority import Authority
from bot.core.criteria import (
    BUDGET,
    Asked,
    Criterion,
    Facts,
    Renewals,
    TicketFacts,
    Verdict,
    denied_by,
    judge,
)
from bot.core.emergency import as_emergency
from bot.core.model import Directory, Person, Urgency, folded, is_recent
from bot.core.parameters import check_values
from bot.core.policy_changes import Change, changes, summary
from bot.core.roles import Policy, Role, rule_references, ticket_matches
from bot.core.rules import DenyRule
from bot.core.tickets import COUNTS_FOR
from bot.core.working_hours import Hours
from bot.core.written_policy import Written, is_same

MOST_KEPT = 20_000
"""Results that one replay keeps, so that equal requests are judged once."""

MOST_GROUPS = 5_000
"""Different rows of a comparison. Beyond them, requests are counted without a row."""


class Result(StrEnum):
    """The result of a request under one roles.toml."""

    GRANTED = "approved by a rule"
    WAITS = "waits for approval"
    REFUSED = "refused"
    NOBODY = "nobody can approve it"
    UNKNOWN = "could not be compared"


class Effect(StrEnum):
    """The difference that another roles.toml would make for a request."""

    NO_PERSON = "approved without a person"
    COULD_ASK = "could be asked and approved"
    NOBODY = "nobody could approve it"
    REFUSED = "refused"
    NEEDS_PERSON = "needs a person's approval"
    UNKNOWN = "could not be compared"


GETS_MORE = frozenset({Effect.NO_PERSON, Effect.COULD_ASK})


class Kind(StrEnum):
    ORDINARY = "request"
    RENEWAL = "renewal"
    EMERGENCY = "emergency"
    STAGE = "onboarding"
    """A role that a stage of an onboarding gave."""


@dataclass(frozen=True, slots=True)
class PastRequest:
    """A request as it is on record. `facts` is the record of `recorded_facts` and `then` the
    roles.toml in force at that time; None where the log does not have them. `looked_up` says
    whether its ticket was a good one, and the time of that answer; None without one. `renewals`
    counts those before a renewal, None where the log does not have it, and `quota_per` is the
    period of its count for the person, "" where there is none. `bundle` is that of a stage."""

    id: str
    at: int
    person: Person
    role: str
    duration: int
    ticket: str
    facts: Mapping[str, Any] | None
    then: Written | None
    looked_up: tuple[bool, int] | None = None
    start_at: int | None = None
    kind: Kind = Kind.ORDINARY
    renewals: Renewals | None = None
    quota_per: str = ""
    bundle: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replayed:
    """`because` is the rule, or the first criterion that decided."""

    result: Result
    because: str = ""


@dataclass(frozen=True, slots=True)
class _Own:
    """The settings of a role about one person: the references that name them, and the result of
    their requests that no rule decides. `has_email` is False where their address is not known."""

    named: tuple[str, ...]
    has_email: bool
    decided: Replayed


class Replay:
    """One roles.toml, to which requests are put oldest first: its quotas count its own earlier
    approvals. Approvers are those of `now`, because the log does not have the earlier ones."""

    def __init__(self, policy: Policy, written: Written, now: Authority) -> None:
        self.policy, self._written, self._now = policy, written, now
        self._zone = ZoneInfo(policy.workspace.timezone)
        self._used: dict[tuple[str, str, str], tuple[int, int]] = {}
        self._kept: dict[tuple[object, ...], Replayed] = {}
        self._kept_for: Written | None = None
        self._own: dict[tuple[str, str], _Own] = {}
        self._hours = {name: _hours(role) for name, role in policy.roles.items()}

    def of(self, past: PastRequest) -> Replayed:
        """The result of the request."""
        role = self.policy.roles.get(past.role)
        if role is None:
            return Replayed(Result.REFUSED, "there is no such role")
        if past.facts is None or past.then is None:
            missing = (
                "facts about the requester" if past.facts is None else "the rules of that time"
            )
            return Replayed(Result.UNKNOWN, f"the log does not have {missing}")
        if past.then is not self._kept_for or len(self._kept) >= MOST_KEPT:
            self._kept.clear()
            self._kept_for = past.then
        used = self._uses(role, past)
        own = self._own_of(role, past.person)
        key = self._key(role, past, past.facts, used, own)
        found = self._kept.get(key)
        if found is None:
            facts = self._facts(past, past.facts, past.then, used)
            found = self._kept[key] = self._judged(role, past, facts, own)
        if found.result is Result.GRANTED and past.kind is Kind.ORDINARY:
            self._count(role, past, found.because)
        return found

    def bearing(self, name: str, bundle: str = "") -> object:
        """All in this roles.toml that a request for this role depends on, made by a stage of
        `bundle` where that is not ""."""
        role = self.policy.roles.get(name)
        if role is None:
            return None
        duties = [self.policy.on_call[rule.on_call] for rule in role.auto_approve if rule.on_call]
        timed = self._hours[name] or any(rule.quota for rule in role.auto_approve)
        return (
            role,
            duties,
            self.policy.tickets if role.ticket is not None else None,
            self.policy.workspace.timezone if timed else "",
            self.policy.bundles.get(bundle),
        )

    def _key(
        self,
        role: Role,
        past: PastRequest,
        facts: Mapping[str, Any],
        used: Mapping[str, int],
        own: _Own,
    ) -> tuple[object, ...]:
        """Everything that the result depends on. People with equal facts share results."""
        looked_up = past.looked_up
        return (
            role.name,
            (past.kind, past.renewals, past.quota_per, past.bundle),
            own,
            past.duration,
            ticket_matches(role, past.ticket),
            _wrong_values(role, past) is None,
            looked_up and (looked_up[0], is_recent(looked_up[1], past.at, COUNTS_FOR)),
            tuple(facts["groups"]),
            tuple(facts.get("unknown", ())),
            tuple(facts.get("on_call", {}).items()),
            bool(facts.get("emergency")),
            tuple(used.values()),
            tuple(
                hours.include(at, self._zone)
                for hours in self._hours[role.name]
                for at in _times(past)
            ),
        )

    def _own_of(self, role: Role, person: Person) -> _Own:
        found = self._own.get((role.name, person.id))
        if found is None:
            if len(self._own) >= MOST_KEPT:
                self._own.clear()
            refs = (*role.requesters, *rule_references(role))
            named = tuple(ref for ref in refs if _is(ref, person))
            decided = _by_people(role, person.id, self._now)
            found = self._own[role.name, person.id] = _Own(named, bool(person.email), decided)
        return found

    def _uses(self, role: Role, past: PastRequest) -> dict[str, int]:
        """The number of approvals for this person by each rule with a quota, in its present
        period."""
        found = {}
        for rule in role.auto_approve:
            if rule.quota is not None:
                since, times = self._used.get((past.person.id, role.name, rule.name), (0, 0))
                is_now = since == rule.quota.since(past.at, self._zone)
                found[rule.name] = times if is_now else 0
        return found

    def _count(self, role: Role, past: PastRequest, name: str) -> None:
        quota = next(rule.quota for rule in role.auto_approve if rule.name == name)
        if quota is not None:
            key, since = (past.person.id, role.name, name), quota.since(past.at, self._zone)
            before = self._used.get(key, (since, 0))
            self._used[key] = (since, before[1] + 1 if before[0] == since else 1)

    def _judged(self, role: Role, past: PastRequest, facts: Facts, by: _Own) -> Replayed:
        if why := self._not_of_its_kind(role, past):
            return Replayed(Result.REFUSED, why)
        if (wrong := _wrong_values(role, past)) is not None:
            return Replayed(Result.REFUSED, wrong.reason)
        role, asked = _as_its_kind(role, past), Asked(past.person, past.duration, past.ticket)
        unsure = [rule for rule in role.deny if facts.directory.unresolved(rule.members)]
        certain = tuple(rule for rule in role.deny if rule not in unsure)
        own = judge(replace(role, auto_approve=(), deny=()), asked, facts).criteria
        if (bad := _first(own, Verdict.NOT_MET)) is not None:
            return Replayed(Result.REFUSED, bad.text)
        if (denied := _denied(replace(role, deny=certain), past, facts)) is not None:
            return Replayed(Result.REFUSED, f"the rule “{denied.name}” denies it")
        if (open_ := _first(own, Verdict.UNKNOWN, but="ticket")) is not None:
            return Replayed(Result.UNKNOWN, open_.text)
        if (denied := _denied(replace(role, deny=tuple(unsure)), past, facts)) is not None:
            return Replayed(Result.UNKNOWN, f"it is not known whom “{denied.name}” denies it")
        return _granted(replace(role, deny=()), past, asked, facts) or by.decided

    def _not_of_its_kind(self, role: Role, past: PastRequest) -> str:
        """The reason why this roles.toml has no such renewal, emergency or stage; "" where it
        has."""
        if past.kind is Kind.RENEWAL and role.max_renewals == 0:
            return "the role can't be renewed"
        if past.kind is Kind.EMERGENCY and role.emergency is None:
            return "the role has no emergency access"
        if past.kind is not Kind.STAGE:
            return ""
        bundle = self.policy.bundles.get(past.bundle)
        if bundle is None or all(role.name not in stage.roles for stage in bundle.stages):
            return f"the bundle {past.bundle} does not give it"
        if role.risk == "high" or role.ticket is not None:
            return "no stage can give a role of high risk, or one with a ticket"
        return ""

    def _facts(
        self, past: PastRequest, recorded: Mapping[str, Any], then: Written, used: Mapping[str, int]
    ) -> Facts:
        person = past.person
        mine, none = frozenset({person.id}), frozenset[str]()
        emails = {folded(person.email): person.id} if person.email else {}
        answered = then.references - set(recorded.get("unknown", ()))
        if not emails:
            answered = frozenset(ref for ref in answered if "@" not in ref[1:])
        duties = {
            name: mine if theirs else none
            for name, theirs in recorded.get("on_call", {}).items()
            if is_same(then.on_call.get(name), self._written.on_call.get(name))
        }
        return Facts(
            now=past.at,
            zone=self._zone,
            directory=Directory(
                groups=dict.fromkeys(recorded["groups"], mine),
                emails=emails,
                answered=answered,
                missing=frozenset(recorded.get("missing", ())),
            ),
            on_call=duties,
            used=used,
            tickets=self.policy.tickets,
            ticket=self._ticket(past, then),
            has_emergency=bool(recorded.get("emergency")),
        )

    def _ticket(self, past: PastRequest, then: Written) -> TicketFacts | None:
        """The recorded facts about the ticket, if `[tickets]` has not changed since."""
        if past.looked_up is None or not is_same(then.tickets, self._written.tickets):
            return None
        if not past.person.email:
            return None  # it is not known whether it was theirs
        good, checked_at = past.looked_up
        return TicketFacts(past.ticket, checked_at, good, good, folded(past.person.email))


def _times(past: PastRequest) -> tuple[int, ...]:
    """The times at which a denial rule is checked: at the request, and at a later start."""
    return (past.at,) if past.start_at is None else (past.at, past.start_at)


def _denied(role: Role, past: PastRequest, facts: Facts) -> DenyRule | None:
    found = (denied_by(role, past.person, replace(facts, now=at)) for at in _times(past))
    return next(filter(None, found), None)


def _is(ref: str, person: Person) -> bool:
    return ref == person.id or (bool(person.email) and folded(ref) == folded(person.email))


def _hours(role: Role) -> tuple[Hours, ...]:
    every = [rule.hours for rule in role.deny] + [rule.hours for rule in role.auto_approve]
    return tuple(dict.fromkeys(hours for hours in every if hours is not None))


def _wrong_values(role: Role, past: PastRequest) -> Refused | None:
    """Refuses a request without good values for the parameters that the role has here."""
    return check_values(role, past.parameters) if role.parameters else None


def _as_its_kind(role: Role, past: PastRequest) -> Role:
    """The role on the terms of this kind of request; a stage gives it for its maximum at most."""
    if past.kind is Kind.EMERGENCY:
        return as_emergency(role, Urgency.EMERGENCY, past.duration, ())
    if past.kind is Kind.STAGE:
        return replace(role, max_duration=max(role.max_duration, past.duration))
    return role if past.kind is Kind.ORDINARY else replace(role, ticket=None)


def _granted(role: Role, past: PastRequest, asked: Asked, facts: Facts) -> Replayed | None:
    """The result without a person: granted, unknown where something might grant it, None where
    people decide."""
    if past.kind is Kind.ORDINARY:
        return _by_rules(role, asked, facts)
    if past.kind is Kind.RENEWAL:
        return _by_budget(role, past, asked, facts)
    return Replayed(Result.GRANTED, str(past.kind))


def _by_budget(role: Role, past: PastRequest, asked: Asked, facts: Facts) -> Replayed | None:
    """Whether a renewal needs nobody."""
    if role.renewal_approval:
        return None
    if past.renewals is None:
        return Replayed(Result.UNKNOWN, "the log does not have the number of renewals before")
    judged = judge(role, asked, replace(facts, renewals=past.renewals))
    unmet = [each.name for each in judged.criteria if each.name in BUDGET and not each.met]
    quota = role.renewal_quota
    if "renewals" not in unmet and quota is not None and quota.per != past.quota_per:
        return Replayed(Result.UNKNOWN, "the log does not have the renewals of the person")
    return None if unmet else Replayed(Result.GRANTED, "a renewal that needs no approval")


def _by_rules(role: Role, asked: Asked, facts: Facts) -> Replayed | None:
    """The rule that approves it; unknown where one might. None where none does."""
    unsure = None
    for rule in role.auto_approve:
        judged = judge(replace(role, auto_approve=(rule,)), asked, facts)
        if judged.rule is not None:
            return Replayed(Result.GRANTED, rule.name)
        if _first(judged.criteria, Verdict.NOT_MET) is None:
            open_ = _first(judged.criteria, Verdict.UNKNOWN)
            unsure = unsure or (open_.text if open_ else "the ticket was looked up too early")
    return Replayed(Result.UNKNOWN, unsure) if unsure else None


def _by_people(role: Role, requester: str, now: Authority) -> Replayed:
    if unknown := now.directory.unresolved(role.approvers):
        names = ", ".join(now.directory.called(unknown))
        return Replayed(Result.UNKNOWN, f"it is not known who is in {names}")
    if (refused := nobody_can_decide(role, requester, now)) is not None:
        return Replayed(Result.NOBODY, refused.reason)
    return Replayed(Result.WAITS)


def _first(criteria: Sequence[Criterion], verdict: Verdict, but: str = "") -> Criterion | None:
    return next((c for c in criteria if c.verdict is verdict and c.name != but), None)


# --- two versions


@dataclass(slots=True)
class Row:
    """Requests of one person for one role that would change in the same way; `last` is the newest
    of them."""

    effect: Effect
    role: str
    person: Person
    because: str
    requests: int = 0
    last: str = ""
    last_at: int = 0


@dataclass(slots=True)
class Comparison:
    """The differences that the second roles.toml makes. `changes` are those of the file, `counts`
    the requests by their difference, `rows` the counts by person and role, `left_out` the renewals,
    emergencies and stages that are not replayed, because the log does not have the facts."""

    changes: Sequence[Change]
    counts: dict[Effect, int] = field(default_factory=dict)
    rows: dict[tuple[Effect, str, str, str], Row] = field(default_factory=dict)
    compared: int = 0
    left_out: int = 0

    @property
    def gives_more(self) -> bool:
        """Whether somebody would get more, by a recorded request or by the file itself."""
        return any(each.loosens for each in self.changes) or any(
            self.counts.get(effect) for effect in GETS_MORE
        )

    @property
    def is_unsure(self) -> bool:
        return bool(self.counts.get(Effect.UNKNOWN))

    def add(self, past: PastRequest, effect: Effect, because: str) -> None:
        self.counts[effect] = self.counts.get(effect, 0) + 1
        key = (effect, past.role, past.person.id, because)
        if key not in self.rows and len(self.rows) >= MOST_GROUPS:
            return
        row = self.rows.setdefault(key, Row(effect, past.role, past.person, because))
        row.requests += 1
        row.last, row.last_at = past.id, past.at


class Comparer:
    """Puts each request to both versions. Requests for a role in which they do not differ are not
    judged: nothing changes for them."""

    def __init__(self, old: Replay, new: Replay) -> None:
        self._old, self._new = old, new
        self.found = Comparison(changes(summary(old.policy), summary(new.policy)))
        self._differs: dict[tuple[str, str], bool] = {}

    def add(self, past: PastRequest, counts: bool) -> None:
        """Compares one request. Without `counts` it only uses up quotas."""
        if past.kind is not Kind.ORDINARY and (past.facts is None or past.then is None):
            self.found.left_out += counts
            return
        about = past.role, past.bundle
        if about not in self._differs:
            bearing = self._old.bearing(*about), self._new.bearing(*about)
            self._differs[about] = bearing[0] != bearing[1]
        self.found.compared += counts
        if not self._differs[about]:
            return
        old, new = self._old.of(past), self._new.of(past)
        effect = _effect(old.result, new.result)
        if effect is not None and counts:
            unsure = old if new.result is not Result.UNKNOWN else new
            outcome = unsure if effect is Effect.UNKNOWN else new
            self.found.add(past, effect, outcome.because)


def _effect(old: Result, new: Result) -> Effect | None:
    if new is Result.REFUSED:
        return Effect.REFUSED if old is not Result.REFUSED else None
    if Result.UNKNOWN in (old, new):
        return Effect.UNKNOWN
    if old is new:
        return None
    if new is Result.GRANTED:
        return Effect.NO_PERSON
    if new is Result.NOBODY:
        return Effect.NOBODY if old is not Result.REFUSED else None
    return Effect.NEEDS_PERSON if old is Result.GRANTED else Effect.COULD_ASK
