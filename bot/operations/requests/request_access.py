"""Requests a role for a person: refuses with a reason, names the access or request that exists
already, or asks the approvers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bot.core import effects
from bot.core.approval import Refused, nobody_can_decide
from bot.core.audit import Event
from bot.core.authority import deciders
from bot.core.criteria import Judgement
from bot.core.durations import format_duration
from bot.core.eligibility import Ask, check_words, find_role, may_ask_at_all, may_request
from bot.core.errors import StorageUnavailable
from bot.core.lifecycle import Move
from bot.core.model import RULE, Grant, Request, as_asked
from bot.core.parameters import bound
from bot.core.preapproval import PreApproval
from bot.core.roles import Role
from bot.core.rules import AutoApproval
from bot.operations._begin_grant import begin_grant, given_terms, parameters_on_record
from bot.operations._criteria import (
    denied,
    judge_request,
    keep_asked,
    keep_decided,
    refused_by_ticket,
)
from bot.operations._end_grant import withdraw
from bot.operations._new_request import new_request
from bot.operations._open_emergency import has_open_emergency
from bot.operations._pings import plan_pings
from bot.operations._preapprovals import deciding
from bot.operations._unit_of_work import OUTDATED, SYSTEM, Context, UnitOfWork, unit
from bot.operations.policy.find_unresolved import needed_for
from bot.operations.tickets.record_ticket import must_be_looked_up
from storage import grants, key_values, outbox, preapprovals, requests

MOST_REQUESTS = 30
"""Requests of one person in MOST_WITHIN, including renewals that need approval."""

MOST_WITHIN = 600
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """`able` is the number of people who could approve it; `role` is None when roles.toml no longer
    has it. `why` says of a renewal why it needs approval."""

    request: Request
    role: Role | None
    able: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class GrantedAtOnce:
    """Nobody had to decide: the rule `by` approved it, or `givers` had in advance. `grant` is
    starting or scheduled."""

    request: Request
    grant: Grant
    role: Role
    by: str = ""
    givers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlreadyPending:
    request: Request


@dataclass(frozen=True, slots=True)
class AlreadyHeld:
    grant: Grant


@dataclass(frozen=True, slots=True)
class Waiting:
    """Queued until the groups of the role are known from Slack and its ticket was looked up, and
    for a process that has the roles.toml in force. The answer follows. `has_ticket` says whether a
    ticket is looked up."""

    role: str
    has_ticket: bool = False


Outcome = Submitted | GrantedAtOnce | AlreadyPending | AlreadyHeld | Refused | Waiting


def request_access(world: Context, ask: Ask, look_up_first: bool = False) -> Outcome:
    """Stores the request and the message that asks the approvers, or gives the reason why not. With
    `look_up_first` the person is looked up in Slack before.

    The person must have been recorded before (`record_people`); an unrecorded one is treated as a
    stranger.
    """
    with unit(world) as u:
        role = _find_role(u, ask)
        if isinstance(role, Refused):
            return u.refuse(role, ask.person, "request", role=ask.role[:80], reason=ask.reason)
        if role.auto_approve or preapprovals.of(u.db, ask.person, role.name, u.now):
            # So that two at once don't both get it, or share the last of a quota.
            u.db.lock(f"request:{ask.person}:{role.name}")
        if (already := _already(u, ask)) is not None:
            return already
        if (limited := too_many(u, ask.person, "request", role, ask.reason)) is not None:
            return limited
        if u.outdated:
            return _wait(u, role, ask)
        waits = look_up_first or _facts_are_missing(u, role, ask)
        refused = _refusal_of_words(u, role, ask) if waits else _refusal(u, role, ask)
        if refused is not None:
            return u.refuse(refused, ask.person, "request", role=role.name, reason=ask.reason)
        return _wait(u, role, ask) if waits else _submit(u, _for_values(role, ask), ask)


def _find_role(u: UnitOfWork, ask: Ask) -> Role | Refused:
    """The role as it is for this person, whose onboarding may add to it."""
    role = find_role(u.policy, ask.role)
    if isinstance(role, Refused):
        return OUTDATED if u.outdated else role
    return u.role_for(role.name, ask.person) or role


def _for_values(role: Role, ask: Ask) -> Role:
    """The role with the values of the request, which were checked."""
    found = bound(role, ask.parameters)
    return role if isinstance(found, Refused) else found


def _facts_are_missing(u: UnitOfWork, role: Role, ask: Ask) -> bool:
    """Whether groups of the role or the ticket must be looked up before the decision."""
    unresolved = u.directory.unresolved(needed_for(u.policy, role))
    return bool(unresolved) or must_be_looked_up(u, role, ask.ticket)


def _already(u: UnitOfWork, ask: Ask) -> AlreadyHeld | AlreadyPending | None:
    # Pending ones are read first: one that is approved at this moment is then held.
    pending = requests.pending_of(u.db, ask.person, ask.role)
    # Access that lasts longer than an emergency may be requested while it runs.
    if held := [each for each in grants.held_by(u.db, ask.person, ask.role) if not each.urgency]:
        return AlreadyHeld(held[-1])
    for request in pending:
        if request.renews is None:
            return AlreadyPending(request)
        withdraw(u, request, SYSTEM, "the access that it would renew has ended")
    return None


def too_many(
    u: UnitOfWork, person: str, action: str, role: Role, reason: str, about: Grant | None = None
) -> Refused | None:
    """Refuses requests beyond MOST_REQUESTS. One record covers all refusals until the person may
    ask again."""
    made = requests.made_between(u.db, person, u.now - MOST_WITHIN, u.now, MOST_REQUESTS)
    if len(made) < MOST_REQUESTS:
        return None
    again_at = made[-1] + MOST_WITHIN
    refused = Refused(
        f"You made {MOST_REQUESTS} requests within {format_duration(MOST_WITHIN)}, which is the"
        f" limit. You can ask again in {format_duration(again_at - u.now)}.",
        wait=again_at - u.now,
    )
    if key_values.claim_key(u.db, f"too many requests:{person}:{again_at}", u.now):
        u.refuse(refused, person, action, about, role=role.name, reason=reason)
    return refused


def _refusal_of_words(u: UnitOfWork, role: Role, ask: Ask) -> Refused | None:
    """The refusals that need no group: the account, the words, the panic switch."""
    return (
        may_ask_at_all(u.person(ask.person))
        or check_words(role, ask, u.now)
        or u.paused(role.name, ask.person)
    )


def _wait(u: UnitOfWork, role: Role, ask: Ask) -> Waiting | Refused:
    names = ("reason", "duration", "ticket", "start_at", "channel", "answer_url")
    asked = {name: getattr(ask, name) for name in names}
    asked["parameters"] = dict(ask.parameters)
    asked["program"] = asdict(ask.program) if ask.program else None
    return wait_for_slack(u, role, ask.person, {**asked, "asked_at": u.now})


def wait_for_slack(
    u: UnitOfWork, role: Role, person: str, asked: Mapping[str, object]
) -> Waiting | Refused:
    """Queues a request until Slack was asked, for at most as long as a request may stay pending."""
    if outbox.count_beginning(u.db, effects.ask_key(person, "")) >= MOST_REQUESTS:
        refused = Refused(
            f"{MOST_REQUESTS} of your requests wait for Slack, which is the limit. Ask again"
            " later.",
            wait=60,
        )
        if key_values.claim_key(u.db, f"too many waiting:{person}:{u.now // MOST_WITHIN}", u.now):
            u.refuse(refused, person, "request", role=role.name)
        return refused
    u.do(effects.ask(person, role.name, u.now + role.pending_timeout, asked))
    has_ticket = bool(asked.get("ticket")) and role.ticket is not None
    return Waiting(role.name, has_ticket and u.policy.tickets is not None)


def _refusal(u: UnitOfWork, role: Role, ask: Ask) -> Refused | None:
    return (
        may_request(role, u.person(ask.person), u.directory)
        or check_words(role, ask, u.now)
        or u.paused(role.name, ask.person)
        or denied(u, role, u.person(ask.person), u.now, ask.start_at or u.now)
        or refused_by_ticket(u, role, u.person(ask.person), ask.ticket)
    )


def undecidable(u: UnitOfWork, role: Role, person: str) -> Refused | None:
    """Refuses a request that too few people could approve. The leads are notified once an hour for
    each role."""
    refused = nobody_can_decide(role, person, u.authority())
    if refused is not None and key_values.claim_key(
        u.db, f"undecidable:{role.name}:{u.now // 3600}", u.now
    ):
        u.notify_leads("nobody_can_decide", role=role.name)
    return refused


def _submit(
    u: UnitOfWork, role: Role, ask: Ask
) -> Submitted | GrantedAtOnce | AlreadyPending | Refused:
    duration = ask.duration if ask.duration is not None else role.default_duration
    request = new_request(
        u,
        role,
        ask.person,
        duration,
        ask.reason,
        ticket=ask.ticket,
        start_at=ask.start_at,
        program=ask.program,
    )
    judged = judge_request(u, role, request, u.person(ask.person))
    given = () if judged.rule else _in_advance(u, role, request, judged)
    if not judged.rule and not given and (refused := undecidable(u, role, ask.person)):
        return u.refuse(refused, ask.person, "request", role=role.name, reason=ask.reason)
    if not requests.insert(u.db, request):
        return already_pending(u, ask.person, ask.role)
    _record_asked(u, request, judged)
    if ask.program is not None:
        u.do(effects.answer(ask.person, "", "asked_by_program", request=request.id))
    if judged.rule is not None:
        return _grant_by_rule(u, role, request, judged.rule)
    if given:
        return _grant_in_advance(u, role, request, given)
    ask_deciders(u, role, request)
    return submitted(u, role, request)


def _record_asked(u: UnitOfWork, request: Request, judged: Judgement) -> None:
    u.record(
        Event.REQUEST_ASKED,
        request.requester,
        request,
        reason=request.reason,
        duration=request.duration,
        ticket=request.ticket,
        start_at=request.start_at,
        **({"program": request.program} if request.program else {}),
        **parameters_on_record(request),
        **keep_asked(u, request, judged),
    )


def ask_deciders(u: UnitOfWork, role: Role, request: Request) -> None:
    """Queues the message that asks the approvers, and plans the pings for the case that nobody
    decides."""
    u.do(effects.post_approval(request, role.channel))
    u.expect(request.lapses_at)
    plan_pings(u, role, request)


def _grant_by_rule(
    u: UnitOfWork, role: Role, request: Request, rule: AutoApproval
) -> GrantedAtOnce:
    """Approves a request that was just stored and whose conditions of `rule` all hold."""
    by = RULE + rule.name
    judged = keep_decided(u, role, request)
    u.record(Event.RULE_APPLIED, by, request, rule=rule.name, **judged)
    return GrantedAtOnce(request, _approve(u, role, request, by, (by,)), role, by)


def _in_advance(
    u: UnitOfWork, role: Role, request: Request, judged: Judgement
) -> tuple[PreApproval, ...]:
    """The pre-approvals that decide this request; none while a criterion of the role is not met, or
    an emergency of the person is open."""
    own = [each for each in judged.criteria if not each.rule]
    if not all(each.met for each in own) or has_open_emergency(u, request.requester):
        return ()
    return deciding(u, role, request)


def _grant_in_advance(
    u: UnitOfWork, role: Role, request: Request, given: Sequence[PreApproval]
) -> GrantedAtOnce:
    """Approves a request that was just stored and that these pre-approvals decide together."""
    givers = tuple(each.giver for each in given)
    used = [{"preapproval": each.id, "giver": each.giver, "until": each.until} for each in given]
    judged = keep_decided(u, role, request)
    preapprovals.use(u.db, request.id, given)
    grant = _approve(u, role, request, SYSTEM, givers, in_advance=used, **judged)
    return GrantedAtOnce(request, grant, role, givers=givers)


def _approve(
    u: UnitOfWork, role: Role, request: Request, by: str, approvers: Sequence[str], **more: Any
) -> Grant:
    u.do(effects.post_approval(request, role.channel))
    requests.move(u.db, request.id, Move.APPROVE, u.now, ",".join(approvers))
    u.record(
        Event.APPROVAL_GIVEN,
        by,
        request,
        reason=request.reason,
        **given_terms(as_asked(request)),
        approvers=list(approvers),
        asked_duration=request.duration,
        **more,
    )
    return begin_grant(u, role, request, as_asked(request), by)


def submitted(u: UnitOfWork, role: Role, request: Request) -> Submitted:
    """The outcome of a request that was just stored."""
    return Submitted(request, role, len(deciders(role, request.requester, u.authority())))


def already_pending(u: UnitOfWork, person: str, role: str) -> AlreadyPending:
    """The pending request that was in the way. If it was decided at this moment, trying again
    helps."""
    for request in requests.pending_of(u.db, person, role):
        return AlreadyPending(request)
    raise StorageUnavailable("two requests for the same role at the same moment")
