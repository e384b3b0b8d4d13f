"""Claims a stream, and reads the records that it sends next."""

from collections.abc import Sequence

from bot.core.streams import BATCH, Row, Stream, first_batch
from bot.operations._unit_of_work import Context, reading
from storage import audit, streams

CLAIM = 60
"""Seconds for which a process sends a stream without claiming it again. A batch must take less."""


def waiting_streams(world: Context) -> list[Stream]:
    """Returns the streams of roles.toml that have not sent the newest record. A process whose
    roles.toml is outdated sends none. Raises StorageUnavailable."""
    configured = world.policy().streams
    if not configured:
        return []
    with reading(world) as u:
        head = audit.head(u.db)
        newest = head.seq if head else 0
        done = {each.name: streams.cursor(u.db, each.name) for each in configured}
        waiting = [
            each for each in configured if (at := done[each.name]) is None or at.seq < newest
        ]
        return [] if not waiting or u.outdated else waiting


def next_records(world: Context, name: str, owner: str) -> tuple[int, Sequence[Row]] | None:
    """Returns the number of the last record that the stream sent, and the next ones; None while
    another process sends it. Raises StorageUnavailable."""
    with reading(world) as u:
        mine = streams.is_claimed(u.db, name, owner, u.now + CLAIM // 2)
    if not mine and not _claim(world, name, owner):
        return None
    with reading(world) as u:
        found = streams.cursor(u.db, name)
        return (
            (found.seq, first_batch(streams.records_after(u.db, found.seq, BATCH)))
            if found
            else None
        )


def _claim(world: Context, name: str, owner: str) -> bool:
    with world.db.transaction():
        now = world.now()
        streams.begin(world.db, name, now)
        return streams.claim(world.db, name, owner, now, now + CLAIM)


def release_streams(world: Context, owner: str) -> None:
    """Lets other processes send the streams of this one at once. Raises StorageUnavailable."""
    with world.db.transaction():
        streams.release(world.db, owner)
