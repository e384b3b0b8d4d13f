"""Counts repeated entries: the audit log gets the first at once, and the others as one record a
minute."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from hashlib import sha256

from bot.core.audit import Entry, Event, rfc3339
from storage import repeats
from storage.database import Database

WITHIN = 60
"""Seconds within which repeats are counted as one record."""

MOST_APART = 20
"""The number of different entries of one caller in a minute; further ones are counted as one
entry."""


def counted(
    db: Database, now: int, caller: str, entry: Entry, beyond: Entry, same: Sequence[str] = ()
) -> list[Entry]:
    """Returns the entries to record for `entry` now: none if it repeats one of this minute. Entries
    with equal `same` are repetitions; `beyond` replaces the entries of `caller` beyond
    MOST_APART."""
    key = _key(caller, *(same or _words(entry)))
    if repeats.count(db, key, now - WITHIN, now):
        return []
    if entry != beyond and repeats.of_caller(db, caller, now - WITHIN) >= MOST_APART:
        return counted(db, now, caller, beyond, beyond)
    before = repeats.take(db, key)
    if not repeats.begin(db, key, caller, json.dumps(asdict(entry)), now):
        repeats.count(db, key, now - WITHIN, now)
        return []
    return [*summed([before] if before else []), entry]


def summed(found: Sequence[repeats.Repeats]) -> list[Entry]:
    """Returns a record for each repeated entry, with the number and time of its repetitions."""
    entries = []
    for each in found:
        if each.times:
            known = json.loads(each.entry)
            repetitions = {
                "repeated": each.times,
                "since": rfc3339(each.since),
                "until": rfc3339(each.last),
            }
            first = Entry(**{**known, "event": Event(known["event"])})
            entries.append(replace(first, detail={**(first.detail or {}), **repetitions}))
    return entries


def _words(entry: Entry) -> tuple[str, ...]:
    """Returns the words that repetitions of a refusal share. The typed reason is not among them."""
    detail = entry.detail or {}
    words = (str(detail.get(name, "")) for name in ("action", "why"))
    return (
        entry.event,
        entry.actor,
        entry.subject,
        entry.role,
        entry.system,
        entry.request,
        entry.grant,
        *words,
    )


def _key(*words: str) -> str:
    return sha256(json.dumps(words).encode()).hexdigest()
