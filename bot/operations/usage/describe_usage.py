"""Describes the use of one grant: its systems, the first and last use, the number of checks, their
sources, and its sessions."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.model import Grant
from bot.core.usage import GrantUsage, SystemUsage
from bot.operations._unit_of_work import Context, Snapshot, reading
from bot.operations._usage import by_system, used_of
from bot.operations.usage.count_usage import MOST_PATHS, sources_of
from storage import grants, recorded_paths, sessions
from storage.database import Database
from storage.recorded_paths import PathCount
from storage.sessions import Row

__all__ = ["PathCount", "Row", "UsageView", "describe_usage", "list_paths", "used_of_grants"]

MOST_SESSIONS = 1000


def used_of_grants(world: Context, found: Sequence[Grant]) -> dict[str, GrantUsage]:
    """Returns how each of these grants was used so far, by id. Raises StorageUnavailable."""
    with world.db.reading():
        return used_of(Snapshot(world), found)


@dataclass(frozen=True, slots=True)
class UsageView:
    """`used` is the total; `systems` has the sums by system, including the grant's unused systems,
    and `sources` where the use came from. `sessions` are the latest thousand, newest first, and
    `paths` those that systems with `record = "paths"` recorded, last used first."""

    grant: Grant
    used: GrantUsage
    systems: dict[str, SystemUsage]
    sources: dict[str, list[str]]
    sessions: tuple[Row, ...]
    paths: tuple[PathCount, ...] = ()


def list_paths(world: Context, grant_id: str) -> tuple[PathCount, ...]:
    """Returns the recorded paths of a grant, last used first. Raises StorageUnavailable."""
    with reading(world) as u:
        return paths_of(u.db, grant_id)


def paths_of(db: Database, grant_id: str) -> tuple[PathCount, ...]:
    return tuple(recorded_paths.listing(db, grant_id, MOST_PATHS + 1))


def describe_usage(world: Context, grant_id: str) -> UsageView | None:
    """Returns None if there is no such grant. Checks that other processes counted in the last
    second may be missing. Raises StorageUnavailable."""
    with reading(world) as u:
        grant = grants.get(u.db, grant_id)
        if grant is None:
            return None
        counted = by_system(u.db, [grant.id])[grant.id]
        systems = {
            system: counted.get(system, SystemUsage())
            for system in dict.fromkeys([*grant.systems, *counted])
        }
        return UsageView(
            grant=grant,
            used=used_of(u, [grant])[grant.id],
            systems=systems,
            sources={system: sources_of(u, grant.id, system) for system in systems},
            sessions=tuple(sessions.listing(u.db, grant.id, MOST_SESSIONS)),
            paths=paths_of(u.db, grant.id),
        )
