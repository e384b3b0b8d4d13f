"""Counts an approval; with the last one that is needed, the grant is stored and its start
queued."""

from dataclasses import dataclass, replace
from typing import Any

from bot.core import effects
from bot.core.approval import (
    Approved,
    NeedsApproval,
    Refused,
    may_approve,
    may_decide,
    may_renew_pending,
    narrowed,
    something_left,
    tally,
    terms,
    ticket_asked_now,
    tier_asked,
    too_long_now,
    unchanged,
    with_vote,
)
from bot.core.audit import Event
from bot.core.authority import Authority, recorded_right
from bot.core.eligibility import may_request
from bot.core.emergency import may_press
from bot.core.lifecycle import Move
from bot.core.model import Grant, Person, Request, RequestState, Vote
from bot.core.roles import Role
from bot.operations._begin_grant import begin_grant, given_terms
from bot.operations._criteria import denied, keep_decided, refused_by_ticket
from bot.operations._emergency import open_emergency
from bot.operations._extend_grant import extend_grant
from bot.operations._pings import ask_next_tier
from bot.operations._unit_of_work import OUTDATED, Context, UnitOfWork, unit
from bot.operations.requests.accept_vote import AlreadyDecided
from bot.operations.requests.lapse_due import lapsed_by_now
from storage import grants, requests


@dataclass(frozen=True, slots=True)
class Granted:
    """The request is approved; `grant` is starting, or was extended."""

    request: Request
    grant: Grant


Outcome = Granted | NeedsApproval | AlreadyDecided | Refused


def approve_request(
    world: Context,
    request_id: str,
    voter: Person,
    *,
    duration: int | None = None,
    actions: tuple[str, ...] | None = None,
    systems: tuple[str, ...] | None = None,
    start_at: int | None = None,
) -> Outcome:
    """Counts the approval of `voter`, who must have been looked up for this click.

    `duration` (seconds), `actions` and `systems` may give less than was requested, and `start_at`
    may start it later. Raises StorageUnavailable.
    """
    with unit(world) as u:
        request = requests.locked(u.db, request_id)
        if request is None:
            return u.refuse(Refused("This request does not exist."), voter.id, "approve")
        request = lapsed_by_now(u, request)
        if request.state is not RequestState.PENDING:
            u.refuse(Refused(f"already {request.state}"), voter.id, "approve", request)
            return AlreadyDecided(request)
        role = u.role_of(request)
        vote = Vote(
            request.id,
            voter.id,
            u.now,
            request.duration if duration is None else duration,
            request.actions if actions is None else actions,
            systems=systems,
            start_at=start_at,
        )
        ballot = _ballot(u, role, request, vote)
        refused = _refusal(u, role, request, voter, ballot)
        if refused is not None or role is None:
            return u.refuse(refused or OUTDATED, voter.id, "approve", request)
        return _count(u, role, request, ballot)


@dataclass(frozen=True, slots=True)
class _Ballot:
    """One more vote, those before it, all of them together, and the authority of the voters."""

    vote: Vote
    before: list[Vote]
    votes: list[Vote]
    authority: Authority


def _ballot(u: UnitOfWork, role: Role | None, request: Request, vote: Vote) -> _Ballot:
    authority, before = u.authority(request), requests.votes(u.db, request.id)
    if role:
        vote = replace(vote, tier=tier_asked(role, request, vote.voter, before, authority))
    return _Ballot(vote, before, with_vote(before, vote), authority)


