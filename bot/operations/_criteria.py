"""Gathers the facts that the criteria of a request are judged by, inside a reading scope or a
transaction, and keeps the criteria as they were."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from bot.core.approval import Refused
from bot.core.criteria import (
    Asked,
    Criterion,
    Facts,
    Judgement,
    Renewals,
    TicketFacts,
    changes,
    denial,
    from_record,
    judge,
    on_record,
    ticket_refusal,
)
from bot.core.model import RULE, Directory, Grant, Person, Request, folded
from bot.core.on_call import has_shift, is_believed
from bot.core.recorded_facts import recorded_facts
from bot.core.roles import Role, names_of, references
from bot.core.rules import OnCall
from bot.operations._open_emergency import has_open_emergency
from bot.operations._unit_of_work import Snapshot, UnitOfWork
from bot.operations.on_call.record_shifts import digest_of
from bot.operations.tickets.record_ticket import digest_of as ticket_system
from storage import grants, judgements, on_call, renewals, requests, tickets


def judge_request(u: Snapshot, role: Role, request: Request, requester: Person) -> Judgement:
    """The criteria of a stored request as they are now."""
    asked = Asked(
        requester, request.duration, request.ticket, request.fingerprint, request.start_at
    )
    facts = gather(u, role, requester.id, request.ticket)
    renewed = grants.get(u.db, request.renews) if request.renews else None
    return judge(role, asked, with_renewals(u, role, renewed, facts) if renewed else facts)


def with_renewals(u: Snapshot, role: Role, grant: Grant, facts: Facts) -> Facts:
    """The facts that the next renewal of `grant` is judged by."""
    quota, used = role.renewal_quota, 0
    if quota is not None:
        used = renewals.count(u.db, grant.person, role.name, quota.since(u.now, facts.zone))
    return replace(facts, renewals=Renewals(grant.renewals, used))


def denied(
    u: Snapshot, role: Role, person: Person, *times: int, directory: Directory | None = None
) -> Refused | None:
    """Refuses this person if a denial rule holds for them now, or at one of `times` instead.
    `directory` is that of now unless another one is given."""
    known = Facts(u.now, ZoneInfo(u.policy.workspace.timezone), directory or u.directory)
    found = (
        denial(role, person, replace(known, now=at)) for at in dict.fromkeys(times or (u.now,))
    )
    return next(filter(None, found), None)


def refused_by_ticket(u: Snapshot, role: Role, person: Person, ticket: str) -> Refused | None:
    """Refuses a ticket that was looked up and does not do."""
    if role.ticket is None or u.policy.tickets is None:
        return None
    zone = ZoneInfo(u.policy.workspace.timezone)
    found = _ticket(u, person.id, ticket)
    facts = Facts(u.now, zone, u.directory, tickets=u.policy.tickets, ticket=found)
    return ticket_refusal(role, Asked(person, 0, ticket), facts)


def gather(u: Snapshot, role: Role, person: str, ticket: str = "") -> Facts:
    """The present facts about this role, person and ticket."""
    zone = ZoneInfo(u.policy.workspace.timezone)
    return Facts(
        now=u.now,
        zone=zone,
        directory=u.directory,
        on_call=_on_call(u, role, person),
        used=_used(u, role, person, zone),
        tickets=u.policy.tickets,
        ticket=_ticket(u, person, ticket),
        has_emergency=bool(role.auto_approve) and has_open_emergency(u, person),
    )


def _used(u: Snapshot, role: Role, person: str, zone: ZoneInfo) -> dict[str, int]:
    """The number of approvals for this person by each rule with a quota, in its present period."""
    quotas = {rule.name: rule.quota for rule in role.auto_approve if rule.quota}
    if not quotas:
        return {}
    begun = {quota.per: quota.since(u.now, zone) for quota in quotas.values()}
    decided = requests.decided_by_rules(u.db, person, role.name, min(begun.values()))
    counted = {
        per: Counter(by for by, at in decided if at >= since) for per, since in begun.items()
    }
    return {name: counted[quota.per][RULE + name] for name, quota in quotas.items()}


def _ticket(u: Snapshot, person: str, ticket: str) -> TicketFacts | None:
    """The last answer about the ticket. A GitHub login stands for the person who has it in
    `[people]`."""
    if u.policy.tickets is None or not ticket:
        return None
    seen = tickets.get(u.db, ticket_system(u.policy.tickets), ticket)
    if seen is None:
        return None
    known = u.person(person)
    email = folded(known.email)
    login = names_of(u.policy, known).get("github", "")
    own = folded(login) if u.policy.tickets.kind == "github" else email
    assignee = email if own and own in seen.assignees else ""
    return TicketFacts(ticket, seen.checked_at, seen.found, seen.is_open, assignee, seen.error)


def _on_call(u: Snapshot, role: Role, person: str) -> dict[str, frozenset[str]]:
    """The people on call now, by duty, as far as they matter for this person; a duty that could not
    be read is left out."""
    duties = {rule.on_call for rule in role.auto_approve if rule.on_call}
    return _read_duties(u, duties, person)


def is_on_call(u: Snapshot, person: str) -> bool:
    """Whether this person has any duty now, as far as duties could be read."""
    return any(person in people for people in _read_duties(u, u.policy.on_call, person).values())


def _read_duties(u: Snapshot, duties: Iterable[str], person: str) -> dict[str, frozenset[str]]:
    found = {name: _people_on_call(u, u.policy.on_call[name], person) for name in duties}
    return {name: people for name, people in found.items() if people is not None}


def _people_on_call(u: Snapshot, duty: OnCall, person: str) -> frozenset[str] | None:
    if duty.group:
        known = not u.directory.unresolved([duty.group])
        return u.directory.resolve([duty.group]) if known else None
    reading = on_call.reading(u.db, duty.name)
    if (
        reading is None
        or reading.source != digest_of(duty)
        or not is_believed(reading.read_at, u.now)
    ):
        return None
    shifts = on_call.shifts_at(u.db, duty.name, u.now)
    return frozenset([person] if has_shift(u.person(person), shifts, u.now) else [])


# --- as they were


def keep_asked(u: UnitOfWork, request: Request, judged: Judgement) -> dict[str, Any]:
    """Keeps the criteria of a request that is being stored; returns them and the facts about its
    requester for its record."""
    found = on_record(judged.criteria)
    judgements.keep(u.db, request.id, judgements.ASKED, u.now, found)
    role = u.policy.roles.get(request.role)
    asked = {"risk": role.risk if role else "", "actions": list(request.actions)}
    return {"criteria": found, "facts": facts_on_record(u, request.requester), **asked}


def facts_on_record(u: Snapshot, person: str, directory: Directory | None = None) -> dict[str, Any]:
    """The facts about a requester for the record of their request. `directory` is that of now
    unless another one is given."""
    return recorded_facts(
        u.person(person),
        directory or u.directory,
        references(u.policy),
        _read_duties(u, u.policy.on_call, person),
        has_open_emergency(u, person),
    )


def keep_decided(u: UnitOfWork, role: Role, request: Request) -> dict[str, Any]:
    """Judges a request again at its decision and keeps the criteria; returns them, and the changes
    since the request, for the record of the decision. Call it while the request is pending."""
    judged = judge_request(u, role, request, u.person(request.requester))
    found = on_record(judged.criteria)
    changed = changes(criteria_at(u, request.id).asked, judged.criteria)
    judgements.keep(u.db, request.id, judgements.DECIDED, u.now, found)
    return {"criteria": found, **({"changed": list(changed)} if changed else {})}


@dataclass(frozen=True, slots=True)
class KeptCriteria:
    """The criteria of a request as they were; empty where none were kept."""

    asked: tuple[Criterion, ...]
    decided: tuple[Criterion, ...]


def criteria_at(u: Snapshot, request: str) -> KeptCriteria:
    kept = judgements.of(u.db, request)
    return KeptCriteria(
        from_record(kept.get(judgements.ASKED, [])), from_record(kept.get(judgements.DECIDED, []))
    )
