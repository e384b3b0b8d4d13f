"""Counts the audit records since the last count by subject, for the metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.operations._unit_of_work import Context, reading
from storage import log_metrics
from storage.log_metrics import EventCount

__all__ = ["EventCount", "NewRecords", "count_records"]

MOST = 20_000
"""The most records of one count; the next count continues after them."""


@dataclass(frozen=True, slots=True)
class NewRecords:
    """`last` is the number of the last record that was counted. `decisions` and `lateness` are
    seconds."""

    last: int
    events: Sequence[EventCount] = ()
    decisions: Sequence[int] = ()
    lateness: Sequence[int] = ()


def count_records(world: Context, after: int | None) -> NewRecords:
    """Counts the records after that number; None begins at the newest one. Raises
    StorageUnavailable."""
    with reading(world) as u:
        newest = log_metrics.last_seq(u.db)
        if after is None or newest <= after:
            return NewRecords(newest)
        span = after, min(newest, after + MOST)
        return NewRecords(
            span[1],
            log_metrics.events(u.db, *span),
            log_metrics.decision_seconds(u.db, *span),
            log_metrics.end_lateness(u.db, *span),
        )
