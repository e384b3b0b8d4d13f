"""A lead, or an operator on the command line, ends somebody's access now."""

from bot.core.approval import Refused
from bot.core.model import HELD, EndReason, Grant
from bot.operations._end import ask_end
from bot.operations._leads import leads_only
from bot.operations._unit import Unit, World, unit
from bot.operations.release_grant import Ending
from storage import grants


def revoke_grant(
    world: World, by: str, *, grant: str | None = None, person: str | None = None, role: str | None = None
) -> Ending | Refused:
    """Ends one grant by its id, or everything `person` holds (of `role`, if given).

    `by` is a lead's Slack id or `os:USER`; anybody else is refused. Raises StorageUnavailable.
    """
    with unit(world) as u:
        if (refused := leads_only(u, by)) is not None:
            return u.refuse(refused, by, "revoke")
        found = [g for g in _found(u, grant, person, role) if g.state in HELD]
        if not found:
            return u.refuse(Refused("There is nothing to end: no such access is held right now."), by, "revoke")
        ask_end(u, found, EndReason.REVOKED, by)
        return Ending(tuple(found))


def _found(u: Unit, grant: str | None, person: str | None, role: str | None) -> list[Grant]:
    if grant is not None:
        locked = grants.locked(u.db, grant)
        return [locked] if locked else []
    if person is None:
        return []
    candidates = (grants.locked(u.db, held.id) for held in grants.held_by(u.db, person, role))
    return [found for found in candidates if found is not None]
