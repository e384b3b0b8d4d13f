"""Reads and writes lengths of time: `2h30m`, and "until fri 18:00" in a person's own time zone.
It does not know how long anybody may have anything; it never guesses what was meant.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.core.errors import AccessBotError

UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
LONGEST = 3_650 * UNITS["d"]

_NOT_ONE = "is not a duration; write for example 30m, 2h, 2h30m or 3d"
_NOT_A_TIME = (
    "is not a time to end at; write until 18:00, until tomorrow 09:00, until fri 18:00 or until 2026-11-23T18:00"
)
_BOTH = "gives a duration and an end; give one of the two, for example `2h` or `until 18:00`"
_TWO_WORDS = "is two words; write the duration as one, for example 2h30m"

_DURATION = re.compile(" ?".join(rf"(?:([0-9]+){unit})?" for unit in UNITS))
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAYS = {name: n for n, day in enumerate(_DAYS) for name in (day, day[:3])}

_UNIT_WORD = (
    "(?:w(?:ks?|eeks?)?|d(?:ays?)?|h(?:rs?|ours?)?|m(?:ins?|inutes?|o|onths?)?|s(?:ecs?|econds?)?|y(?:rs?|ears?)?)"
)
# Runs over a word whose every number has been folded into one "0", so that it can't backtrack far.
_SHAPE = re.compile(rf"[-+−–~<>]*(?:0(?:{_UNIT_WORD}0)*{_UNIT_WORD}?|0[-–/]0{_UNIT_WORD})[,.;:]?", re.IGNORECASE)
_NUMBER = re.compile(r"0(?:[.,:]?0)*")


class BadDuration(AccessBotError, ValueError):
    """`text` can't be taken as a length of time; `why` is the rest of the sentence about it."""

    def __init__(self, text: str, why: str = _NOT_ONE) -> None:
        self.text = text
        self.why = why
        super().__init__(f"`{_shown(text)}` {why}")


