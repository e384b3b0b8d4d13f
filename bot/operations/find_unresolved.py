"""For whom references of roles.toml stand that Slack has not been asked about yet."""

from collections.abc import Iterable

from bot.core.policy import Role, classify, references
from bot.operations._unit import World
from storage import grants, requests


def needed_for(role: Role) -> tuple[str, ...]:
    """Every reference by which a request for this role is judged, decided or made known."""
    return (*role.requesters, *role.approvers, *role.notify)


def unresolved_of_role(world: World, name: str) -> tuple[str, ...]:
    """Those that a request for this role needs. Raises StorageUnavailable."""
    role = world.policy().roles.get(name)
    return unresolved(world, needed_for(role)) if role else ()


def unresolved_of_start(world: World, grant_id: str) -> tuple[str, ...]:
    """Those by which it is judged whether this grant may begin. Raises StorageUnavailable."""
    with world.db.reading():
        grant = grants.get(world.db, grant_id)
    role = world.policy().roles.get(grant.role) if grant else None
    return unresolved(world, role.requesters) if role else ()


def unresolved_leads(world: World) -> tuple[str, ...]:
    """Raises StorageUnavailable."""
    return unresolved(world, world.policy().workspace.leads)


def unresolved_at_all(world: World) -> tuple[str, ...]:
    """Those of all roles.toml that Slack has never been asked about. Raises StorageUnavailable."""
    with world.db.reading():
        return world.directory(however_old=True).unresolved(references(world.policy()))


def needed_for_decision(world: World, request_id: str) -> tuple[tuple[str, ...], bool]:
    """The references that a decision on this request needs, and whether user groups are among those that judge it.
    Raises StorageUnavailable."""
    with world.db.reading():
        request = requests.get(world.db, request_id)
    role = world.policy().roles.get(request.role) if request else None
    if role is None:
        return (), False
    groups = any(classify(ref) in ("group", "handle") for ref in (*role.requesters, *role.approvers))
    return needed_for(role), groups


def unresolved(world: World, refs: Iterable[str]) -> tuple[str, ...]:
    """Those of `refs` that Slack has not been asked about. Raises StorageUnavailable."""
    with world.db.reading():
        return world.directory().unresolved(refs)
