"""Checks single values of roles.toml for several packages: names, references to people, texts,
durations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Literal

from bot.core.durations import UNITS, BadDuration, parse_duration

Kind = Literal["user", "group", "handle", "email", "everyone"]

YEAR = 365 * UNITS["d"]
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

_KINDS: Mapping[Kind, re.Pattern[str]] = {
    "everyone": re.compile(r"everyone"),
    "user": re.compile(r"[UW][A-Z0-9]{2,20}"),
    "group": re.compile(r"S[A-Z0-9]{2,20}"),
    "handle": re.compile(r"@[^\s@#,<>]{1,80}"),
    "email": re.compile(r"[^\s@,<>]{1,64}@[^\s@,<>]{1,250}\.[^\s@,<>.]{2,63}"),
}


class Expanded(str):
    """A text with values of the environment, which may be secrets: `raw` is the text of the file,
    `given` has the variables by name."""

    raw: str
    given: Mapping[str, str]

    def __new__(cls, value: str, raw: str, given: Mapping[str, str]) -> Expanded:
        text = super().__new__(cls, value)
        text.raw, text.given = raw, given
        return text


def quoted(value: str) -> str:
    """The text for an error message: short, printable, and without values of the environment."""
    raw = value.raw if isinstance(value, Expanded) else value
    clean = "".join(char if char.isprintable() else "?" for char in raw[:61])
    return f'"{clean if len(clean) <= 60 else clean[:59] + "…"}"'


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` if one of the known words is similar, else nothing."""
    # The first 200 are enough to guess from, and keep a huge file of unknown names cheap.
    near = get_close_matches(word[:80], islice(known, 200), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def classify(ref: str) -> Kind | None:
    """The kind of reference to people, or None. Group handles begin with @."""
    return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(ref)), None)


# --- one function for each kind of value, from the text of the file to the type that is used


def string(value: object) -> str:
    """Raises ValueError unless it is a text."""
    if not isinstance(value, str):
        raise ValueError('must be text in quotes, like "this"')
    return value


def text(limit: int, least: int = 1) -> Callable[[object], str]:
    """A text of `least` to `limit` characters."""

    def check(value: object) -> str:
        found = string(value)
        if len(found) < least:
            raise ValueError(
                "must not be empty" if least == 1 else f"must have at least {least} characters"
            )
        if len(found) > limit:
            raise ValueError(f"must have at most {limit} characters, this has {len(found)}")
        return str(found)

    return check


def like(pattern: re.Pattern[str], what: str) -> Callable[[object], str]:
    """A text that matches the pattern."""

    def check(value: object) -> str:
        found = string(value)
        if not pattern.fullmatch(found):
            raise ValueError(f"{quoted(found)} is not {what}")
        return str(found)

    return check


def span(longest: int = YEAR, *, zero: bool = False) -> Callable[[object], int]:
    """A duration, as seconds."""

    def check(value: object) -> int:
        found = string(value)
        try:
            seconds = parse_duration(found, allow_zero=zero)
        except BadDuration as bad:
            raise ValueError(f"{quoted(found)} {bad.why}") from None
        if seconds > longest:
            raise ValueError(f"{quoted(found)} is longer than a year")
        return seconds

    return check


seconds = span()
