"""Closes the requests and ends the access of a person whose account was deactivated or is no longer
a full member."""

from bot.core.model import EndReason
from bot.operations._end import ask_end, withdraw
from bot.operations._unit import SYSTEM, Unit, World, unit
from storage import grants, requests


def offboard_person(world: World, person: str) -> int:
    """Ends everything of a person whose account no longer counts; returns the number of grants
    ended.

    Does nothing for a full member. Raises StorageUnavailable.
    """
    with unit(world) as u:
        return take_everything(u, person)


def take_everything(u: Unit, person: str) -> int:
    """Ends everything of the person within the current transaction."""
    unfit = u.person(person).unfit()
    if unfit is None:
        return 0
    for request in requests.pending_of(u.db, person):
        withdraw(u, request, SYSTEM, unfit)
    found = grants.lock_held(u.db, [grant.id for grant in grants.held_by(u.db, person)])
    ask_end(u, found, EndReason.OFFBOARDED, SYSTEM, unfit)
    return len(found)
