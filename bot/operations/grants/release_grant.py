"""Ends a grant early for its holder."""

from dataclasses import dataclass

from bot.core.approval import Refused
from bot.core.model import HELD, EndReason, Grant
from bot.operations._end_grant import request_end
from bot.operations._unit_of_work import Context, unit
from storage import grants


@dataclass(frozen=True, slots=True)
class Ending:
    """The end is requested and holds at every gate from now on; the systems' confirmation
    follows."""

    grants: tuple[Grant, ...]


def release_grant(world: Context, grant_id: str, person: str) -> Ending | Refused:
    """Ends this person's own grant. Raises StorageUnavailable."""
    with unit(world) as u:
        grant = grants.locked(u.db, grant_id)
        if grant is None or grant.person != person:
            return u.refuse(Refused("Only the holder can give access back."), person, "done", grant)
        if grant.state not in HELD:
            return u.refuse(
                Refused(f"This access is {grant.state} already."), person, "done", grant
            )
        request_end(u, [grant], EndReason.RELEASED, person)
        return Ending((grant,))
