"""Ends one browser session, because its holder signs out. The grant stays until its end."""

from bot.core.audit import Event
from bot.operations._unit_of_work import Context, unit
from bot.operations.browser.make_codes import digest_of, name_of
from storage import browser_access, grants


def end_session(world: Context, secret: str, system: str, source: str) -> bool:
    """Ends the session with this secret; returns False if there is none at that system, or it had
    ended before. Raises StorageUnavailable."""
    digest = digest_of(secret)
    if browser_access.check(world.db, digest, system) is None:
        return False  # an invented cookie must not lock the database
    with unit(world) as u:
        found = browser_access.end_session(u.db, digest, system, u.now)
        grant = grants.get(u.db, found) if found else None
        if grant is None:
            return False
        u.record(
            Event.BROWSER_CLOSED,
            grant.person,
            grant,
            system=system,
            session=name_of(secret),
            source_address=source,
        )
        return True
