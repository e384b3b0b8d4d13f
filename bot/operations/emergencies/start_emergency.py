"""Starts access in an emergency, without anybody's approval; the next one of the same person waits
for one press of somebody else."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.authority import OPERATOR, deciders
from bot.core.eligibility import find_role, may_ask_at_all, no_emergencies
from bot.core.emergency import BY, as_emergency, check_call, in_the_way, may_declare
from bot.core.model import Directory, Grant, Request, RequestState, Urgency, as_asked
from bot.core.parameters import bound
from bot.core.roles import Role
from bot.operations._begin_grant import begin_grant, parameters_on_record
from bot.operations._criteria import denied, facts_on_record
from bot.operations._emergency import ask_for_press, open_emergency
from bot.operations._end_grant import withdraw
from bot.operations._new_request import new_request
from bot.operations._open_emergency import has_open_emergency
from bot.operations._unit_of_work import OUTDATED, SYSTEM, Context, UnitOfWork, unit
from bot.operations.policy.find_unresolved import needed_to_start
from bot.operations.requests.request_access import (
    MOST_REQUESTS,
    AlreadyHeld,
    AlreadyPending,
    Waiting,
    too_many,
)
from storage import grants, outbox, people, requests

WAITS_FOR_SLACK = 60
"""Seconds for which an emergency waits until its person is known from Slack: one that starts much
later would surprise everybody."""


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody calls an emergency. `duration` None means the longest that the role gives. `by` is
    the operator who does it for `person`, "" for themselves."""

    person: str
    role: str
    reason: str
    duration: int | None = None
    is_drill: bool = False
    by: str = ""
    channel: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def declared_by(self) -> str:
        return self.by or self.person


@dataclass(frozen=True, slots=True)
class Started:
    """The access is being set up."""

    request: Request
    grant: Grant
    role: Role


@dataclass(frozen=True, slots=True)
class NeedsPress:
    """Another emergency of this person is open, so that `able` people were asked for one press."""

    request: Request
    role: Role
    able: int


Outcome = Started | NeedsPress | AlreadyHeld | AlreadyPending | Waiting | Refused


def start_emergency(world: Context, call: Call, look_up_first: bool = False) -> Outcome:
    """Starts the access, or gives the reason why not. With `look_up_first` the person is looked up
    in Slack before. Raises StorageUnavailable.

    The person must have been recorded before (`record_people`); an unrecorded one is treated as a
    stranger.
    """
    with unit(world) as u:
        known = find_role(u.policy, call.role)
        if isinstance(known, Refused):
            refused = OUTDATED if u.outdated else known
            return u.refuse(
                refused, call.declared_by, "emergency", role=call.role[:80], reason=call.reason
            )
        people.lock(u.db, call.person)  # one emergency of a person is judged after the other
        role = _terms(u, known, call)
        if isinstance(role, Refused):
            return u.refuse(
                role, call.declared_by, "emergency", role=known.name, reason=call.reason
            )
        held = grants.held_by(u.db, call.person, role.name)
        if (grant := in_the_way(held, role.max_total, u.now)) is not None:
            return AlreadyHeld(grant)
        outcome = _refusal(u, role, call, look_up_first)
        if isinstance(outcome, Refused):
            return u.refuse(
                outcome, call.declared_by, "emergency", role=role.name, reason=call.reason
            )
        return outcome or _open(u, role, call)


def _terms(u: UnitOfWork, role: Role, call: Call) -> Role | Refused:
    """The role on the terms of this emergency, with its values."""
    urgency = Urgency.DRILL if call.is_drill else Urgency.EMERGENCY
    longest = role.emergency.max_duration if role.emergency else role.max_duration
    duration = longest if call.duration is None else call.duration
    terms = as_emergency(role, urgency, duration, u.policy.workspace.leads)
    return bound(terms, call.parameters)


