"""Parses ends as people type them after "until": `18:00`, `6pm`, `fri 5pm`, `2026-11-29 09:00`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.core.durations import LONGEST, BadDuration, find_zone, too_long
from bot.core.time_tokens import Token, at, shown
from bot.core.typed_durations import MERIDIEM, Length, read_length

EVENING = time(18)
"""The end of a day that is named without a time."""

_NOT_A_TIME = "is not a time to end at"
_EXAMPLES = "; write until 18:00, until tomorrow 09:00, until fri 18:00 or until 2026-11-23 18:00"
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT = {"tues": 1, "thur": 3, "thurs": 3}
_WEEKDAYS = {name: n for n, day in enumerate(_DAYS) for name in (day, day[:3])} | _SHORT
_NEAR = ("today", "tomorrow")
_SPOKEN = {
    "noon": "12:00", "midnight": "tomorrow 00:00", "tonight": "18:00", "evening": "18:00",
    "eod": "18:00", "cob": "18:00", "eob": "18:00",
}  # fmt: skip
_ZONES = frozenset(
    {"utc", "gmt", "z", "cet", "cest", "bst", "ist", "wet", "west", "eet", "eest", "msk"}
    | {"est", "edt", "cst", "cdt", "mst", "mdt", "pst", "pdt", "jst", "kst", "aest", "aedt"}
)
_JOINS = frozenset({",", "at", "t", "@"})


@dataclass(frozen=True, slots=True)
class _When:
    """`day` is the word or date as typed, "" for none; `clock` None for none."""

    day: str
    clock: time | None
    beyond: int


def names_day(token: Token) -> bool:
    """Whether a token is a weekday, today, tomorrow or a date."""
    return token.kind == "date" or token.text in _WEEKDAYS or token.text in _NEAR


def names_clock(tokens: Sequence[Token], place: int) -> bool:
    """Whether a time of day begins here that can't be anything else."""
    token = at(tokens, place)
    return token.kind == "clock" or (
        token.kind == "number" and bool(_meridiem(tokens, place + 1)[0])
    )


def read_end(tokens: Sequence[Token], place: int, now: int, tz: str) -> Length:
    """Seconds from `now` (UTC epoch seconds) to the end that begins at this token, in the IANA zone
    `tz`.

    A local time that occurs twice means its first occurrence (PEP 495, fold=0). Raises BadDuration
    for any other text, and for times that are past or never occur.
    """
    zone = find_zone(tz)
    when = _when(tokens, place)
    typed = f"until {shown(tokens, place, when.beyond)}"
    _refuse_zone(tokens, when, typed, tz)
    today = datetime.fromtimestamp(now, zone).date()
    day, clock = _date(when.day, today, typed), when.clock or EVENING
    if when.clock is None and when.day[0].isdigit():
        raise BadDuration(typed, _NOT_A_TIME, likely=f"{typed} 18:00", sure=day >= today)
    seconds = _seconds_to(day, clock, zone, typed, now)
    if seconds <= 0 and when.day in _WEEKDAYS:
        seconds = _seconds_to(day + timedelta(days=7), clock, zone, typed, now)
    if seconds <= 0:
        raise _past(when, clock, typed, now, tz)
    if seconds > LONGEST:
        raise too_long(typed)
    return Length(seconds, when.beyond)


def _when(tokens: Sequence[Token], place: int) -> _When:
    """Day and time in either order. Raises BadDuration if there is neither."""
    day = at(tokens, place).text if names_day(at(tokens, place)) else ""
    inner = place + 1 if day else place
    joined = inner + 1 if day and at(tokens, inner).text in _JOINS else inner
    clock = _clock(tokens, joined, day)
    if clock is not None:
        return _with_day(tokens, replace(clock, day=day)) if not day else replace(clock, day=day)
    if not day:
        raise _not_a_time(tokens, place)
    return _When(day, None, inner)


def _with_day(tokens: Sequence[Token], when: _When) -> _When:
    """Takes the day that may follow a time: `5pm on friday`, `9:00 tomorrow`."""
    place = when.beyond + 1 if at(tokens, when.beyond).text == "on" else when.beyond
    token = at(tokens, place)
    return replace(when, day=token.text, beyond=place + 1) if names_day(token) else when


def _clock(tokens: Sequence[Token], place: int, day: str) -> _When | None:
    token = at(tokens, place)
    if token.kind not in ("clock", "number"):
        return None
    half, beyond = _meridiem(tokens, place + 1)
    typed = " ".join(filter(None, ("until", day, shown(tokens, place, beyond))))
    if not token.text.isascii():
        raise BadDuration(typed, _NOT_A_TIME + "; write it with the digits 0 to 9")
    if token.kind == "number" and not half:
        return _bare(tokens, place, typed, f"until {day} ".replace("  ", " "))
    hours, _, minutes = token.text.partition(":")
    return _When("", _time(hours, minutes or "0", half, typed), beyond)


def _meridiem(tokens: Sequence[Token], place: int) -> tuple[str, int]:
    """ "am", "pm" or "", and the place after it; `p.m.` too."""
    token = at(tokens, place)
    if token.text not in MERIDIEM:
        return "", place
    if len(token.text) == 2:
        return token.text, place + 1
    if (
        at(tokens, place + 1).text == "."
        and at(tokens, place + 2).text == "m"
        and not at(tokens, place + 2).gap
    ):
        dot = at(tokens, place + 3)
        return token.text + "m", place + (4 if dot.text == "." and not dot.gap else 3)
    return "", place


