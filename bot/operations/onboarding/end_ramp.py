"""Ends a ramp: on its last day, by a lead, or because its newcomer or its mentor left."""

from bot.core.audit import Event
from bot.core.eligibility import may_request
from bot.core.lifecycle import Move
from bot.core.model import EndReason, RampState
from bot.core.onboarding import Ramp
from bot.operations._end_grant import request_end, withdraw
from bot.operations._unit_of_work import SYSTEM, UnitOfWork
from bot.operations.onboarding.shared import lead_of, notify, ramp_record, refresh_ramp
from storage import grants, ramps, requests


def end_ramp(u: UnitOfWork, ramp: Ramp, move: Move, by: str, because: str) -> None:
    """Ends the caller's locked ramp. An early end ends all access that the ramp gave; the lead gets
    the graduation note either way."""
    if not ramps.move(u.db, ramp.id, move, ended_at=u.now):
        return
    event = Event.RAMP_FINISHED if move is Move.FINISH else Event.RAMP_ENDED
    ramp_record(u, event, by, ramp, because=because)
    if move is Move.END:
        given = [grant for _, grant in ramps.grants_of(u.db, ramp.id)]
        held = grants.lock_held(u.db, given)
        request_end(u, held, EndReason.REVOKED, by, because="The onboarding was ended.")
    _withdraw_requests(u, ramp)
    if ramp.state is not RampState.PLANNED:
        notify(u, lead_of(u, ramp), ramp, "graduation")
        if u.person(ramp.newcomer).ineligible_reason() is None:
            notify(u, [ramp.newcomer], ramp, "over")
    refresh_ramp(u, ramp)


def _withdraw_requests(u: UnitOfWork, ramp: Ramp) -> None:
    """Withdraws requests that the newcomer could make only during the ramp."""
    newcomer = u.person(ramp.newcomer)
    for request in requests.pending_of(u.db, ramp.newcomer) if ramp.newcomer else ():
        role = u.policy.roles.get(request.role)
        if role is None or u.directory.unresolved(role.requesters):
            continue
        if may_request(role, newcomer, u.directory) is not None:
            withdraw(u, request, SYSTEM, "the onboarding is over")


def leave_ramps(u: UnitOfWork, person: str, why: str) -> None:
    """Ends the ramp of a person whose account no longer counts; of those that they mentor, the lead
    is the mentor until another is named."""
    for name in ramps.open_with(u.db, person):
        ramp = ramps.locked(u.db, name)
        if ramp is None:
            continue
        if ramp.newcomer == person:
            end_ramp(u, ramp, Move.END, SYSTEM, why)
        elif ramps.set_mentor(u.db, ramp.id, "", person):
            changed = ramps.get(u.db, ramp.id) or ramp
            ramp_record(u, Event.MENTOR_CHANGED, SYSTEM, changed, before=person, because=why)
            notify(u, lead_of(u, ramp), ramp, "mentor_left")
            refresh_ramp(u, changed)
