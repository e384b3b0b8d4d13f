"""Repeats the checks of an approval before access starts, because the rules may have changed
since."""

from dataclasses import replace

from bot.core import effects
from bot.core.approval import Refused, may_start
from bot.core.authority import OPERATOR
from bot.core.criteria import Asked, preapproval_at_start, rule_at_start
from bot.core.model import EndReason, Grant, GrantState, Person, Request
from bot.core.roles import Role
from bot.operations._approved_ahead import approved_ahead
from bot.operations._criteria import denied, gather
from bot.operations._end_grant import channel_of, request_end
from bot.operations._open_emergency import has_open_emergency
from bot.operations._preapprovals import deciding
from bot.operations._unit_of_work import SYSTEM, UnitOfWork
from bot.operations.policy.find_unresolved import needed_by_grant
from storage import emergencies, grants, requests


def judge_start(u: UnitOfWork, grant: Grant, holder: Person) -> Refused | None:
    """Returns why this grant of `holder` must not start now, or not on another system. Without a
    readable roles.toml it checks only the panic switches, and the start handler calls no system."""
    if (paused := u.paused(grant.role, grant.person)) is not None:
        return paused
    request = requests.get(u.db, grant.request)
    if not u.policy.digest or request is None:
        return None
    role, directory = u.role_of(grant), u.directory
    if grant.urgency and _by_operator(u, grant):
        directory = u.world.directory(however_old=True)
    refused = may_start(role, request, grant, holder, directory)
    if refused is not None or role is None:
        return refused
    return denied(
        u, role, holder, max(u.now, grant.starts_at), directory=directory
    ) or _no_longer_approved(u, role, grant, request, holder)


def _no_longer_approved(
    u: UnitOfWork, role: Role, grant: Grant, request: Request, holder: Person
) -> Refused | None:
    """Refuses access that a rule or pre-approvals approved for a later start, and would not approve
    now."""
    if (ahead := approved_ahead(u, grant, request)) is None:
        return None
    has_come = grant.state is not GrantState.SCHEDULED
    asked = Asked(holder, grant.duration, request.ticket, request.fingerprint)
    facts = replace(
        gather(u, role, holder.id, request.ticket), has_emergency=has_open_emergency(u, holder.id)
    )
    if ahead.rule:
        return rule_at_start(role, ahead.rule, asked, facts, has_come)
    if not deciding(u, role, request):
        return Refused("The pre-approval that approved it no longer holds. Ask again.")
    return preapproval_at_start(role, asked, facts) if has_come else None


def _by_operator(u: UnitOfWork, grant: Grant) -> bool:
    """Whether an operator declared this emergency, perhaps because Slack is down: then the members
    as they were known last are good enough."""
    review = emergencies.of_grant(u.db, grant.id)
    return review is not None and review.declared_by.startswith(OPERATOR)


def refuse_start(u: UnitOfWork, grant: Grant, refused: Refused) -> None:
    """Ends a grant that the caller has locked and found scheduled or starting, and reports why."""
    if refused.rule:
        u.refuse(refused, SYSTEM, "start", grant)
    request_end(u, [grant], EndReason.REVOKED, SYSTEM, because=refused.reason)
    u.do(effects.notify_person(grant.person, "not_started", grant=grant.id, why=refused.reason))
    u.do(effects.thread_note(grant, channel_of(u, grant.role), "not_started", why=refused.reason))


def judge_scheduled(u: UnitOfWork) -> None:
    """Ends every scheduled grant that would no longer be approved. If Slack has not been asked
    about the requester, the grant is checked when it starts. A process with an outdated roles.toml
    checks none."""
    if u.outdated:
        return
    for grant in grants.lock_held(u.db, grants.scheduled(u.db)):
        role = u.role_of(grant)
        if role is not None and u.directory.unresolved(needed_by_grant(u, role, grant)):
            continue
        if (refused := judge_start(u, grant, u.person(grant.person))) is not None:
            refuse_start(u, grant, refused)
