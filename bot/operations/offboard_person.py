"""Somebody's account was deactivated, or is no longer a full member: their requests are closed, their access ends."""

from bot.core.model import EndReason
from bot.operations._end import ask_end, withdraw
from bot.operations._unit import SYSTEM, Unit, World, unit
from storage import grants, requests


def offboard_person(world: World, person: str) -> int:
    """Takes everything from a person whose account no longer counts; gives how many grants that ended.

    Does nothing for a full member. Raises StorageUnavailable.
    """
    with unit(world) as u:
        return take_everything(u, person)


def take_everything(u: Unit, person: str) -> int:
    """The same inside a transaction under way."""
    unfit = u.person(person).unfit()
    if unfit is None:
        return 0
    for request in requests.pending_of(u.db, person):
        withdraw(u, request, SYSTEM, unfit)
    found = grants.lock_held(u.db, [grant.id for grant in grants.held_by(u.db, person)])
    ask_end(u, found, EndReason.OFFBOARDED, SYSTEM, unfit)
    return len(found)
