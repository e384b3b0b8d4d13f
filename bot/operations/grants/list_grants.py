"""Lists grants, requests and use for the command line."""

from bot.core.model import Grant, Request
from bot.operations._unit_of_work import Context
from storage import grants, requests, sessions, usage
from storage.sessions import Row
from storage.usage import Count

__all__ = ["Count", "Row", "list_grants", "list_requests", "list_usage"]


def list_grants(world: Context, limit: int = 1000) -> list[Grant]:
    """Returns the grants that are not over, soonest end first. Raises StorageUnavailable."""
    with world.db.reading():
        return grants.live(world.db, limit=limit)


def list_requests(
    world: Context, state: str | None = "pending", limit: int = 1000
) -> list[Request]:
    """Returns requests in one state, or all of them, newest first."""
    with world.db.reading():
        return requests.latest(world.db, state, limit)


def list_usage(world: Context, grant: str | None = None, limit: int = 1000) -> list[Count | Row]:
    """Returns the token checks by minute and the sessions, newest first."""
    with world.db.reading():
        found: list[Count | Row] = [
            *usage.listing(world.db, grant, limit),
            *sessions.listing(world.db, grant, limit),
        ]
    return sorted(found, key=_when, reverse=True)[:limit]


def _when(row: Count | Row) -> int:
    return row.minute if isinstance(row, Count) else row.seen_at
