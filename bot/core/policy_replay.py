"""Replays one recorded request against a roles.toml, with the facts about its requester as they
were recorded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from bot.core.approval import nobody_can_decide
from bot.core.authority import Authority
from bot.core.criteria import Asked, Criterion, Facts, TicketFacts, Verdict, judge
from bot.core.model import Directory, Person, folded
from bot.core.roles import Policy, Role


class Result(StrEnum):
    """What a request comes to under one roles.toml."""

    GRANTED = "approved by a rule"
    WAITS = "waits for approval"
    REFUSED = "refused"
    NOBODY = "nobody can approve it"
    UNKNOWN = "could not be compared"


@dataclass(frozen=True, slots=True)
class PastRequest:
    """A request as it is on record. `facts` is what `recorded_facts` kept, None for a request from
    before that; `known` are the references that Slack had answered then. `ticket_criterion` is the
    verdict about its ticket, None where there was none."""

    id: str
    at: int
    person: Person
    role: str
    duration: int
    ticket: str
    facts: Mapping[str, Any] | None
    known: Collection[str]
    ticket_criterion: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """`because` is the rule, or the first criterion that decided."""

    result: Result
    because: str = ""


def replayed(
    policy: Policy, past: PastRequest, now: Directory, used: Mapping[str, int]
) -> Replayed:
    """What the request comes to under `policy`. Approvers are those of `now`, because the log does
    not have those of then; `used` counts, by rule, what this replay has approved in the period of
    each quota."""
    role = policy.roles.get(past.role)
    if role is None:
        return Replayed(Result.REFUSED, "there is no such role")
    if past.facts is None:
        return Replayed(Result.UNKNOWN, "its record has no facts about the requester")
    facts = _facts(policy, past, past.facts, used)
    asked = Asked(past.person, past.duration, past.ticket)
    own = judge(replace(role, auto_approve=()), asked, facts).criteria
    if (bad := _first(own, Verdict.NOT_MET)) is not None:
        return Replayed(Result.REFUSED, bad.text)
    if (open_ := _first(own, Verdict.UNKNOWN, but="ticket")) is not None:
        return Replayed(Result.UNKNOWN, open_.text)
    return _by_rules(role, asked, facts) or _by_people(role, past, now)


def _by_rules(role: Role, asked: Asked, facts: Facts) -> Replayed | None:
    """The rule that approves it; unknown where one might. None where none does."""
    unsure = None
    for rule in role.auto_approve:
        criteria = judge(replace(role, auto_approve=(rule,)), asked, facts).criteria
        if all(each.met for each in criteria):
            return Replayed(Result.GRANTED, rule.name)
        if _first(criteria, Verdict.NOT_MET) is None:
            unsure = unsure or _first(criteria, Verdict.UNKNOWN)
    return Replayed(Result.UNKNOWN, unsure.text) if unsure else None


def _by_people(role: Role, past: PastRequest, now: Directory) -> Replayed:
    if unknown := now.unresolved(role.approvers):
        names = ", ".join(now.called(unknown))
        return Replayed(Result.UNKNOWN, f"it is not known who is in {names}")
    if (refused := nobody_can_decide(role, past.person.id, Authority(now, past.at))) is not None:
        return Replayed(Result.NOBODY, refused.reason)
    return Replayed(Result.WAITS)


def _first(criteria: Sequence[Criterion], verdict: Verdict, but: str = "") -> Criterion | None:
    return next((c for c in criteria if c.verdict is verdict and c.name != but), None)


def _facts(
    policy: Policy, past: PastRequest, recorded: Mapping[str, Any], used: Mapping[str, int]
) -> Facts:
    person = past.person
    mine, none = frozenset({person.id}), frozenset[str]()
    unknown = set(recorded.get("unknown", ()))
    directory = Directory(
        groups=dict.fromkeys(recorded["groups"], mine),
        emails={folded(person.email): person.id} if person.email else {},
        answered=frozenset(past.known) - unknown,
    )
    return Facts(
        now=past.at,
        zone=ZoneInfo(policy.workspace.timezone),
        directory=directory,
        on_call={
            duty: mine if theirs else none for duty, theirs in recorded.get("on_call", {}).items()
        },
        used=used,
        tickets=policy.tickets,
        ticket=_ticket(past),
        has_emergency=bool(recorded.get("emergency")),
    )


def _ticket(past: PastRequest) -> TicketFacts | None:
    if past.ticket_criterion in (None, Verdict.UNKNOWN):
        return None
    met = past.ticket_criterion is Verdict.MET
    return TicketFacts(past.ticket, past.at, met, met, folded(past.person.email) if met else "")
