"""Hands the decisions of an approver to a delegate until a date."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core import effects
from bot.core.absence import delegate_is_here, may_go_away, roles_decided_by
from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.model import Delegation, Person, RampState
from bot.core.onboarding import Ramp, StageState, mentors_of
from bot.core.roles import references
from bot.operations._absence import end_delegation, update_shown
from bot.operations._too_often import too_often
from bot.operations._unit_of_work import OUTDATED, Context, UnitOfWork, unit
from bot.operations.onboarding.shared import notify
from storage import delegations, ramps


@dataclass(frozen=True, slots=True)
class Away:
    """`name` is that of the delegate, `also` the names of those for whom the giver was to decide,
    `newcomers` of those whose mentor the giver is."""

    delegation: Delegation
    name: str
    also: tuple[str, ...] = ()
    newcomers: tuple[str, ...] = ()


def go_away(world: Context, giver: str, delegate: Person, until: int) -> Away | Refused:
    """From now until `until` (UTC seconds) the delegate decides in the place of `giver`, too. It
    replaces an earlier delegation. Raises StorageUnavailable."""
    with unit(world) as u:
        given = Delegation(giver, delegate.id, u.now, until)
        if (refused := _refusal(u, given, delegate)) is not None:
            return u.refuse(refused, giver, "away")
        known = [each for each in delegations.of(u.db, giver) if each.ends_at > u.now]
        for each in (each for each in known if each.giver == giver):
            if each.delegate != delegate.id:
                end_delegation(u, each, giver, "another delegate was named")
        mentored = ramps.mentored_by(u.db, giver)
        if _give(u, given, delegate):
            _hand_stages_over(u, giver, mentored)
        also = tuple(u.person(each.giver).name for each in known if each.delegate == giver)
        newcomers = tuple(u.person(ramp.newcomer).name for ramp in mentored if ramp.newcomer)
        return Away(given, delegate.name, also, newcomers)


def _refusal(u: UnitOfWork, given: Delegation, delegate: Person) -> Refused | None:
    if u.outdated:
        return OUTDATED
    if limited := too_often(u, given.giver, Event.DELEGATION_GIVEN, "named a delegate {} times"):
        return limited
    refused = may_go_away(given, u.person(given.giver), delegate) or delegate_is_here(
        given, u.directory
    )
    if refused is not None or roles_decided_by(u.policy, given.giver, u.directory):
        return refused
    if ramps.mentored_by(u.db, given.giver):
        return None
    if u.directory.unresolved(references(u.policy)):
        return Refused("Slack has not said yet who the approvers are. Try again in a minute.")
    return Refused(
        "You approve no role and are nobody's mentor, so there are no decisions to hand over."
    )


def _give(u: UnitOfWork, given: Delegation, delegate: Person) -> bool:
    """Stores the delegation; returns False if it is stored already."""
    if not delegations.put(u.db, given):
        return False
    u.note(Event.DELEGATION_GIVEN, given.giver, subject=delegate.id, ends_at=given.ends_at)
    update_shown(u, given)
    u.expect(given.ends_at)
    facts = {"giver": u.person(given.giver).name, "ends_at": given.ends_at}
    u.do(effects.answer(delegate.id, "", "delegation_given", **facts))
    return True


def _hand_stages_over(u: UnitOfWork, mentor: str, mentored: Sequence[Ramp]) -> None:
    """Notifies those who act as the mentor from now on of the stages that wait for a press."""
    for ramp in mentored:
        acting = mentors_of(ramp, u.absent | {mentor}, u.leads)
        for stage in ramp.stages:
            if ramp.state is RampState.RUNNING and stage.state is StageState.READY:
                notify(u, acting, ramp, "ready", stage.number)
