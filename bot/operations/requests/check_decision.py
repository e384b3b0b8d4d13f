"""Checks that an approver may decide before a form opens to deny or edit a request."""

from bot.core.approval import Refused, may_approve, may_decide, narrowed
from bot.core.authority import decider_references
from bot.core.model import RequestState, Vote
from bot.operations._unit_of_work import Context, unit
from bot.operations.requests.accept_vote import AlreadyDecided, Press
from storage import requests


def check_decision(
    world: Context, request_id: str, person: str, action: str
) -> AlreadyDecided | Refused | None:
    """Returns None if the form may open; the check is repeated on submission. Raises
    StorageUnavailable."""
    with unit(world) as u:
        request = requests.get(u.db, request_id)
        if request is None:
            return u.refuse(Refused("This request does not exist."), person, action)
        if request.state is not RequestState.PENDING:
            u.refuse(Refused(f"already {request.state}"), person, action, request)
            return AlreadyDecided(request)
        role = u.role_of(request)
        if u.outdated or (role and u.directory.unresolved(decider_references(role))):
            return None
        authority, who = u.authority(request), u.person(person)
        refused = may_decide(role, request, who, authority)
        if refused is None and role is not None and action == "approve":
            votes = requests.votes(u.db, request.id)
            refused = may_approve(role, request, who, votes, authority)
        return u.refuse(refused, person, action, request) if refused else None


def check_narrowing(world: Context, press: Press) -> Refused | None:
    """Refuses an edited approval that gives more than was requested, while the form is still
    open."""
    with unit(world) as u:
        request = requests.get(u.db, press.request)
        if request is None or request.state is not RequestState.PENDING:
            return None
        duration = request.duration if press.duration is None else press.duration
        actions = request.actions if press.actions is None else press.actions
        voter = press.voter.id
        vote = Vote(
            request.id,
            voter,
            u.now,
            duration,
            actions,
            systems=press.systems,
            start_at=press.start_at,
        )
        refused = narrowed(request, vote, u.now)
        return u.refuse(refused, voter, "approve", request) if refused else None
