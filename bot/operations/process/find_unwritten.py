"""Finds due revocations that could not be recorded, without writing."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from bot.core.errors import StorageUnavailable
from bot.core.model import HELD, Grant, GrantState, ProvisionOrder
from bot.operations._unit_of_work import Context, unknown_person
from bot.operations.grants.begin_attempt import order_of
from storage import grants, outbox, people
from storage.database import Reads

BATCH = 250
"""Grants that are read at once."""

KNOWN = 200
"""Grants kept in memory, in case the database cannot be read either."""

Need = tuple[str, tuple[str, ...], int]


@dataclass(frozen=True, slots=True)
class DueEnd:
    """A revocation on one system, and when it is due (UTC seconds); 0 if it was requested
    before."""

    at: int
    order: ProvisionOrder

    @property
    def pair(self) -> tuple[str, str]:
        return self.order.grant, self.order.system


def find_unwritten(world: Context, late: int, *, asked: bool) -> list[DueEnd]:
    """Returns revocations that were due `late` seconds ago and are not recorded by any process;
    with `asked` also those that are recorded and that no process claims from the outbox. Raises
    StorageUnavailable."""
    before = world.now() - late
    with _reading(world) as reads:
        ending = grants.overdue(reads, before, BATCH)
        wanted = {(grant.id, system) for grant in ending for system in grant.systems}
        left = set(outbox.left_ends(reads, before, BATCH)) if asked else set()
        others = sorted({grant for grant, _ in left} - {grant.id for grant in ending})
        found = _ends(world, reads, [*ending, *grants.several(reads, others)], left)
    return [end for end in found if end.pair in wanted | left]


def known_ends(world: Context) -> list[DueEnd]:
    """Returns the next revocations, to keep in memory. Raises StorageUnavailable."""
    with world.db.reading():
        return _ends(world, world.db, grants.next_to_end(world.db, KNOWN))


@contextmanager
def _reading(world: Context) -> Iterator[Reads]:
    """Reads on a connection outside the pool if the pool has none left."""
    with ExitStack() as scope:
        try:
            scope.enter_context(world.db.reading())
        except StorageUnavailable:
            yield scope.enter_context(world.db.snapshot())
        else:
            yield world.db


def _ends(
    world: Context, reads: Reads, ending: Collection[Grant], again: Collection[tuple[str, str]] = ()
) -> list[DueEnd]:
    """Returns the leases of these grants that have not ended, and those to revoke `again`."""
    if not ending:
        return []
    people_there = {grant.person for grant in ending}
    holders, needs = people.several(reads, people_there), _needs(reads, people_there)
    leases = grants.leases_of(reads, [grant.id for grant in ending])
    now, policy, found = world.now(), world.policy(), []
    for grant in ending:
        person = holders.get(grant.person) or unknown_person(grant.person)
        at = grant.ends_at if grant.state in HELD else 0
        for lease in leases[grant.id]:
            if lease.state is not GrantState.ENDED or (grant.id, lease.system) in again:
                order = order_of(grant, lease, person, policy)
                kept = _kept(order, at or now, needs[grant.person, lease.system])
                found.append(DueEnd(at, replace(order, kept=kept)))
    return found


def _needs(reads: Reads, people_there: Collection[str]) -> defaultdict[tuple[str, str], list[Need]]:
    """Returns the access that each person may have on each system: grant, actions, and end."""
    found: defaultdict[tuple[str, str], list[Need]] = defaultdict(list)
    for person, grant, system, actions, ends_at in grants.needs_of(reads, sorted(people_there)):
        found[person, system].append((grant, actions, ends_at))
    return found


def _kept(order: ProvisionOrder, at: int, needs: Iterable[Need]) -> tuple[str, ...]:
    """Returns the actions that the holder needs there for a grant that ends later. An overdue grant
    needs none: otherwise each of two overdue grants would keep the other's access."""
    needed = {
        action
        for other, actions, ends_at in needs
        if other != order.grant and ends_at > at
        for action in actions
    }
    return tuple(sorted(needed.intersection(order.actions)))
