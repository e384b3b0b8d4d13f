"""Refuses callers who are not leads, and records the attempt."""

from bot.core.approval import Refused
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import Context, unit


def require_lead(world: Context, by: str, action: str) -> Refused | None:
    """Returns None for a lead of roles.toml and for the command line. Raises StorageUnavailable."""
    with unit(world) as u:
        refused = leads_only(u, by)
        return u.refuse(refused, by, action) if refused else None
