"""What one person has, waits for and may decide, for App Home and the lists; leads see everything active."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bot.core.approval import deciders
from bot.core.asking import may_request
from bot.core.model import Grant, Person, Request
from bot.core.policy import Role
from bot.core.use import Used
from bot.operations._leads import leads_only
from bot.operations._unit import Unit, World
from bot.operations._use import used_of
from storage import grants, requests


@dataclass(frozen=True, slots=True)
class PersonView:
    """`everything` is None for who is not a lead; `used` says of each grant in it how it was used so far."""

    person: Person
    roles: tuple[Role, ...]
    held: tuple[Grant, ...]
    pending: tuple[Request, ...]
    waiting_for_me: tuple[Request, ...]
    everything: tuple[Grant, ...] | None
    titles: dict[str, str]
    used: dict[str, Used] = field(default_factory=dict)


def describe_person(world: World, person_id: str, *, for_home: bool = False) -> PersonView:
    """Somebody unknown is described as a stranger, who may ask for nothing. What others do, which is all that
    `waiting_for_me` and `everything` are about, is read for App Home only. Raises StorageUnavailable."""
    with world.db.reading():
        u = Unit(world)
        person = u.person(person_id)
        is_lead = for_home and leads_only(u, person_id) is None
        everything = tuple(grants.live(u.db, limit=200)) if is_lead else ()
        return PersonView(
            person=person,
            roles=requestable(u, person),
            held=tuple(grants.held_by(u.db, person_id)),
            pending=tuple(requests.pending_of(u.db, person_id)),
            waiting_for_me=tuple(_waiting(u, person_id)) if for_home and not person.unfit() else (),
            everything=everything if is_lead else None,
            titles={role.name: role.title for role in u.policy.roles.values()},
            used=used_of(u, everything),
        )


def roles_open_to(world: World, person_id: str) -> tuple[Role, ...]:
    """The roles that somebody may ask for now; none for a person who is not known. Raises StorageUnavailable."""
    with world.db.reading():
        u = Unit(world)
        return requestable(u, u.person(person_id))


def readable_role(world: World, person_id: str, name: str) -> Role | None:
    """The role in full, for people who may ask for it or decide on it, and for leads. Raises StorageUnavailable."""
    with world.db.reading():
        u = Unit(world)
        person, role = u.person(person_id), u.policy.roles.get(name)
        if role is None or person.unfit() is not None:
            return None
        lists = (role.requesters, role.approvers, u.policy.workspace.leads)
        return role if any(u.directory.includes(refs, person) for refs in lists) else None


def requestable(u: Unit, person: Person) -> tuple[Role, ...]:
    """The roles that this person may ask for now, in the order of roles.toml; also those of which
    nobody knows yet: Slack is asked when they are asked for."""

    def offered(role: Role) -> bool:
        if may_request(role, person, u.directory) is None:
            return True
        return person.unfit() is None and bool(u.directory.unresolved(role.requesters))

    return tuple(filter(offered, u.policy.roles.values()))


def _waiting(u: Unit, person: str) -> Iterable[Request]:
    for request in requests.pending(u.db):
        role = u.policy.roles.get(request.role)
        if role and person in deciders(role, request.requester, u.directory):
            yield request
