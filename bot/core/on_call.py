"""Decides who is on call by a calendar, and how long its shifts count after they were read."""

from collections.abc import Iterable
from dataclasses import dataclass

from bot.core.model import Person, folded, is_recent

READ_EVERY = 300
"""Seconds between two readings of a calendar."""

TRY_AGAIN = 60
"""Seconds after a reading that failed."""

BELIEVED = 600
"""Seconds for which a reading counts; after that nobody is known to be on call."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A time of duty in UTC seconds, its end not included, and the e-mail addresses of its
    people."""

    starts_at: int
    ends_at: int
    emails: tuple[str, ...]


def is_believed(read_at: int | None, now: int) -> bool:
    return read_at is not None and is_recent(read_at, now, BELIEVED)


def has_shift(person: Person, shifts: Iterable[Shift], now: int) -> bool:
    """Whether one of the shifts is now and has the person's whole e-mail address."""
    email = folded(person.email)
    return bool(email) and any(
        shift.starts_at <= now < shift.ends_at and email in map(folded, shift.emails)
        for shift in shifts
    )
