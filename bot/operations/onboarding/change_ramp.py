"""Changes a ramp for a lead: pauses or resumes it, changes its mentor, or ends it early."""

from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.lifecycle import Move
from bot.core.model import RampState
from bot.core.onboarding import Ramp, StageState, may_lead, may_mentor
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from bot.operations.onboarding.end_ramp import end_ramp
from bot.operations.onboarding.shared import is_open, notify, ramp_record, refresh_ramp
from storage import ramps


def pause(world: Context, by: str, ramp_id: str) -> Ramp | Refused:
    """Stops a running ramp: no stage opens, and nothing may be requested through it. Raises
    StorageUnavailable."""
    with unit(world) as u:
        ramp = _found(u, by, ramp_id, "pause_onboarding")
        if isinstance(ramp, Refused):
            return ramp
        if not ramps.move(u.db, ramp.id, Move.PAUSE, paused_at=u.now):
            return _not_now(u, by, ramp, "pause_onboarding")
        ramp_record(u, Event.RAMP_PAUSED, by, ramp)
        notify(u, [ramp.newcomer], ramp, "paused")
        return _changed(u, ramp)


def resume(world: Context, by: str, ramp_id: str) -> Ramp | Refused:
    """Continues a paused ramp: its stages come later by as long as it was paused; its end stays.
    Raises StorageUnavailable."""
    with unit(world) as u:
        ramp = _found(u, by, ramp_id, "resume_onboarding")
        if isinstance(ramp, Refused):
            return ramp
        lost = u.now - (ramp.paused_at or u.now)
        columns = {"paused_at": None, "shift": ramp.shift + lost}
        if not ramps.move(u.db, ramp.id, Move.RESUME, **columns):
            return _not_now(u, by, ramp, "resume_onboarding")
        ramp_record(u, Event.RAMP_RESUMED, by, ramp, paused_for=lost)
        notify(u, [ramp.newcomer], ramp, "resumed")
        return _changed(u, ramp)


def change_mentor(world: Context, by: str, ramp_id: str, mentor: str) -> Ramp | Refused:
    """Changes the mentor of a ramp. `mentor` must have been looked up before. Raises
    StorageUnavailable."""
    with unit(world) as u:
        ramp = _found(u, by, ramp_id, "change_mentor")
        if isinstance(ramp, Refused):
            return ramp
        if (refused := may_mentor(ramp.newcomer, u.person(mentor))) is not None:
            return u.refuse(refused, by, "change_mentor")
        if not ramps.set_mentor(u.db, ramp.id, mentor, ramp.mentor):
            words = "This person is the mentor already."
            return u.refuse(Refused(words, "mentor"), by, "change_mentor")
        changed = _changed(u, ramp)
        ramp_record(u, Event.MENTOR_CHANGED, by, changed, before=ramp.mentor)
        if ramp.state is not RampState.PLANNED:
            notify(u, [mentor], ramp, "mentor")
            notify(u, [ramp.newcomer], ramp, "new_mentor")
            ready = [stage for stage in ramp.stages if stage.state is StageState.READY]
            for stage in ready:
                notify(u, [mentor], ramp, "ready", stage.number)
        return changed


def end(world: Context, by: str, ramp_id: str) -> Ramp | Refused:
    """Ends a ramp early, with all access that it gave. Raises StorageUnavailable."""
    with unit(world) as u:
        ramp = _found(u, by, ramp_id, "end_onboarding")
        if isinstance(ramp, Refused):
            return ramp
        end_ramp(u, ramp, Move.END, by, "a lead ended it")
        return ramps.get(u.db, ramp.id) or ramp


def _found(u: UnitOfWork, by: str, ramp_id: str, action: str) -> Ramp | Refused:
    """The open ramp, locked, for a lead who may change it."""
    if (refused := leads_only(u, by)) is not None:
        return u.refuse(refused, by, action)
    ramp = ramps.locked(u.db, ramp_id)
    if ramp is None:
        return u.refuse(Refused("There is no such onboarding."), by, action)
    if (refused := may_lead(ramp, by)) is not None:
        return u.refuse(refused, by, action)
    return ramp if is_open(ramp) else _not_now(u, by, ramp, action)


def _not_now(u: UnitOfWork, by: str, ramp: Ramp, action: str) -> Refused:
    return u.refuse(Refused(f"This onboarding is {ramp.state} already."), by, action)


def _changed(u: UnitOfWork, ramp: Ramp) -> Ramp:
    now = ramps.get(u.db, ramp.id) or ramp
    refresh_ramp(u, now)
    return now
