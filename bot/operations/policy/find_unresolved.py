"""Finds references of roles.toml that Slack has not been asked about yet."""

from collections.abc import Iterable

from bot.core.authority import decider_references
from bot.core.errors import Outdated
from bot.core.model import Grant
from bot.core.roles import Policy, Role, references, rule_references
from bot.core.values import classify
from bot.operations._approved_ahead import approved_ahead
from bot.operations._unit_of_work import Context, Snapshot, reading
from storage import grants, requests


def needed_for(policy: Policy, role: Role) -> tuple[str, ...]:
    """Returns every reference that decides who may request, approve or be notified for this role,
    and those of its rules and of the duties that they name."""
    duties = [policy.on_call[rule.on_call].group for rule in role.auto_approve if rule.on_call]
    deciding = (*decider_references(role), *role.notify, *rule_references(role), *duties)
    refs = (*role.requesters, *deciding)
    return tuple(dict.fromkeys(ref for ref in refs if ref))


def needed_to_start(role: Role) -> tuple[str, ...]:
    """Returns the references that decide whether an approved grant of this role may start."""
    return (*role.requesters, *(ref for rule in role.deny for ref in rule.members))


def needed_by_grant(u: Snapshot, role: Role, grant: Grant) -> tuple[str, ...]:
    """Returns the references that decide whether this grant may start, with those of the rule or
    pre-approvals that approved it in advance."""
    ahead = approved_ahead(u, grant, requests.get(u.db, grant.request))
    return (*needed_to_start(role), *(ahead.references(u, role) if ahead else ()))


def unresolved_of_role(world: Context, name: str) -> tuple[str, ...]:
    """Returns the unresolved references that a request for this role needs. Raises
    StorageUnavailable."""
    role = world.policy().roles.get(name)
    return unresolved(world, needed_for(world.policy(), role)) if role else ()


def unresolved_of_start(world: Context, grant_id: str) -> tuple[str, ...]:
    """Returns the unresolved references that decide whether this grant may start. Raises
    StorageUnavailable."""
    with reading(world) as u:
        grant = grants.get(u.db, grant_id)
        role = u.role_of(grant) if grant else None
        if grant is None or role is None:
            return ()
        return u.directory.unresolved(needed_by_grant(u, role, grant))


def unresolved_leads(world: Context) -> tuple[str, ...]:
    """Returns the unresolved references among the leads. Raises StorageUnavailable."""
    return unresolved(world, world.policy().workspace.leads)


def unresolved_at_all(world: Context) -> tuple[str, ...]:
    """Returns the references of the whole roles.toml that Slack was never asked about. Raises
    StorageUnavailable."""
    with world.db.reading():
        return world.directory(however_old=True).unresolved(references(world.policy()))


def needed_for_decision(world: Context, request_id: str) -> tuple[tuple[str, ...], bool]:
    """Returns the references that a decision on this request needs, and whether user groups are
    among those that decide it. Raises Outdated where another process has to decide, and
    StorageUnavailable."""
    with reading(world) as u:
        if u.outdated:
            raise Outdated
        request = requests.get(u.db, request_id)
        role = u.role_of(request) if request else None
    if role is None:
        return (), False
    deciding = (*needed_to_start(role), *decider_references(role))
    groups = any(classify(ref) in ("group", "handle") for ref in deciding)
    return needed_for(world.policy(), role), groups


def unresolved(world: Context, refs: Iterable[str]) -> tuple[str, ...]:
    """Returns those of `refs` that Slack has not been asked about. Raises StorageUnavailable."""
    with world.db.reading():
        return world.directory().unresolved(refs)
