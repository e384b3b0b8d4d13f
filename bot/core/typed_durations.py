"""Parses durations as people type them: `2 hours`, `1h30`, `90min`, `1,5h`, `1:30`."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.core.durations import LONGEST, UNITS, BadDuration, format_duration, too_long
from bot.core.time_tokens import Token, at, shown, tokens_of

NOT_ONE = "is not a duration"
MERIDIEM = frozenset({"am", "pm", "a", "p"})

_WORDS: Mapping[str, str] = {
    "w": "w wk wks week weeks",
    "d": "d day days",
    "h": "h hr hrs hour hours",
    "m": "m min mins minute minutes",
    "s": "s sec secs second seconds",
}
_UNITS = {word: unit for unit, words in _WORDS.items() for word in words.split()}
_CALENDAR = {
    "mo": 30,
    "mos": 30,
    "month": 30,
    "months": 30,
    "y": 365,
    "yr": 365,
    "yrs": 365,
    "year": 365,
    "years": 365,
}
_NUMBERS = (
    "half",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_COUNTS = {"a": 1, "an": 1, **{word: count for count, word in enumerate(_NUMBERS)}}
_SIGNS = frozenset("-+−–—~<>≤≥±≈")
_RANGE = frozenset("-–—/")
_AFTER_NUMBER = frozenset(",;:.!?…\"'`*_)]}»›”’“‘")
_MOST_DIGITS = 9
_USUAL_HOURS = 8
"""A bare number up to this probably means hours, a larger one minutes."""


@dataclass(frozen=True, slots=True)
class Length:
    """`beyond` is the place of the first token that does not belong to it."""

    seconds: int
    beyond: int


@dataclass(frozen=True, slots=True)
class _Part:
    seconds: int
    unit: str
    beyond: int
    whole: bool


def parse_length(text: str) -> int | None:
    """Seconds of a text that is one duration; None if it does not begin like one. Raises
    BadDuration."""
    tokens = tokens_of(text)
    found = read_length(tokens, 0)
    if found is not None and found.beyond < len(tokens):
        raise BadDuration(text, NOT_ONE, likely=format_duration(found.seconds))
    return found.seconds if found else None


def read_length(tokens: Sequence[Token], place: int) -> Length | None:
    """The duration that begins at this token, or None.

    Raises BadDuration for words that look like a duration and have no reading, or more than one.
    """
    first = at(tokens, place)
    if first.text in _SIGNS:
        return _signed(tokens, place)
    if first.kind == "clock":
        return _colon(tokens, place)
    if first.kind == "number":
        has_unit = first.text.isascii() and _unit(tokens, place + 1)
        return _parts(tokens, place) if has_unit else _no_unit(tokens, place)
    return _in_words(tokens, place) if first.text in _COUNTS else None


def is_length(tokens: Sequence[Token], place: int) -> bool:
    """Whether a number with a unit begins here."""
    return at(tokens, place).kind == "number" and bool(_unit(tokens, place + 1))


def _unit(tokens: Sequence[Token], place: int) -> str:
    return _UNITS.get(at(tokens, place).text, "")


def _checked(tokens: Sequence[Token], place: int, seconds: int, beyond: int) -> Length:
    typed = shown(tokens, place, beyond)
    if seconds > LONGEST:
        raise too_long(typed)
    if seconds <= 0:
        raise BadDuration(typed, "is zero; write for example 30m, 2h, 2h30m or 3d")
    return Length(seconds, beyond)


def _signed(tokens: Sequence[Token], place: int) -> Length | None:
    """Refuses `-1h` and `~2h`; a sign before anything else is part of the reason."""
    inner = place
    while at(tokens, inner).text in _SIGNS:
        inner += 1
    try:
        found = read_length(tokens, inner)
    except BadDuration as bad:
        raise BadDuration(
            shown(tokens, place, inner + 1), NOT_ONE, likely=bad.likely, sure=bad.sure
        ) from None
    if found is not None:
        raise BadDuration(
            shown(tokens, place, found.beyond), NOT_ONE, likely=format_duration(found.seconds)
        )
    return None


def _colon(tokens: Sequence[Token], place: int) -> Length:
    """`1:30` is 1h 30m; with two digits before the colon, or am or pm, it is a time of day."""
    token, following = at(tokens, place), at(tokens, place + 1)
    hours, minutes = token.text.split(":")
    if not token.text.isascii() or int(minutes) > 59:
        raise BadDuration(token.raw, NOT_ONE)
    if following.text in MERIDIEM and len(following.text) == 2:
        typed = shown(tokens, place, place + 2)
        raise BadDuration(typed, NOT_ONE, likely=f"until {typed}", sure=False)
    if len(hours) == 2:
        likely = f"until {token.text}" if int(hours) < 24 else ""
        raise BadDuration(token.raw, NOT_ONE, likely=likely, sure=False)
    beyond = place + 2 if _unit(tokens, place + 1) == "h" else place + 1
    return _checked(tokens, place, int(hours) * 3600 + int(minutes) * 60, beyond)


def _parts(tokens: Sequence[Token], place: int) -> Length:
    """`2h 30m`, `1 day and 4 hours`, `1h30`: each unit once, longest first."""
    seconds, smallest, beyond = 0, LONGEST, place
    while (part := _part(tokens, beyond, smallest)) is not None:
        seconds, smallest, beyond = seconds + part.seconds, UNITS[part.unit], part.beyond
        if not part.whole:
            break
        if at(tokens, beyond).text == "and" and _part(tokens, beyond + 1, smallest):
            beyond += 1
    if smallest == UNITS["h"]:
        return _minutes(tokens, place, seconds, beyond)
    return _checked(tokens, place, seconds, beyond)


def _part(tokens: Sequence[Token], place: int, smallest: int) -> _Part | None:
    number, unit = at(tokens, place), _unit(tokens, place + 1)
    if number.kind != "number" or not number.text.isascii() or not unit or UNITS[unit] >= smallest:
        return None
    typed = shown(tokens, place, place + 2)
    if at(tokens, place + 1).raw == "M" and smallest == LONGEST:
        raise BadDuration(typed, NOT_ONE, likely=f"{number.text}m", sure=False)
    whole, _, decimals = number.text.replace(",", ".").partition(".")
    if len(whole) > _MOST_DIGITS:
        raise too_long(typed)
    if len(decimals) > 2:
        raise BadDuration(typed, NOT_ONE)
    seconds = int(whole + decimals) * UNITS[unit] // 10 ** len(decimals)
    return _Part(seconds, unit, place + 2, not decimals)


def _minutes(tokens: Sequence[Token], place: int, seconds: int, beyond: int) -> Length:
    """Adds the minutes of `1h30`; a bare number after a space, as in `1h 30`, has two readings."""
    token = at(tokens, beyond)
    minutes = (
        int(token.text)
        if token.kind == "number" and token.text.isascii() and len(token.text) < 3
        else 60
    )
    if minutes > 59 or not _alone(tokens, beyond):
        return _checked(tokens, place, seconds, beyond)
    if token.gap or len(token.text) != 2:
        likely = format_duration(seconds + minutes * 60)
        raise BadDuration(
            shown(tokens, place, beyond + 1), NOT_ONE, likely=likely, sure=not token.gap
        )
    return _checked(tokens, place, seconds + minutes * 60, beyond + 1)


def _alone(tokens: Sequence[Token], place: int) -> bool:
    """Whether only punctuation directly follows a number."""
    after, later = at(tokens, place + 1), at(tokens, place + 2)
    return after.gap or (
        after.text in _AFTER_NUMBER and (later.gap or later.kind not in ("number", "word"))
    )


def _no_unit(tokens: Sequence[Token], place: int) -> Length | None:
    """Refuses a number that may be a duration; `5xx`, `10%` and `192.168.0.1` are left to the
    reason."""
    number, following = at(tokens, place), at(tokens, place + 1)
    typed = shown(tokens, place, place + 2)
    if following.kind == "word" and (likely := _nearly(number, following)):
        raise BadDuration(typed, NOT_ONE, likely=likely, sure=following.text not in MERIDIEM)
    if (
        following.text in _RANGE
        and at(tokens, place + 2).kind == "number"
        and (unit := _unit(tokens, place + 3))
    ):
        longer = f"{at(tokens, place + 2).text}{unit}"
        raise BadDuration(shown(tokens, place, place + 4), NOT_ONE, likely=longer)
    if not number.text.isascii() and _unit(tokens, place + 1):
        raise BadDuration(typed, "is not a duration; write it with the digits 0 to 9")
    if _alone(tokens, place):
        raise BadDuration(number.raw, NOT_ONE, likely=_bare(number.text), sure=False)
    return None


def _nearly(number: Token, word: Token) -> str:
    """The likely meaning of a number with this word after it, or ""."""
    if word.text in MERIDIEM and len(word.text) == 2:
        return f"until {number.text}{word.text}"
    if word.text in _CALENDAR and number.text.isdecimal() and len(number.text) < 4:
        return f"{int(number.text) * _CALENDAR[word.text]}d"
    near = difflib.get_close_matches(word.text[:20], _UNITS, n=1, cutoff=0.75)
    return f"{number.text}{_UNITS[near[0]]}" if near and number.text.isascii() else ""


def _bare(number: str) -> str:
    if not number.isascii() or len(number) > 4:
        return ""
    count = float(number.replace(",", "."))
    if not 0 < count <= 24 * 60:
        return ""
    return f"{number}h" if count <= _USUAL_HOURS or not number.isdecimal() else f"{number}m"


def _in_words(tokens: Sequence[Token], place: int) -> Length | None:
    """Refuses `two hours` and `half an hour` with the duration in digits; other words are the
    reason."""
    count, beyond = _COUNTS[at(tokens, place).text], place + 1
    if count == 0 and at(tokens, beyond).text in ("a", "an"):
        beyond += 1
    word = at(tokens, beyond)
    if word.gap and len(word.text) > 2 and word.text in _UNITS:
        seconds = UNITS[_UNITS[word.text]] * count if count else UNITS[_UNITS[word.text]] // 2
        likely = format_duration(seconds) if seconds else ""
        raise BadDuration(shown(tokens, place, beyond + 1), NOT_ONE, likely=likely, sure=False)
    return None
