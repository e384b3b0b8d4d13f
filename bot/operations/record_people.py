"""What Slack says about people and groups is kept for every process; who no longer counts loses everything at once."""

from collections.abc import Iterable, Sequence

from bot.core import effects
from bot.core.model import Person
from bot.operations._unit import Unit, World, unit
from bot.operations.offboard_person import take_everything
from storage import people


def record_people(world: World, found: Sequence[Person]) -> None:
    """Stores people as Slack describes them now. Raises StorageUnavailable."""
    with unit(world) as u:
        people.save(u.db, found)
        for person in found:
            if person.unfit() is not None:
                take_everything(u, person.id)


def record_groups(world: World, groups: Iterable[tuple[str, str, Iterable[str]]]) -> None:
    """Replaces all user groups by `(id, handle without @, members)`, and tells the security channel of roles that
    nobody could approve any more."""
    with unit(world) as u:
        if people.save_groups(u.db, groups):
            warn_undecidable(u)


def warn_undecidable(u: Unit) -> None:
    """Tells the security channel of every role that too few people could approve."""
    for role in u.policy.roles.values():
        if len(u.directory.resolve(role.approvers)) < role.approvals:
            u.tell_leads("nobody_can_decide", role=role.name)


def find_person(world: World, person: str) -> Person | None:
    """What is known of a person, or None for one whom nobody has looked up."""
    with world.db.reading():
        return people.get(world.db, person)


RECHECK = 40
"""Seconds after which a holder is looked up again: with the job's own interval, less than a minute."""


def people_to_check(world: World, started: int, seconds: int) -> list[str]:
    """Whom to look up in the next `seconds`, so that every holder is looked up once a minute: 50 a minute, and more
    only in proportion when there are more holders than that. `started` is when this process began."""
    with world.db.reading():
        per_minute = max(50, people.count_to_check(world.db))
        return people.to_check(world.db, world.now() - RECHECK, started, -(-per_minute * seconds // 60))


def save_refresh(world: World, kinds: Iterable[str]) -> None:
    """Leaves word that groups, or people, have to be read from Slack again."""
    table = {"groups": effects.refresh_groups, "people": effects.refresh_people}
    with unit(world) as u:
        u.do(*(table[kind]() for kind in kinds))