def parse_duration(text: str, *, allow_zero: bool = False) -> int:
    """Seconds of `90s`, `30m`, `2h`, `2h30m`, `3d`, `1w`: ASCII digits, each unit once, longest first.

    One space between the parts is fine, because that is how `format_duration` writes them.
    Raises BadDuration for anything else, for zero (unless allowed) and for more than ten years.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()) or text != " ".join(text.split()):
        raise BadDuration(text)
    # Nine digits are enough for ten years in seconds, and int() refuses thousands of them.
    numbers = [(number or "0").lstrip("0") or "0" for number in match.groups()]
    if any(len(number) > 9 for number in numbers):
        raise _too_long(text)
    seconds = sum(int(number) * size for number, size in zip(numbers, UNITS.values(), strict=True))
    if seconds > LONGEST:
        raise _too_long(text)
    if seconds == 0 and not allow_zero:
        raise BadDuration(text, "is no time at all; write for example 30m, 2h, 2h30m or 3d")
    return seconds


def format_duration(seconds: float) -> str:
    """`2h 30m`, `45s`, `3d` for whole seconds: exact to the second, never rounded up; a past end is `0s`."""
    left = max(0, int(seconds))
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, UNITS[unit])
        parts += [f"{count}{unit}"] if count else []
    return " ".join(parts) or "0s"


def looks_like_duration(word: str) -> bool:
    """Whether a person who begins with this word seems to mean a length of time, well written or not.

    `-1h`, `2hours`, `1:30`, `90`, `2h30`, `٣h` do; `fix`, `5xx`, `2fa`, `3rd`, `2026-11-02` don't.
    """
    folded = "".join("0" if unicodedata.category(char).startswith("N") else char for char in word)
    return _SHAPE.fullmatch(_NUMBER.sub("0", folded)) is not None


def take_span(text: str, now: int, tz: str) -> tuple[int | None, str]:
    """Splits `[DURATION] rest…` into seconds from `now` (None: not given) and the rest, byte for byte.

    DURATION is a duration, `until HH:MM` (today), `until tomorrow HH:MM`, `until fri HH:MM` (the next one)
    or `until 2026-11-23T18:00`. `now` is UTC epoch seconds, `tz` the person's IANA zone. A local time that
    occurs twice means its first occurrence (PEP 495, fold=0). Raises BadDuration for a first word that looks
    like a duration but is none, for times that are past or never occur, and for both forms at once.
    """
    first, rest = _first(text)
    if first.casefold() == "until":
        return _take_until(rest, now, find_zone(tz))
    if not looks_like_duration(first):
        return None, text.strip()
    seconds = parse_duration(first)
    _refuse_second_span(first, rest)
    return seconds, rest


def find_zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name; raises BadDuration when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadDuration(name, "is not a time zone; write for example Europe/Berlin or UTC") from None


def _too_long(text: str) -> BadDuration:
    return BadDuration(text, "is too long: nothing lasts more than ten years")


def _shown(text: str) -> str:
    clean = "".join(char if char.isprintable() else "?" for char in text[:41])
    return clean if len(clean) <= 40 else clean[:39] + "…"


def _first(text: str) -> tuple[str, str]:
    word, rest = (*text.split(maxsplit=1), "", "")[:2]
    return word, rest.strip()


def _refuse_second_span(first: str, rest: str) -> None:
    following, after = _first(rest)
    if following.casefold() == "until" and _is_when(_first(after)[0]):
        raise BadDuration(f"{first} {following} {_first(after)[0]}", _BOTH)
    if _is_duration(f"{first} {following}"):
        raise BadDuration(f"{first} {following}", _TWO_WORDS)


def _is_duration(text: str) -> bool:
    try:
        return parse_duration(text) > 0
    except BadDuration:
        return False


def _is_when(word: str) -> bool:
    lower = word.casefold()
    return lower in _WEEKDAYS or lower in ("today", "tomorrow") or word[:1].isdigit()


def _take_until(text: str, now: int, zone: ZoneInfo) -> tuple[int, str]:
    today = datetime.fromtimestamp(now, zone).date()
    word, rest = _first(text)
    day_word, _, clock = word.partition("T") if _DATE.match(word) else ("", "", word)
    if not _CLOCK.fullmatch(clock):
        day_word, (clock, rest) = day_word or word, _first(rest)
    said = f"until {day_word} {clock}" if day_word else f"until {clock}"
    seconds = _until(_day(day_word, today, said), clock, zone, said, now)
    if seconds <= 0 and day_word.casefold() in _WEEKDAYS:
        seconds = _until(_day(day_word, today, said) + timedelta(days=7), clock, zone, said, now)
    if seconds <= 0:
        raise BadDuration(said, "is already past; write for example until tomorrow 09:00")
    if seconds > LONGEST:
        raise _too_long(said)
    if _is_duration(_first(rest)[0]):
        raise BadDuration(f"{said} {_first(rest)[0]}", _BOTH)
    return seconds, rest


def _day(word: str, today: date, said: str) -> date:
    lower = word.casefold()
    if lower in _WEEKDAYS:
        return today + timedelta(days=(_WEEKDAYS[lower] - today.weekday()) % 7)
    if lower in ("", "today", "tomorrow"):
        return today + timedelta(days=lower == "tomorrow")
    try:
        if match := _DATE.fullmatch(word):
            return date(*(int(part) for part in match.groups()))
    except ValueError:
        pass
    raise BadDuration(said.strip(), _NOT_A_TIME)


def _until(day: date, clock: str, zone: ZoneInfo, said: str, now: int) -> int:
    try:
        hours, minutes = (int(part) for part in clock.split(":")) if _CLOCK.fullmatch(clock) else (99, 99)
        wall = datetime.combine(day, time(hours, minutes))
        end = int(wall.replace(tzinfo=zone).timestamp())
        exists = datetime.fromtimestamp(end, UTC).astimezone(zone).replace(tzinfo=None) == wall
    except (ValueError, OverflowError):
        raise BadDuration(said.strip(), _NOT_A_TIME) from None
    if not exists:
        raise BadDuration(said, "does not exist: the clocks skip it that day; write another time")
    return end - now
