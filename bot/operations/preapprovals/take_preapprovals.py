"""Takes pre-approvals back, for the approvers of their role and leads."""

from bot.core.approval import Refused
from bot.core.model import Person
from bot.core.names import slash
from bot.core.preapproval import PreApproval
from bot.operations._preapprovals import entitled, take_back
from bot.operations._unit_of_work import Context, Snapshot, unit
from storage import preapprovals

ACTION = "take a pre-approval back"


def take_preapprovals(
    world: Context, by: Person, person: str, role: str
) -> tuple[PreApproval, ...] | Refused:
    """Ends everything that was approved in advance for this person and role. Raises
    StorageUnavailable."""
    with unit(world) as u:
        found = preapprovals.of(u.db, person, role, u.now)
        refused = _refusal(u, by, found)
        if refused is not None:
            return u.refuse(refused, by.id, ACTION, role=role[:80])
        return tuple(each for each in found if take_back(u, each, by.id, "taken back"))


def take_preapproval(world: Context, by: Person, id: str) -> tuple[PreApproval, ...] | Refused:
    """Ends one pre-approval. Raises StorageUnavailable."""
    with unit(world) as u:
        given = preapprovals.get(u.db, id, u.now)
        found = [given] if given else []
        if (refused := _refusal(u, by, found)) is not None:
            return u.refuse(refused, by.id, ACTION, role=given.role if given else "")
        return tuple(each for each in found if take_back(u, each, by.id, "taken back"))


def _refusal(u: Snapshot, by: Person, found: list[PreApproval]) -> Refused | None:
    """Refuses a person who may not take these back. The giver and the person who has one always
    may."""
    if (unfit := by.ineligible_reason()) is not None:
        return Refused(f"You can't do this: {unfit}.")
    if not found:
        return Refused(f"There is no such pre-approval. {slash()} allow list shows them all.")
    for each in found:
        role = u.policy.roles.get(each.role)
        leads = u.directory.resolve(u.policy.workspace.leads)
        may = entitled(u, role, each.person) if role else leads
        if by.id not in may | {each.giver, each.person}:
            return Refused(f"Only the approvers of {each.role} and leads can take it back.")
    return None
