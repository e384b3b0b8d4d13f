"""Records the shifts of the on-call calendars, so that every process judges by the same rows."""

import hashlib
from collections.abc import Sequence

from bot.core.on_call import READ_EVERY, TRY_AGAIN, Shift, is_believed
from bot.core.rules import OnCall
from bot.operations._unit_of_work import Context, reading, unit
from storage import on_call

LONGEST_ERROR = 300
"""Characters."""


def digest_of(duty: OnCall) -> str:
    """Stands for the calendar's address in rows: the address itself is a secret."""
    return hashlib.sha256(duty.ical.encode()).hexdigest()[:16]


def claim_calendars(world: Context) -> list[OnCall]:
    """Claims the calendars that are to be read now; another process does not read them meanwhile.
    A process whose roles.toml is outdated claims none. Raises StorageUnavailable."""
    duties = [duty for duty in world.policy().on_call.values() if duty.ical]
    if not duties:
        return []
    with reading(world) as u:
        due = [] if u.outdated else [duty for duty in duties if _is_due(world, duty)]
    return [duty for duty in due if _claim(world, duty)]


def _is_due(world: Context, duty: OnCall) -> bool:
    known, now = on_call.reading(world.db, duty.name), world.now()
    if known is None or known.source != digest_of(duty):
        return True
    pause = TRY_AGAIN if known.error else READ_EVERY
    return not now - pause < known.tried_at <= now


def _claim(world: Context, duty: OnCall) -> bool:
    with world.db.transaction():
        if not _is_due(world, duty):
            return False
        known = on_call.reading(world.db, duty.name)
        seen_at = known.tried_at if known else None
        return on_call.claim(world.db, duty.name, digest_of(duty), world.now(), seen_at)


def record_shifts(world: Context, duty: OnCall, shifts: Sequence[Shift], read_at: int) -> None:
    """Records the shifts that were read at `read_at` (UTC seconds). Raises StorageUnavailable."""
    with unit(world) as u:
        on_call.keep_shifts(u.db, duty.name, digest_of(duty), read_at, shifts)


def record_unread(world: Context, duty: OnCall, error: str) -> None:
    """Records that a calendar could not be read. When its last shifts are too old to count, the
    leads are notified, once until it is read again. Raises StorageUnavailable."""
    with unit(world) as u:
        known = on_call.reading(u.db, duty.name)
        if known is None:
            return
        is_news = not is_believed(known.read_at, u.now) and not known.notified
        kept = on_call.keep_error(u.db, duty.name, digest_of(duty), error[:LONGEST_ERROR], is_news)
        if kept and is_news:
            u.notify_leads("calendar_unread", duty=duty.name, error=error[:LONGEST_ERROR])
