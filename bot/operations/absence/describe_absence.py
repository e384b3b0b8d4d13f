"""Describes the absences of one person, and those in which they are the delegate."""

from dataclasses import dataclass

from bot.core.model import Delegation
from bot.operations._unit_of_work import Context, Snapshot, reading
from storage import people


@dataclass(frozen=True, slots=True)
class Absences:
    """`away` is the person's own delegation, `decides_for` are those to the person; `names` has the
    names of all these people."""

    away: Delegation | None
    decides_for: tuple[Delegation, ...]
    names: dict[str, str]


def describe_absences(world: Context, person: str) -> Absences:
    """Raises StorageUnavailable."""
    with reading(world) as u:
        return absences_of(u, person)


def absences_of(u: Snapshot, person: str) -> Absences:
    """Describes a person's absences inside a reading scope."""
    mine = [
        each
        for each in u.directory.delegations
        if person in (each.giver, each.delegate) and each.ends_at > u.now
    ]
    known = people.several(u.db, {one for each in mine for one in (each.giver, each.delegate)})
    return Absences(
        next((each for each in mine if each.giver == person), None),
        tuple(each for each in mine if each.delegate == person),
        {one.id: one.name for one in known.values()},
    )