def _time(hours: str, minutes: str, half: str, typed: str) -> time:
    if not (hours.isdecimal() and len(hours) <= 2 and minutes.isdecimal() and int(minutes) < 60):
        raise BadDuration(typed, _NOT_A_TIME + _EXAMPLES)
    hour = int(hours)
    if (half and not 1 <= hour <= 12) or hour > 23:
        likely = "until tomorrow 00:00" if (hour, int(minutes)) == (24, 0) else ""
        raise BadDuration(typed, _NOT_A_TIME + ("" if likely else _EXAMPLES), likely=likely)
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return time(hour, int(minutes))


def _bare(tokens: Sequence[Token], place: int, typed: str, until: str) -> _When:
    """`until 18` is 18:00; `until 6`, `until 2h` and `until 18.00` have two readings."""
    token, following = at(tokens, place), at(tokens, place + 1)
    hour = int(token.text) if token.text.isdecimal() and len(token.text) < 3 else 99
    glued = following.kind == "word" and not following.gap
    if 13 <= hour <= 23 and not glued and not _has_unit(tokens, place):
        return _When("", time(hour), place + 1)
    if 13 <= hour <= 23 and following.text in ("h", "uhr"):
        raise BadDuration(f"{typed}{following.raw}", _NOT_A_TIME, likely=f"{until}{hour}:00")
    if _has_unit(tokens, place) and (length := read_length(tokens, place)):
        span = shown(tokens, place, length.beyond)
        raise BadDuration(f"until {span}", _NOT_A_TIME, likely=span)
    dotted = token.text.replace(",", ".").split(".")
    if len(dotted) == 2 and int(dotted[0][:3]) < 24 and len(dotted[1]) == 2:
        raise BadDuration(typed, _NOT_A_TIME, likely=f"{until}{dotted[0]}:{dotted[1]}")
    likely = f"{until}{hour + 12 if hour < 12 else hour}:00" if 1 <= hour <= 12 else ""
    raise BadDuration(
        typed, _NOT_A_TIME + ("" if likely else _EXAMPLES), likely=likely, sure=not glued
    )


def _has_unit(tokens: Sequence[Token], place: int) -> bool:
    try:
        return at(tokens, place + 1).kind == "word" and read_length(tokens, place) is not None
    except BadDuration:
        return False


def _not_a_time(tokens: Sequence[Token], place: int) -> BadDuration:
    token = at(tokens, place)
    spoken = _SPOKEN.get(token.text, "")
    typed = shown(tokens, place, place + 1) or "until"
    typed = f"until {typed}" if typed != "until" else typed
    if spoken:
        return BadDuration(typed, _NOT_A_TIME, likely=f"until {spoken}")
    return BadDuration(typed, _NOT_A_TIME + _EXAMPLES, sure=token.text in ("next", "end"))


def _refuse_zone(tokens: Sequence[Token], when: _When, typed: str, tz: str) -> None:
    """Refuses `18:00 UTC`: times are in the person's own zone, and another zone must not be
    ignored."""
    zone = at(tokens, when.beyond)
    if when.clock is not None and zone.text in _ZONES:
        text = f"{typed}{' ' if zone.gap else ''}{zone.raw}"
        raise BadDuration(
            text, f"names a time zone; write the time in yours, which Slack says is {tz}"
        )


def _date(word: str, today: date, typed: str) -> date:
    if word in _WEEKDAYS:
        return today + timedelta(days=(_WEEKDAYS[word] - today.weekday()) % 7)
    if word in ("", *_NEAR):
        return today + timedelta(days=word == "tomorrow")
    try:
        if word.isascii():
            return date(*(int(part) for part in word.split("-")))
    except ValueError:
        pass
    raise BadDuration(typed, _NOT_A_TIME + _EXAMPLES)


def _seconds_to(day: date, clock: time, zone: ZoneInfo, typed: str, now: int) -> int:
    try:
        wall = datetime.combine(day, clock)
        end = int(wall.replace(tzinfo=zone).timestamp())
        exists = datetime.fromtimestamp(end, UTC).astimezone(zone).replace(tzinfo=None) == wall
    except (ValueError, OverflowError):
        raise BadDuration(typed, _NOT_A_TIME + _EXAMPLES) from None
    if not exists:
        raise BadDuration(typed, "does not exist: the clocks skip it that day; write another time")
    return end - now


def _past(when: _When, clock: time, typed: str, now: int, tz: str) -> BadDuration:
    """The error for a past end, with the likely meaning: the afternoon for `6:00`, else the same
    time tomorrow."""
    if when.day not in ("", "today"):
        return BadDuration(
            typed, "is already past; write for example until tomorrow 09:00", sure=False
        )
    local = datetime.fromtimestamp(now, find_zone(tz)).time()
    later = clock.replace(hour=(clock.hour + 12) % 24)
    if 0 < clock.hour < 10 and ":" in typed and f" 0{clock.hour}" not in typed and later > local:
        return BadDuration(typed, "is already past", likely=f"until {later:%H:%M}")
    return BadDuration(typed, "is already past", likely=f"until tomorrow {clock:%H:%M}")
