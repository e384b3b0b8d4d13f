"""Parses times for searches in the past: `7d` ago, `2026-11-22`, `2026-11-22T14:05`."""

from datetime import datetime, timedelta

from bot.core.durations import BadDuration, find_zone
from bot.core.typed_durations import parse_length

ACCEPTED = "write how long ago (7d, 2h30m), a day (2026-11-22) or a time (2026-11-22T14:05)"


def parse_moment(text: str, now: int, tz: str, *, closing: bool = False) -> int:
    """UTC seconds of a moment; a day begins and ends in the IANA zone `tz`. `closing` means the end
    of a day, so that "until 2026-11-22" includes that day. Raises BadDuration.
    """
    if (ago := parse_length(text)) is not None:
        return max(0, now - ago)
    zone = find_zone(tz)
    try:
        if "W" in text:  # a week of ISO 8601, which is read as its Monday
            raise ValueError(text)
        wall = datetime.fromisoformat(text)
        wall = wall + timedelta(days=1) if closing and len(text) <= len("2026-11-22") else wall
        return max(0, int((wall if wall.tzinfo else wall.replace(tzinfo=zone)).timestamp()))
    except (ValueError, OverflowError):
        raise BadDuration(text, f"is not a time; {ACCEPTED}") from None
