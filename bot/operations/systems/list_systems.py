"""Lists the systems of roles.toml with their grants and their last error."""

import json
from dataclasses import dataclass

from bot.core.audit import Event, Record
from bot.core.model import GrantState
from bot.core.roles import System
from bot.operations._unit_of_work import Context
from storage import audit, grants
from storage.audit import Filters
from storage.database import Database

ERRORS = (Event.END_FAILED, Event.GRANT_FAILED, Event.RENEWAL_FAILED, Event.START_UNSURE)
"""Events with the `error` of a system."""


@dataclass(frozen=True, slots=True)
class SystemView:
    """`active` counts active grants, `ending` unconfirmed revocations. `last_error` is "" if the
    log has none; times are UTC seconds."""

    system: System
    active: int
    ending: int
    last_error: str
    last_error_at: int | None


def list_systems(world: Context, limit: int) -> list[SystemView]:
    """Returns the systems in the order of roles.toml. Raises StorageUnavailable."""
    known = list(world.policy().systems.values())[:limit]
    with world.db.reading():
        counts = grants.counts_by_system(world.db)
        return [_view(world.db, system, counts.get(system.name, {})) for system in known]


def _view(db: Database, system: System, counts: dict[str, int]) -> SystemView:
    newest = _newest_error(db, system.name)
    return SystemView(
        system,
        counts.get(GrantState.ACTIVE, 0),
        counts.get(GrantState.ENDING, 0),
        str(json.loads(newest.detail)["error"]) if newest else "",
        newest.at if newest else None,
    )


def _newest_error(db: Database, system: str) -> Record | None:
    pages = [audit.page(db, Filters(system=system, event=event), None, 1) for event in ERRORS]
    found = [record for page in pages for record in page]
    return max(found, key=lambda record: record.seq, default=None)
