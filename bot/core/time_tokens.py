"""Splits a typed text into the tokens of durations and end times."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

OPEN = "\"'`*_([{«‹“‘„‚"
CLOSE = "\"'`*_)]}»›”’“‘"
"""German and English quotes open and close with the same characters, so some are in both."""

_FOREIGN_DIGIT = "\N{ARABIC-INDIC DIGIT ZERO}"
_TOKEN = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})|(?P<clock>\d{1,2}:\d{2})(?!\d)|(?P<number>\d+(?:[.,]\d+)?)"
    r"|(?P<word>[^\W\d_]+)|(?P<space>\s+)|(?P<other>.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is folded to lower case and ASCII digits; `start` and `end` are places in the original
    text. `gap` says whether a space or the beginning is before it."""

    kind: str
    text: str
    raw: str
    start: int
    end: int
    gap: bool


END = Token("end", "", "", 0, 0, True)


def tokens_of(text: str) -> list[Token]:
    """The tokens of `text` without its spaces."""
    folded, places = _fold(text)
    found, gap = [], True
    for match in _TOKEN.finditer(folded):
        kind = match.lastgroup or "other"
        if kind != "space":
            start, end = places[match.start()], places[match.end() - 1] + 1
            raw = match[0] if match[0].isascii() else text[start:end]
            found.append(Token(kind, match[0].lower(), raw, start, end, gap))
        gap = kind == "space"
    return found


def at(tokens: Sequence[Token], place: int) -> Token:
    """The token there; END beyond the last one."""
    return tokens[place] if place < len(tokens) else END


def shown(tokens: Sequence[Token], first: int, beyond: int) -> str:
    """The words from token `first` to just before token `beyond`, with single spaces."""
    words = [(" " if token.gap else "") + token.raw for token in tokens[first:beyond]]
    return "".join(words).strip()


def _fold(text: str) -> tuple[str, list[int]]:
    """The text with full-width forms as ASCII and without invisible characters, with the place of
    each remaining character."""
    if text.isascii():
        return text, list(range(len(text)))
    kept = [(_ascii(char), place) for place, char in enumerate(text)]
    shown = [(char, place) for char, place in kept if char]
    return "".join(char for char, _ in shown), [place for _, place in shown]


def _ascii(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cf":
        return ""
    plain = unicodedata.normalize("NFKC", char)
    if category.startswith("N") and not (category == "Nd" and plain.isascii()):
        return _FOREIGN_DIGIT
    return plain if len(plain) == 1 else char
