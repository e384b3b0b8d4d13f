"""Lists the access that each system should have according to our rows."""

from collections.abc import Sequence

from bot.core.model import Lease
from bot.operations._unit_of_work import Context
from storage import findings

GOES_BACK = 30 * 86400
"""Seconds for which a system is asked whether ended access is really gone."""

ENDED_AT_MOST = 500
"""The maximum of ended leases for each system. Access that the bot created and the system lists is
found however old it is."""

CHUNK = 500


def known_systems(world: Context) -> list[tuple[str, str]]:
    """Returns every system to ask, with its kind of connector: those of roles.toml, and former ones
    as long as access may remain there. Raises StorageUnavailable."""
    ours = [(system.name, system.connector) for system in world.policy().systems.values()]
    with world.db.reading():
        used = findings.places(world.db, world.now() - GOES_BACK)
    return list(dict.fromkeys([*ours, *used]))


def expected_access(world: Context, system: str, also: Sequence[str]) -> list[Lease]:
    """Returns the leases of this system that are not over or ended lately, latest first, and those
    of the grants `also`. Raises StorageUnavailable."""
    with world.db.reading():
        lately = findings.leases_at(world.db, system, world.now() - GOES_BACK, ENDED_AT_MOST)
        missing = sorted(set(also) - {lease.grant for lease in lately} - {""})
        older: list[Lease] = []
        for start in range(0, len(missing), CHUNK):
            older += findings.leases_of(world.db, system, missing[start : start + CHUNK])
    return [*lately, *older]
