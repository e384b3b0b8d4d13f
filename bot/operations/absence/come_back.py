"""Ends the absence of an approver before its date."""

from dataclasses import dataclass

from bot.core.approval import Refused
from bot.operations._absence import end_delegation
from bot.operations._unit_of_work import Context, unit
from storage import delegations


@dataclass(frozen=True, slots=True)
class Back:
    """`name` is that of the delegate, who no longer decides."""

    name: str


def come_back(world: Context, giver: str) -> Back | Refused:
    """The delegate of `giver` no longer decides. Raises StorageUnavailable."""
    with unit(world) as u:
        own = [each for each in delegations.of(u.db, giver) if each.giver == giver]
        if not own or not end_delegation(u, own[0], giver, "the approver is back"):
            return u.refuse(
                Refused("You are not away: nobody decides in your place."), giver, "back"
            )
        return Back(u.person(own[0].delegate).name)
