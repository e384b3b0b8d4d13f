"""Describes the pre-approvals that a person gave or has."""

from dataclasses import dataclass

from bot.core.preapproval import PreApproval
from bot.core.roles import Role
from bot.operations._leads_only import seen_as_lead
from bot.operations._preapprovals import holding
from bot.operations._unit_of_work import Context, Snapshot, reading
from storage import preapprovals


@dataclass(frozen=True, slots=True)
class PreApprovalView:
    """`holds` is False while it is unknown whether its giver may still decide. `names` has the
    names of both people."""

    given: PreApproval
    role: Role | None
    holds: bool
    names: dict[str, str]


def describe_preapprovals(u: Snapshot, person: str) -> tuple[PreApprovalView, ...]:
    return tuple(_view(u, each) for each in preapprovals.shown_to(u.db, person, u.now))


def list_preapprovals(world: Context, person: str) -> tuple[PreApprovalView, ...]:
    """The pre-approvals that this person gave and has; for a lead, all there are. Raises
    StorageUnavailable."""
    with reading(world) as u:
        if seen_as_lead(u, person) is None:
            return tuple(_view(u, each) for each in preapprovals.every(u.db, u.now))
        return describe_preapprovals(u, person)


def get_preapproval(world: Context, id: str) -> PreApprovalView | None:
    """Returns one that holds. Raises StorageUnavailable."""
    with reading(world) as u:
        given = preapprovals.get(u.db, id, u.now)
        return _view(u, given) if given else None


def _view(u: Snapshot, given: PreApproval) -> PreApprovalView:
    role = u.policy.roles.get(given.role)
    holds = role is not None and given in holding(u, role, given.person)
    names = {each: u.person(each).name for each in (given.giver, given.person)}
    return PreApprovalView(given, role, holds, names)
