"""Records the progress of a stream, and notifies the leads once when it is late and once when it is
in time again."""

from bot.core.audit import Event
from bot.core.streams import lateness
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, reading, unit
from storage import streams

LONGEST_ERROR = 300
"""Characters."""


def record_sent(world: Context, name: str, owner: str, first: int, last: int) -> bool:
    """Records that the receiver took the records after `first` up to `last`. Returns False if
    another process sends the stream now. Raises StorageUnavailable."""
    with unit(world) as u:
        if not streams.advance(u.db, name, owner, (first, last), u.now):
            return False
        _judge(u, name, "")
    return True


def record_unsent(world: Context, name: str, error: str) -> None:
    """Notifies the leads if the stream has become late. Raises StorageUnavailable."""
    with reading(world) as u:
        found = streams.cursor(u.db, name)
        if found is None or found.late:
            return
        if not lateness(found, streams.first_after(u.db, found.seq), u.now):
            return
    with unit(world) as changing:
        _judge(changing, name, error)


def _judge(u: UnitOfWork, name: str, error: str) -> None:
    found = streams.cursor(u.db, name)
    if found is None:
        return
    is_late = lateness(found, streams.first_after(u.db, found.seq), u.now)
    if is_late == found.late or not streams.set_late(u.db, name, is_late):
        return
    why = {"error": error[:LONGEST_ERROR]} if error else {}
    u.note(
        Event.STREAM_LATE if is_late else Event.STREAM_RESUMED,
        SYSTEM,
        stream=name,
        sent=found.seq,
        **why,
    )
    u.notify_leads(
        "stream_late" if is_late else "stream_resumed", stream=name, sent=found.seq, **why
    )
