"""Notifies people when a delegation ends, and updates the messages that show who is asked."""

from bot.core import effects
from bot.core.audit import Event
from bot.core.authority import decider_references
from bot.core.model import Delegation
from bot.operations._unit_of_work import HOME_LASTS, SYSTEM, UnitOfWork
from bot.operations.onboarding.shared import refresh_ramp
from storage import delegations, people, private_answers, ramps, requests


def end_delegation(u: UnitOfWork, over: Delegation, by: str, why: str) -> bool:
    """Takes the decisions back from the delegate; False if that was done already."""
    if not delegations.remove(u.db, over):
        return False
    u.note(Event.DELEGATION_TAKEN, by, subject=over.delegate, giver=over.giver, why=why)
    update_shown(u, over)
    named = {"giver": u.person(over.giver).name, "delegate": u.person(over.delegate).name}
    u.do(effects.answer(over.delegate, "", "delegation_over", **named))
    if by == SYSTEM:
        u.do(effects.answer(over.giver, "", "back", **named))
    return True


def end_delegations_of(u: UnitOfWork, person: str, why: str) -> None:
    """Ends the delegations that this person gave and has, because their account no longer
    counts."""
    for each in delegations.of(u.db, person):
        end_delegation(u, each, SYSTEM, why)


def update_shown(u: UnitOfWork, changed: Delegation) -> None:
    """Updates the requests and onboardings that wait for the giver, and App Home of both."""
    people.changed(u.db)
    for request in requests.pending(u.db):
        role = u.policy.roles.get(request.role)
        if role and changed.giver in u.directory.resolve(decider_references(role)):
            u.do(effects.update_approval(request.id, role.channel))
    for ramp in ramps.mentored_by(u.db, changed.giver):
        refresh_ramp(u, ramp)
    looking = private_answers.open_homes(u.db, u.now - HOME_LASTS)
    both = (changed.giver, changed.delegate)
    u.do(*(effects.publish_home(one, last=True) for one in both if one in looking))
