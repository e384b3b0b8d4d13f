"""Denies a request with a reason; one denial ends the request."""

from dataclasses import dataclass

from bot.core import effects
from bot.core.approval import Refused, may_decide
from bot.core.audit import Event
from bot.core.authority import recorded_right
from bot.core.eligibility import check_reason
from bot.core.lifecycle import Move
from bot.core.model import Person, Request, RequestState
from bot.operations._unit_of_work import OUTDATED, Context, unit
from bot.operations.requests.accept_vote import AlreadyDecided
from bot.operations.requests.lapse_due import lapsed_by_now
from storage import requests


@dataclass(frozen=True, slots=True)
class Denied:
    request: Request


def deny_request(
    world: Context, request_id: str, voter: Person, reason: str
) -> Denied | AlreadyDecided | Refused:
    """Ends a pending request. `voter` must have been looked up for this click. Raises
    StorageUnavailable."""
    with unit(world) as u:
        request = requests.locked(u.db, request_id)
        if request is None:
            return u.refuse(Refused("This request does not exist."), voter.id, "deny")
        request = lapsed_by_now(u, request)
        if request.state is not RequestState.PENDING:
            u.refuse(Refused(f"already {request.state}"), voter.id, "deny", request)
            return AlreadyDecided(request)
        role, authority = u.role_of(request), u.authority(request)
        refused = (
            OUTDATED
            if u.outdated
            else may_decide(role, request, voter, authority) or check_reason(reason)
        )
        if refused is not None:
            return u.refuse(refused, voter.id, "deny", request, reason=reason)
        requests.move(u.db, request.id, Move.DENY, u.now, voter.id, reason)
        right = recorded_right(role, request, voter.id, authority) if role else {}
        u.record(Event.DENIAL_GIVEN, voter.id, request, reason=reason, **right)
        u.do(
            effects.update_approval(
                request.id, role.channel if role else u.policy.workspace.approvals_channel
            ),
            effects.notify_person(request.requester, "denied", request=request.id),
        )
        return Denied(request)
