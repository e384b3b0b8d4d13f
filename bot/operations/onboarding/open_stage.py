"""Opens a stage when the mentor presses."""

from bot.core.approval import Refused
from bot.core.model import is_recent
from bot.core.onboarding import Ramp, may_open
from bot.operations._leads_only import PERSON_LASTS
from bot.operations._unit_of_work import OUTDATED, Context, UnitOfWork, unit
from bot.operations.onboarding.give_stage import Opened, give_stage, not_yet
from bot.operations.onboarding.shared import acting_mentors, lead_of, notify
from storage import ramps


def open_stage(world: Context, by: str, ramp_id: str, number: int) -> Opened | Refused | None:
    """Opens a stage for its mentor, who must have been looked up for this press; None if it is open
    already. Raises StorageUnavailable."""
    with unit(world) as u:
        ramp = ramps.locked(u.db, ramp_id)
        if ramp is None:
            return u.refuse(Refused("There is no such onboarding."), by, "open_stage")
        if (refused := _refusal(u, ramp, number, by)) is not None:
            return u.refuse(refused, by, "open_stage", reason=f"{ramp.bundle}, stage {number}")
        return open_and_notify(u, ramp, number, by)


def _refusal(u: UnitOfWork, ramp: Ramp, number: int, by: str) -> Refused | None:
    if u.outdated:
        return OUTDATED
    refused = may_open(ramp, number, by, acting_mentors(u, ramp), u.now)
    if refused is not None:
        return refused
    if not is_recent(u.person(by).checked_at, u.now, PERSON_LASTS):
        return Refused("Slack did not confirm who you are in the last minute. Press again.")
    stage = next(each for each in ramp.stages if each.number == number)
    return not_yet(u, ramp, stage)


def open_and_notify(u: UnitOfWork, ramp: Ramp, number: int, by: str) -> Opened | None:
    """Opens a stage, notifies the newcomer, and notifies the lead about roles that were left
    out."""
    stage = next(each for each in ramp.stages if each.number == number)
    opened = give_stage(u, ramp, stage, by)
    if opened is not None:
        notify(u, [ramp.newcomer], ramp, "stage", number)
        if opened.left_out:
            notify(u, lead_of(u, ramp), ramp, "left_out", number)
    return opened
