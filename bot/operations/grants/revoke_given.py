"""Ends access that nobody decided on, because a rule or a pre-approval gave it: for the approvers
of its role."""

from bot.core.approval import Refused
from bot.core.authority import deciders
from bot.core.eligibility import check_reason
from bot.core.model import RULE, EndReason, Person, Request, is_recent
from bot.core.names import slash
from bot.operations._end_grant import request_end
from bot.operations._leads_only import PERSON_LASTS, seen_as_lead
from bot.operations._unit_of_work import Context, Snapshot, UnitOfWork, unit
from bot.operations.grants.release_grant import Ending
from storage import grants, preapprovals, requests

ACTION = "revoke"


def check_revoke(world: Context, request_id: str, by: Person) -> Refused | None:
    """Returns None if the form may open; the check is repeated on submission. Raises
    StorageUnavailable."""
    with unit(world) as u:
        request = requests.get(u.db, request_id)
        refused = _refusal(u, request, by)
        return u.refuse(refused, by.id, ACTION, request) if refused else None


def revoke_given(world: Context, request_id: str, by: Person, reason: str) -> Ending | Refused:
    """Ends the access that this request got without a decision of a person. `by` must have been
    looked up within the last minute. Raises StorageUnavailable."""
    with unit(world) as u:
        request = requests.get(u.db, request_id)
        refused = _refusal(u, request, by) or check_reason(reason)
        if refused is not None or request is None:
            refused = refused or _GONE
            return u.refuse(refused, by.id, ACTION, request, reason=reason)
        return _end(u, request, by, reason)


def _end(u: UnitOfWork, request: Request, by: Person, reason: str) -> Ending | Refused:
    grant = grants.of_request(u.db, request.id)
    held = grants.lock_held(u.db, [grant.id] if grant else [])
    if not held:
        return u.refuse(_GONE, by.id, ACTION, request, reason=reason)
    request_end(u, held, EndReason.REVOKED, by.id, reason, words=reason)
    return Ending(tuple(held))


_GONE = Refused("There is nothing to revoke: this access has ended already.")


def _refusal(u: Snapshot, request: Request | None, by: Person) -> Refused | None:
    """Refuses a person who may not revoke the access of a request. A lead may, too."""
    if request is None:
        return Refused("This request does not exist.")
    if by.id == request.requester:
        return Refused("This is your own access. I'm done gives it back.")
    if (unfit := by.ineligible_reason()) is not None:
        return Refused(f"You can't revoke access: {unfit}.")
    by_rule = (request.decided_by or "").startswith(RULE)
    if not by_rule and not preapprovals.used_for(u.db, request.id):
        return Refused(f"People decided on this. A lead can end it with {slash()} revoke.")
    role = u.policy.roles.get(request.role)
    able = deciders(role, request.requester, u.authority(request)) if role else frozenset()
    if by.id not in able and seen_as_lead(u, by.id) is not None:
        return Refused(f"Only the approvers of {request.role} and leads can revoke it here.")
    if not is_recent(by.checked_at, u.now, PERSON_LASTS):
        return Refused(
            "Slack did not confirm in the last minute who you are. Try again in a few seconds."
        )
    return None