def _refusal(
    u: UnitOfWork, role: Role | None, request: Request, voter: Person, ballot: _Ballot
) -> Refused | None:
    vote, authority = ballot.vote, ballot.authority
    refused = OUTDATED if u.outdated else may_decide(role, request, voter, authority)
    if refused is not None or role is None:
        return refused
    requester = u.person(request.requester)
    return (
        unchanged(role, request)
        or may_approve(role, request, voter, ballot.before, authority)
        or narrowed(request, vote, u.now)
        or too_long_now(role, vote.duration)
        or _may_still_request(u, role, requester)
        or (may_press(requester, voter) if request.urgency else None)
        or u.paused(role.name, request.requester)
        or denied(u, role, requester, u.now, *_starts(request, ballot.votes))
        or ticket_asked_now(role, request)
        or refused_by_ticket(u, role, requester, request.ticket)
        or may_renew_pending(role, request, _renewed(u, request), vote, u.now)
        or something_left(role, request, ballot.votes, authority, voter.id)
    )


def _starts(request: Request, votes: list[Vote]) -> set[int]:
    """The starts that were asked for and that the approvers gave."""
    return {at for at in (request.start_at, *(vote.start_at for vote in votes)) if at is not None}


def _may_still_request(u: UnitOfWork, role: Role, requester: Person) -> Refused | None:
    refused = may_request(role, requester, u.directory)
    if (
        refused is None
        or requester.ineligible_reason()
        or not (unknown := u.directory.unresolved(role.requesters))
    ):
        return refused
    names = ", ".join(u.world.directory(however_old=True).called(unknown))
    return Refused(
        f"Slack has not said in the last ten minutes who is in {names}. Try again when Slack"
        " answers."
    )


def _renewed(u: UnitOfWork, request: Request) -> Grant | None:
    return grants.locked(u.db, request.renews) if request.renews else None


def _count(u: UnitOfWork, role: Role, request: Request, ballot: _Ballot) -> Granted | NeedsApproval:
    vote, votes = ballot.vote, ballot.votes
    if requests.add_vote(u.db, vote):
        u.record(
            Event.VOTE_GIVEN,
            vote.voter,
            request,
            duration=vote.duration,
            actions=list(vote.actions),
            risk=role.risk,
            waited=vote.at - request.created_at,
            **({"tier": vote.tier} if vote.tier else {}),
            **recorded_right(role, request, vote.voter, ballot.authority, vote.tier),
            **_narrower(vote),
        )
    counted = tally(role, request, votes, ballot.authority)
    if isinstance(counted, NeedsApproval):
        u.do(effects.update_approval(request.id, role.channel))
        if counted.tier != vote.tier:
            ask_next_tier(u, role, request)
        return counted
    return _approve(u, role, request, votes, counted, vote.voter)


def _narrower(vote: Vote) -> dict[str, Any]:
    """The systems that an edited vote leaves out and its later start, for its record."""
    systems = {} if vote.systems is None else {"given_systems": list(vote.systems)}
    return {**systems, **({} if vote.start_at is None else {"start_at": vote.start_at})}


def _approve(
    u: UnitOfWork, role: Role, request: Request, votes: list[Vote], counted: Approved, by: str
) -> Granted:
    """Approves the request; `by` gave the last vote that was needed."""
    # The last vote limits the terms even if the others were enough without it.
    given = terms(request, [vote for vote in votes if vote.voter in (*counted.by, by)])
    judged = keep_decided(u, role, request)
    requests.move(u.db, request.id, Move.APPROVE, u.now, ",".join(counted.by))
    u.record(
        Event.APPROVAL_GIVEN,
        by,
        request,
        reason=request.reason,
        **given_terms(given),
        approvers=list(counted.by),
        asked_duration=request.duration,
        **judged,
    )
    renewed = _renewed(u, request)
    if renewed is not None:
        for system in renewed.systems:
            grants.set_reach(u.db, renewed.id, system, u.policy.systems[system].reach)
        grant = extend_grant(u, role, renewed, given.duration, by, request.reason)
        u.do(effects.update_approval(request.id, role.channel))
    else:
        grant = begin_grant(u, role, request, given, by)
        if request.urgency:
            decided = replace(request, decided_by=",".join(counted.by))
            open_emergency(u, role, decided, grant, request.requester, counted.by)
        u.do(effects.update_approval(request.id, role.channel, delay=1))
    return Granted(request, grant)
