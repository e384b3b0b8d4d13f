"""Finds the shifts of an iCalendar text (RFC 5545). It runs as a program of its own, with limits,
because a calendar is written by others, and a recurrence rule can take any time and memory.

It reads one JSON object from standard input (`calendar`, `zone`, `since` and `until` in UTC
seconds) and writes one to standard output: `shifts`, or `problem`."""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

MOST_CPU = 20
"""Seconds."""

MOST_MEMORY = 1024 * 1024 * 1024
"""Bytes."""

MOST_SHIFTS, MOST_PEOPLE = 500, 100

AROUND = timedelta(days=2)
"""The libraries are asked for a wider window, because they compare local dates without a zone."""

TOO_OFTEN = ("SECONDLY", "MINUTELY")

_EMAIL = re.compile(r"[^\s<>()\[\]:;,\"|/]+@[^\s<>()\[\]:;,\"'|/]+\.[^\s<>()\[\]:;,\"'|/]+")
"""An address in a text. An apostrophe may be a part of it: o'ann@ is not ann@."""

_SMALL = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
"""Only these, as in `folded`: other letters in capitals may become those of another address."""

Shift = tuple[int, int, list[str]]
"""Start and end in UTC seconds, and the e-mail addresses of its people in small letters."""


class Unfit(Exception):
    """The calendar can't be used, for the reason in the message."""


def find_shifts(text: str, zone: str, since: int, until: int) -> list[Shift]:
    """The shifts that overlap the time from `since` to `until`. Times without a zone are those of
    `zone`. Raises Unfit."""
    calendars = _parsed(text)
    local, found = ZoneInfo(zone), []
    for event in _events(calendars, since, until):
        start, end = _at(event.start, local), _at(event.end, local)
        if start < until and end > since and (people := sorted(_people(event))):
            found.append((start, end, people[:MOST_PEOPLE]))
        if len(found) > MOST_SHIFTS:
            raise Unfit(f"it has more than {MOST_SHIFTS} shifts at a time")
    return sorted(found)


def _parsed(text: str) -> list[Any]:
    from icalendar import Calendar

    if not text.lstrip("\ufeff \r\n").upper().startswith("BEGIN:VCALENDAR"):
        raise Unfit("it is not an iCalendar: it does not begin with BEGIN:VCALENDAR")
    found = Calendar.from_ical(text.lstrip("\ufeff \r\n"), multiple=True)
    for part in (part for calendar in found for part in calendar.walk()):
        _refuse_bomb(part)
    return list(found)


def _refuse_bomb(part: Any) -> None:
    rules = part.get("RRULE", [])
    for rule in rules if isinstance(rules, list) else [rules]:
        for frequency in rule.get("FREQ", []):
            if str(frequency).upper() in TOO_OFTEN:
                raise Unfit(f"an event repeats {str(frequency).lower()}, which is no shift")


def _events(calendars: Iterable[Any], since: int, until: int) -> Iterator[Any]:
    """The occurrences of a wider window, without the cancelled ones."""
    import recurring_ical_events

    start, end = datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC)
    for calendar in calendars:
        found = recurring_ical_events.of(calendar, skip_bad_series=False)
        for event in found.between(start - AROUND, end + AROUND):
            if str(event.get("STATUS", "")).upper() != "CANCELLED":
                yield event


def _at(when: date, local: tzinfo) -> int:
    """UTC seconds; a whole day begins at midnight in `local`."""
    if not isinstance(when, datetime):
        when = datetime.combine(when, time())
    return int((when if when.tzinfo else when.replace(tzinfo=local)).timestamp())


def _people(event: Any) -> set[str]:
    """The addresses of attendees who have not declined, of the organizer, and in the summary."""
    given = event.get("ATTENDEE", [])
    attendees = given if isinstance(given, list) else [given]
    coming = [each for each in attendees if _param(each, "PARTSTAT").upper() != "DECLINED"]
    who = [*coming, event.get("ORGANIZER", "")]
    whole = [*(_address(str(each)) for each in who), *(_param(each, "EMAIL") for each in who)]
    named = [each.strip(".'") for each in _EMAIL.findall(str(event.get("SUMMARY", "")))]
    return {each.strip().translate(_SMALL) for each in (*whole, *named) if "@" in each}


def _address(uri: str) -> str:
    """The address of `mailto:ann@example.com`, as a whole."""
    scheme, _, address = uri.partition(":")
    return address if scheme.lower() == "mailto" else ""


def _param(address: Any, name: str) -> str:
    return str(getattr(address, "params", {}).get(name, ""))


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU, MOST_CPU))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    asked = json.load(sys.stdin.buffer)
    try:
        found = find_shifts(asked["calendar"], asked["zone"], asked["since"], asked["until"])
        result: dict[str, object] = {"shifts": found}
    except Unfit as error:
        result = {"problem": str(error)}
    except MemoryError:
        result = {"problem": "it takes too much memory to be read"}
    except Exception as error:  # without text of the calendar, which may be private
        result = {"problem": f"it can't be read ({type(error).__name__})"}
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
