"""Ends a person's access now, for a lead or an operator on the command line."""

from bot.core.approval import Refused
from bot.core.model import EndReason
from bot.operations._end_grant import request_end
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from bot.operations.grants.release_grant import Ending
from storage import grants


def revoke_grant(
    world: Context,
    by: str,
    *,
    grant: str | None = None,
    person: str | None = None,
    role: str | None = None,
) -> Ending | Refused:
    """Ends one grant by its id, or everything that `person` holds (of `role`, if given).

    `by` is a lead's Slack id or `os:USER`; anybody else is refused. Raises StorageUnavailable.
    """
    with unit(world) as u:
        if (refused := leads_only(u, by)) is not None:
            return u.refuse(refused, by, "revoke")
        held = [grant] if grant is not None else _held(u, person, role)
        found = grants.lock_held(u.db, held)
        if not found:
            return u.refuse(_nothing_to_end(u, grant), by, "revoke")
        request_end(u, found, EndReason.REVOKED, by)
        return Ending(tuple(found))


def _held(u: UnitOfWork, person: str | None, role: str | None) -> list[str]:
    return [held.id for held in grants.held_by(u.db, person, role)] if person is not None else []


def _nothing_to_end(u: UnitOfWork, grant: str | None) -> Refused:
    known = grants.get(u.db, grant) if grant is not None else None
    if known is None:
        return Refused("There is nothing to end: no such access is held right now.")
    return Refused(
        f"There is nothing to end: this access to {known.role} is {known.state} already."
    )
