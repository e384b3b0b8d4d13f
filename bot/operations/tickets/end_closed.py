"""Ends access whose ticket was closed, where roles.toml says so (`[tickets] ends_access`)."""

from bot.core.model import EndReason
from bot.core.rules import Tickets
from bot.core.tickets import WATCH_EVERY
from bot.operations._end_grant import request_end
from bot.operations._unit_of_work import SYSTEM, Context, Snapshot, UnitOfWork, reading, unit
from bot.operations.tickets.record_ticket import digest_of
from storage import grants, key_values, tickets


def claim_watch(world: Context) -> list[str]:
    """Claims the round of these five minutes; returns the tickets of active access. Returns none if
    another process has it, if roles.toml is outdated, or if closed tickets end nothing. Raises
    StorageUnavailable."""
    settings = world.policy().tickets
    if settings is None or not settings.ends_access:
        return []
    with reading(world) as u:
        wanted = [] if u.outdated else sorted({ticket for _, _, ticket in _held(u)})
    if not wanted:
        return []
    with world.db.transaction():
        slot = str(world.now() // WATCH_EVERY)
        return wanted if key_values.put(world.db, "look at tickets of access", slot) else []


def end_closed(world: Context) -> int:
    """Ends access whose ticket was seen closed after the round began. A ticket that is not found,
    or that could not be looked up, ends nothing: that may be the fault of our token. Returns how
    many grants end. Raises StorageUnavailable."""
    settings = world.policy().tickets
    if settings is None or not settings.ends_access:
        return 0
    with unit(world) as u:
        if u.outdated:
            return 0
        ending = [(grant, ticket) for grant, _, ticket in _held(u) if _closed(u, settings, ticket)]
        return sum(_end(u, grant, ticket) for grant, ticket in ending)


def _held(u: Snapshot) -> list[tuple[str, str, str]]:
    """Access of roles that ask for a ticket."""
    found = tickets.of_live_grants(u.db)
    roles = u.policy.roles
    return [each for each in found if each[1] in roles and roles[each[1]].ticket is not None]


def _closed(u: Snapshot, settings: Tickets, ticket: str) -> bool:
    seen = tickets.get(u.db, digest_of(settings), ticket)
    recent = seen is not None and u.now - WATCH_EVERY <= seen.checked_at
    return seen is not None and recent and not seen.error and seen.found and not seen.is_open


def _end(u: UnitOfWork, grant: str, ticket: str) -> int:
    held = grants.lock_held(u.db, [grant])
    words = f"its ticket {ticket} was closed"
    request_end(u, held, EndReason.REVOKED, SYSTEM, because=words, words=words)
    return len(held)
