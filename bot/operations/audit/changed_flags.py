"""Compares flags and their answers with the audit log."""

from collections.abc import Iterator

from bot.core.audit import Event, parsed_detail, without_unstorable
from bot.core.audit_story import Difference
from bot.core.flags.flag import EXPECTED, REVOKED, Flag
from storage import audit, flags
from storage.audit import EventRow
from storage.database import Reads


def changed_flags(view: Reads, last: int, since: int) -> Iterator[Difference]:
    """Yields the flags that differ from their records. `last` is the number of the last record of
    the log; records from before `since` may be archived."""
    raised: dict[str, EventRow] = {}
    answered: dict[str, EventRow] = {}
    for row in audit.of_events(view, (Event.FLAG_RAISED, Event.FLAG_ANSWERED)):
        detail = parsed_detail(row.detail)
        if row.event == Event.FLAG_RAISED:
            raised[str(detail.get("flag"))] = row
        elif detail.get("answer") in (EXPECTED, REVOKED):
            parts = detail.get("with")
            for id in (detail.get("flag"), *(parts if isinstance(parts, list) else [])):
                answered[str(id)] = row
    for flag in flags.every(view):
        yield from _raised(flag, raised.pop(flag.id, None), last, since)
        yield from _answered(flag, answered.get(flag.id), last, since)
    for id, record in raised.items():
        words = f"flag {id}, which record {record.seq} names, is not there"
        yield Difference(record.seq, words)


def _raised(flag: Flag, record: EventRow | None, last: int, since: int) -> Iterator[Difference]:
    if record is None:
        if flag.raised_at >= since:
            yield Difference(last, f"flag {flag.id}: no record says that it was raised")
        return
    detail = parsed_detail(record.detail)
    stored = (flag.rule, flag.person, without_unstorable(flag.sentence))
    if stored != (detail.get("rule"), record.subject, detail.get("sentence")):
        yield Difference(record.seq, f"flag {flag.id} differs from record {record.seq}")


def _answered(flag: Flag, record: EventRow | None, last: int, since: int) -> Iterator[Difference]:
    if record is None:
        if flag.answer and (flag.answered_at or 0) >= since:
            yield Difference(last, f"flag {flag.id}: no record says that it was answered")
        return
    answer = parsed_detail(record.detail).get("answer")
    stored = (flag.answer, flag.answered_by, flag.answered_at)
    stored_reason = without_unstorable(flag.answer_reason)
    if (*stored, stored_reason) != (answer, record.actor, record.at, record.reason):
        words = f"flag {flag.id} has another answer than in record {record.seq}"
        yield Difference(record.seq, words)
