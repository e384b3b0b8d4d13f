"""Closes the requests and ends the access of a person whose account was deactivated or is no longer
a full member."""

from bot.core.model import EndReason
from bot.operations._absence import end_delegations_of
from bot.operations._api_tokens import end_tokens_of
from bot.operations._end_grant import request_end, withdraw
from bot.operations._preapprovals import end_of
from bot.operations._unit_of_work import SYSTEM, UnitOfWork
from bot.operations.onboarding.end_ramp import leave_ramps
from storage import grants, requests


def revoke_all_of(u: UnitOfWork, person: str) -> None:
    """Ends everything of a person whose account no longer counts; does nothing for a full
    member."""
    unfit = u.person(person).ineligible_reason()
    if unfit is None:
        return
    for request in requests.pending_of(u.db, person):
        withdraw(u, request, SYSTEM, unfit)
    end_delegations_of(u, person, unfit)
    found = grants.lock_held(u.db, [grant.id for grant in grants.held_by(u.db, person)])
    request_end(u, found, EndReason.OFFBOARDED, SYSTEM, unfit)
    end_of(u, person, unfit)
    end_tokens_of(u, person, SYSTEM, unfit)
    leave_ramps(u, person, unfit)
