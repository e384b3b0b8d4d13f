"""Parses the durations of roles.toml, formats durations, and finds time zones."""

from __future__ import annotations

import re
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.core.errors import AccessBotError

UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
LONGEST = 3_650 * UNITS["d"]

_NOT_ONE = "is not a duration; write for example 30m, 2h, 2h30m or 3d"
_DURATION = re.compile(" ?".join(rf"(?:([0-9]+){unit})?" for unit in UNITS))


class BadDuration(AccessBotError, ValueError):
    """`text` is not a usable duration; `why` is the rest of the sentence about it.

    `likely` is the text that was probably meant, for people to copy. `sure` is False where the text
    may well be part of a reason, as in "30 refunds". `rest` is the reason that is left if `likely`
    was meant.
    """

    def __init__(
        self, text: str, why: str = _NOT_ONE, *, likely: str = "", sure: bool = True
    ) -> None:
        self.text, self.why, self.likely, self.sure = text, why, likely, sure
        self.rest = ""
        meant = f". Did you mean `{likely}`?" if likely else ""
        super().__init__(f"`{_shown(text)}` {why}{meant}")

    def leaving(self, rest: str) -> BadDuration:
        """Sets the rest of the reason, and returns this error."""
        self.rest = rest.strip()
        return self


def parse_duration(text: str, *, allow_zero: bool = False) -> int:
    """Seconds of `90s`, `30m`, `2h`, `2h30m`, `3d`, `1w`: ASCII digits, each unit once, longest
    first.

    One space between the parts is fine, because that is how `format_duration` writes them.
    Raises BadDuration for anything else, for zero (unless allowed) and for more than ten years.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()) or text != " ".join(text.split()):
        raise BadDuration(text)
    # Nine digits are enough for ten years in seconds, and int() refuses thousands of them.
    numbers = [(number or "0").lstrip("0") or "0" for number in match.groups()]
    if any(len(number) > 9 for number in numbers):
        raise too_long(text)
    seconds = sum(int(number) * size for number, size in zip(numbers, UNITS.values(), strict=True))
    if seconds > LONGEST:
        raise too_long(text)
    if seconds == 0 and not allow_zero:
        raise BadDuration(text, "is zero; write for example 30m, 2h, 2h30m or 3d")
    return seconds


@lru_cache(maxsize=1024)
def format_duration(seconds: float) -> str:
    """`2h 30m`, `45s`, `3d` for whole seconds: exact to the second, never rounded up; a past end is
    `0s`."""
    left = max(0, int(seconds))
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, UNITS[unit])
        parts += [f"{count}{unit}"] if count else []
    return " ".join(parts) or "0s"


def find_zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name; raises BadDuration when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadDuration(
            name, "is not a time zone; write for example Europe/Berlin or UTC"
        ) from None


def too_long(text: str) -> BadDuration:
    return BadDuration(text, "is too long: nothing lasts more than ten years")


def _shown(text: str) -> str:
    clean = "".join(char if char.isprintable() and char != "`" else "?" for char in text[:41])
    return clean if len(clean) <= 40 else clean[:39] + "…"
