"""Counts the newest audit records by subject, for the metrics."""

from collections.abc import Sequence
from typing import NamedTuple

from bot.core.audit import Event
from storage.database import Database


class EventCount(NamedTuple):
    """The number of records of one event; `by_rule` says whether a rule was the actor."""

    event: str
    by_rule: bool
    records: int


def last_seq(db: Database) -> int:
    found = db.row("SELECT seq FROM audit ORDER BY seq DESC LIMIT 1")
    return int(found[0]) if found else 0


def last_at(db: Database) -> int | None:
    """Returns the time of the newest record."""
    found = db.row("SELECT at FROM audit ORDER BY seq DESC LIMIT 1")
    return int(found[0]) if found else None


def events(db: Database, after: int, last: int) -> list[EventCount]:
    """Counts the records after `after` up to `last`."""
    by_rule = "CASE WHEN substr(actor, 1, 5) = 'rule:' THEN 1 ELSE 0 END"
    sql = (
        f"SELECT event, {by_rule}, COUNT(*) FROM audit WHERE seq > ? AND seq <= ? GROUP BY event,"
        f" {by_rule}"
    )
    rows = db.rows(sql, after, last)
    return [EventCount(str(event), bool(rule), int(count)) for event, rule, count in rows]


def decision_seconds(db: Database, after: int, last: int) -> Sequence[int]:
    """Returns the time from request to decision of each decision in these records."""
    sql = (
        "SELECT requests.decided_at - requests.created_at FROM audit JOIN requests ON requests.id ="
        " audit.request WHERE audit.seq > ? AND audit.seq <= ? AND audit.event IN (?, ?) AND"
        " requests.decided_at IS NOT NULL"
    )
    rows = db.rows(sql, after, last, Event.APPROVAL_GIVEN, Event.DENIAL_GIVEN)
    return [max(0, int(seconds)) for (seconds,) in rows]


def end_lateness(db: Database, after: int, last: int) -> Sequence[int]:
    """Returns how long after its planned end each expired grant in these records was confirmed to
    have ended."""
    sql = (
        "SELECT grants.ended_at - grants.ends_at FROM audit JOIN grants ON grants.id ="
        ' audit."grant" WHERE audit.seq > ? AND audit.seq <= ? AND audit.event = ? AND'
        " grants.end_reason = 'expired' AND grants.ended_at IS NOT NULL"
    )
    return [max(0, int(late)) for (late,) in db.rows(sql, after, last, Event.GRANT_ENDED)]
