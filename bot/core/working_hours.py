"""Hours of the week, as `Mon-Fri 08:00-19:00, Sat 22:00-02:00`, and hours of the day, as
`19:00-08:00`: whether a time lies in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY = 24 * 60
"""Minutes."""

_DAY = f"(?:{'|'.join(DAYS)})"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_SPAN = re.compile(rf"(?:({_DAY})(?:-({_DAY}))? )?({_TIME})-({_TIME}|24:00)")


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` to `end` on each of `days` (Monday is 0), in minutes after midnight; an `end`
    that is not after the start is on the next day."""

    days: frozenset[int]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hours:
    """`text` is how roles.toml writes them."""

    text: str
    spans: tuple[Span, ...]

    @property
    def are_always(self) -> bool:
        """Whether every minute of the week is in these hours."""
        return all(self._hold(day, minute) for day in range(7) for minute in range(DAY))

    def include(self, at: int, zone: ZoneInfo) -> bool:
        """Whether the time `at` (UTC seconds) lies in these hours on the clocks of `zone`."""
        local = datetime.fromtimestamp(at, zone)
        return self._hold(local.weekday(), local.hour * 60 + local.minute)

    def end_after(self, at: int, zone: ZoneInfo) -> int | None:
        """The first full minute after `at` that is not in these hours, as UTC seconds; None where
        `at` is not in them, or they last for more than a week."""
        minutes = range(at - at % 60, at + 8 * 86400, 60)
        end = next((minute for minute in minutes if not self.include(minute, zone)), None)
        return end if end is not None and end > at else None

    def _hold(self, day: int, minute: int) -> bool:
        return any(
            (day in span.days and span.start <= minute < _until(span))
            or (span.end <= span.start and (day - 1) % 7 in span.days and minute < span.end)
            for span in self.spans
        )


def _until(span: Span) -> int:
    return span.end if span.end > span.start else DAY


def parse_hours(text: str) -> Hours:
    """Hours of the week. Raises ValueError with the rest of a sentence about the text."""
    return Hours(text, tuple(_span(part.strip(), with_days=True) for part in text.split(",")))


def parse_daily(text: str) -> Hours:
    """Hours of every day, as `19:00-08:00`. Raises ValueError like `parse_hours`."""
    return Hours(text, (_span(text, with_days=False),))


def _span(text: str, *, with_days: bool) -> Span:
    found = _SPAN.fullmatch(text)
    if found is None or (found[1] is not None) != with_days or found[3] == found[4]:
        example = "Mon-Fri 08:00-19:00, Sat 22:00-02:00" if with_days else "19:00-08:00"
        raise ValueError(f"is not hours like {example}")
    first = DAYS.index(found[1]) if found[1] else 0
    last = DAYS.index(found[2]) if found[2] else first if found[1] else 6
    days = frozenset((first + each) % 7 for each in range((last - first) % 7 + 1))
    return Span(days, _minutes(found[3]), _minutes(found[4]))


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
