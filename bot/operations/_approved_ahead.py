"""Finds the rule or pre-approvals behind access that starts later, so that the start can be judged
again."""

from dataclasses import dataclass

from bot.core.authority import decider_references
from bot.core.model import RULE, Grant, Request
from bot.core.roles import Role
from bot.operations._unit_of_work import Snapshot
from storage import preapprovals, ramps


@dataclass(frozen=True, slots=True)
class ApprovedAhead:
    """A request for a later start that nobody decided: the rule of this name did, or where it is ""
    pre-approvals did."""

    request: Request
    rule: str

    def references(self, u: Snapshot, role: Role) -> tuple[str, ...]:
        """The references that decide whether it would still be approved."""
        if not self.rule:
            return (*decider_references(role), *u.policy.workspace.leads)
        rule = role.auto_approval(self.rule)
        if rule is None:
            return ()
        duty = u.policy.on_call[rule.on_call].group if rule.on_call else ""
        return (*rule.members, *filter(None, [duty]))


def approved_ahead(u: Snapshot, grant: Grant, request: Request | None) -> ApprovedAhead | None:
    """The rule or pre-approvals that approved this grant of `request` for a later start; None where
    people decided, where it started at once, and for a stage of an onboarding, whose plan a lead
    approved."""
    if request is None or request.decided_at is None or grant.starts_at <= request.decided_at:
        return None
    by = request.decided_by or ""
    if by.startswith(RULE):
        if ramps.gave(u.db, grant.id):
            return None
        return ApprovedAhead(request, by.removeprefix(RULE))
    return ApprovedAhead(request, "") if preapprovals.used_for(u.db, request.id) else None
