"""Finds the pre-approvals of a person that hold now, and notifies people when one ends."""

from bot.core import effects
from bot.core.audit import Event
from bot.core.authority import deciders
from bot.core.model import Request
from bot.core.preapproval import PreApproval, enough, lost
from bot.core.roles import Role
from bot.operations._unit_of_work import HOME_LASTS, SYSTEM, Snapshot, UnitOfWork
from storage import preapprovals, private_answers


def entitled(u: Snapshot, role: Role, person: str) -> frozenset[str]:
    """Everybody who may approve requests of this person in advance: their deciders, and leads. A
    delegate may not, because a pre-approval would outlast the absence."""
    leads = u.directory.resolve(u.policy.workspace.leads)
    own = u.authority(directory=u.directory.without_delegates())
    return deciders(role, person, own) | (leads - {person})


def holding(u: Snapshot, role: Role, person: str) -> tuple[PreApproval, ...]:
    """The pre-approvals of this person for this role that hold now."""
    found = preapprovals.of(u.db, person, role.name, u.now)
    if not found:
        return ()
    may = entitled(u, role, person)
    return tuple(each for each in found if lost(role, each, may, u.person(each.giver)) is None)


def deciding(u: Snapshot, role: Role, request: Request) -> tuple[PreApproval, ...]:
    """The pre-approvals that decide this request without anybody; none where people are needed.
    Access that starts at the date of one, or later, is not covered by it."""
    leads = u.directory.resolve(u.policy.workspace.leads)
    starts_at = request.start_at or u.now
    found = [each for each in holding(u, role, request.requester) if each.until > starts_at]
    return enough(role, found, request.duration, leads, u.directory) if found else ()


def take_back(u: UnitOfWork, given: PreApproval, by: str, why: str) -> bool:
    """Ends a pre-approval; returns False if it was ended before. Its giver and its receiver are
    notified unless they did it."""
    if not preapprovals.take(u.db, given.id, u.now, by):
        return False
    u.note(
        Event.PREAPPROVAL_TAKEN,
        by,
        subject=given.person,
        role=given.role,
        preapproval=given.id,
        giver=given.giver,
        why=why,
    )
    for person in {given.giver, given.person} - {by}:
        facts = {"role": given.role, "giver": given.giver, "receiver": given.person, "why": why}
        u.do(effects.answer(person, "", "preapproval_taken", **facts))
    show_again(u, given)
    return True


def end_lost(u: UnitOfWork) -> None:
    """Ends every pre-approval whose giver may no longer decide, or whose role has changed. While a
    group is unknown, it stays and gives nothing."""
    if u.outdated or not u.policy.digest:
        return
    for each in preapprovals.every(u.db, u.now):
        role = u.policy.roles.get(each.role)
        refs = (*(role.approvers if role else ()), *u.policy.workspace.leads)
        giver = u.person(each.giver)
        if giver.ineligible_reason() is None and u.directory.unresolved(refs):
            continue
        may = entitled(u, role, each.person) if role else frozenset[str]()
        if (why := lost(role, each, may, giver)) is not None:
            take_back(u, each, SYSTEM, why)


def end_of(u: UnitOfWork, person: str, why: str) -> None:
    """Ends the pre-approvals that a person gave and has, because their account no longer counts."""
    for each in preapprovals.shown_to(u.db, person, u.now):
        take_back(u, each, SYSTEM, why)


def show_again(u: UnitOfWork, given: PreApproval) -> None:
    """Updates App Home of both, where it is open."""
    looking = private_answers.open_homes(u.db, u.now - HOME_LASTS)
    both = (given.giver, given.person)
    u.do(*(effects.publish_home(one, last=True) for one in both if one in looking))
