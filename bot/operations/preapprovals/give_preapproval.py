"""Approves requests of one person for one role in advance, up to a duration and until a date."""

from dataclasses import dataclass

from bot.core import effects
from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.eligibility import find_role
from bot.core.model import Person, is_recent
from bot.core.preapproval import PreApproval, Terms, may_give
from bot.core.roles import Role
from bot.operations._criteria import denied
from bot.operations._leads_only import PERSON_LASTS
from bot.operations._preapprovals import entitled, show_again, take_back
from bot.operations._too_often import too_often
from bot.operations._unit_of_work import OUTDATED, Context, Snapshot, UnitOfWork, new_id, unit
from storage import preapprovals

ACTION = "approve in advance"


@dataclass(frozen=True, slots=True)
class Given:
    """`needed` is how many people have to approve in advance, where it is more than one."""

    given: PreApproval
    role: Role
    needed: int


def give_preapproval(
    world: Context, giver: Person, receiver: Person, role_name: str, terms: Terms
) -> Given | Refused:
    """Stores a pre-approval; an earlier one of the same people for the role is replaced. Both must
    have been looked up within the last minute. Raises StorageUnavailable."""
    with unit(world) as u:
        role = find_role(u.policy, role_name)
        if isinstance(role, Refused):
            return u.refuse(OUTDATED if u.outdated else role, giver.id, ACTION, role=role_name[:80])
        given = PreApproval(
            id=new_id("p"),
            giver=giver.id,
            person=receiver.id,
            role=role.name,
            duration=role.default_duration if terms.duration is None else terms.duration,
            until=terms.until,
            reason=terms.reason,
            fingerprint=role.fingerprint,
            given_at=u.now,
        )
        if (refused := _refusal(u, role, given, giver, receiver)) is not None:
            return u.refuse(refused, giver.id, ACTION, role=role.name, reason=terms.reason)
        return _store(u, role, given)


def _store(u: UnitOfWork, role: Role, given: PreApproval) -> Given:
    u.db.lock(f"preapproval:{given.person}:{given.role}")
    for earlier in preapprovals.of(u.db, given.person, given.role, u.now):
        if earlier.giver == given.giver:
            take_back(u, earlier, given.giver, "it was replaced by a new one")
    preapprovals.add(u.db, given)
    u.note(
        Event.PREAPPROVAL_GIVEN,
        given.giver,
        subject=given.person,
        role=given.role,
        reason=given.reason,
        preapproval=given.id,
        duration=given.duration,
        until=given.until,
        fingerprint=given.fingerprint,
    )
    u.do(effects.answer(given.person, "", "preapproval_given", preapproval=given.id))
    show_again(u, given)
    return Given(given, role, role.approvals)


def _refusal(
    u: Snapshot, role: Role, given: PreApproval, giver: Person, receiver: Person
) -> Refused | None:
    if u.outdated:
        return OUTDATED
    if limited := too_often(u, giver.id, Event.PREAPPROVAL_GIVEN, "approved in advance {} times"):
        return limited
    if given.giver == given.person or giver.ineligible_reason() is not None:
        return may_give(role, given, giver, receiver, u.directory)
    if giver.id not in entitled(u, role, receiver.id):
        names = ", ".join(u.directory.called(role.approvers))
        return Refused(
            f"Only the approvers of {role.name} ({names}) and leads can approve it in advance."
        )
    if not is_recent(giver.checked_at, u.now, PERSON_LASTS) or not is_recent(
        receiver.checked_at, u.now, PERSON_LASTS
    ):
        return Refused(
            "Slack did not confirm in the last minute who you both are. Try again in a few seconds."
        )
    return may_give(role, given, giver, receiver, u.directory) or denied(u, role, receiver)