def _refusal(
    u: UnitOfWork, role: Role, call: Call, look_up_first: bool
) -> Refused | Waiting | None:
    """The reason why it does not start, or Waiting if Slack has to be asked before; None if it may
    start."""
    person = u.person(call.person)
    refused = (
        may_ask_at_all(person)
        or (None if role.requesters else no_emergencies(role))
        or check_call(role, role.max_total, call.reason)
        or u.paused(role.name, call.person)
    )
    if refused is not None:
        return refused
    is_operator, directory = call.by.startswith(OPERATOR), _directory(u, call)
    unknown = directory.unresolved(needed_to_start(role))
    if not is_operator and (look_up_first or u.outdated or unknown):
        return _wait(u, role, call)
    if u.outdated:
        return OUTDATED
    return may_declare(role, person, directory) or denied(u, role, person, directory=directory)


def _directory(u: UnitOfWork, call: Call) -> Directory:
    """The members of groups. An operator may use an old version."""
    is_operator = call.by.startswith(OPERATOR)
    return u.world.directory(however_old=True) if is_operator else u.directory


def _wait(u: UnitOfWork, role: Role, call: Call) -> Waiting | Refused:
    if outbox.count_beginning(u.db, effects.ask_key(call.person, "")) >= MOST_REQUESTS:
        return Refused(
            f"{MOST_REQUESTS} of your requests wait for Slack, which is the limit. Try again in a"
            " minute; the operator of the bot can use `access-bot emergency`."
        )
    asked: Mapping[str, Any] = {
        "emergency": True,
        "reason": call.reason,
        "duration": call.duration,
        "is_drill": call.is_drill,
        "channel": call.channel,
        "parameters": dict(call.parameters),
        "asked_at": u.now,
    }
    u.do(effects.ask(call.person, role.name, u.now + WAITS_FOR_SLACK, asked))
    return Waiting(role.name)


def _open(u: UnitOfWork, role: Role, call: Call) -> Outcome:
    pending = requests.pending_of(u.db, call.person, role.name)
    if waiting := next((each for each in pending if each.urgency), None):
        return AlreadyPending(waiting)
    if has_open_emergency(u, call.person):
        return _ask(u, role, call, pending)
    for request in pending:
        if request.renews is None:
            _overtake(u, request)
    request = replace(
        _request(u, role, call), state=RequestState.APPROVED, decided_at=u.now, decided_by=BY
    )
    requests.insert(u.db, request)
    _record_asked(u, request, call)
    grant = begin_grant(u, role, request, as_asked(request), BY)
    open_emergency(u, role, request, grant, call.declared_by)
    return Started(request, grant, role)


def _ask(u: UnitOfWork, role: Role, call: Call, pending: list[Request]) -> Outcome:
    """Another emergency of theirs is open: this one waits for one press."""
    known = u.policy.roles[role.name]
    if (limited := too_many(u, call.person, "emergency", known, call.reason)) is not None:
        return limited
    own = u.directory.without_delegates()
    able = len(deciders(role, call.person, u.authority(directory=own)))
    if able == 0:
        refused = Refused(
            "An emergency of yours is open already, so this one needs the press of an approver of"
            f" {role.name} or of a lead, and there is nobody but you. Ask a lead to correct that."
        )
        return u.refuse(refused, call.declared_by, "emergency", role=role.name, reason=call.reason)
    for each in pending:
        _overtake(u, each)
    request = _request(u, role, call)
    requests.insert(u.db, request)
    _record_asked(u, request, call)
    ask_for_press(u, role, request)
    u.expect(request.lapses_at)
    return NeedsPress(request, role, able)


def _overtake(u: UnitOfWork, request: Request) -> None:
    withdraw(u, request, SYSTEM, "the same person called an emergency for this role")


def _request(u: UnitOfWork, role: Role, call: Call) -> Request:
    urgency = Urgency.DRILL if call.is_drill else Urgency.EMERGENCY
    return new_request(u, role, call.person, role.max_total, call.reason, urgency=urgency)


def _record_asked(u: UnitOfWork, request: Request, call: Call) -> None:
    u.record(
        Event.REQUEST_ASKED,
        call.declared_by,
        request,
        reason=request.reason,
        duration=request.duration,
        **parameters_on_record(request),
        facts=facts_on_record(u, request.requester, _directory(u, call)),
    )
