"""Limits how often one person may do things that notify other people."""

from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.durations import format_duration
from bot.operations._unit_of_work import Snapshot
from storage import audit

MOST = 30
"""Times that one person may do the same within WITHIN."""

WITHIN = 600
"""Seconds."""


def too_often(u: Snapshot, person: str, event: Event, what: str) -> Refused | None:
    """Refuses the actions of this person beyond MOST, counted by the records of `event`. `what` is
    the clause about them, with “{}” for the number."""
    if audit.count_by(u.db, person, event, u.now - WITHIN, MOST) < MOST:
        return None
    within = format_duration(WITHIN)
    return Refused(
        f"You {what.format(MOST)} within {within}, which is the limit, because each notifies other"
        f" people. Try again in {within}."
    )
