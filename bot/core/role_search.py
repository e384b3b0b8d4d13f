"""Finds the roles that match a typed text, the best match first."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from bot.core.roles import Role

MOST = 100
"""The most matches of one search; Slack shows no more options in a menu."""

LONGEST_QUERY = 200
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe"})


def search_roles(roles: Iterable[Role], query: str, most: int = MOST) -> list[Role]:
    """Roles whose name, title or description has every word of `query`; equally good ones keep
    their order.

    Exact names and titles come first, then beginnings of them, beginnings of their words, and other
    places. Case, accents, width and punctuation make no difference. An empty query matches every
    role.
    """
    words = fold(query[:LONGEST_QUERY])
    ranked = [(rank, role) for role in roles if (rank := _rank(role, words)) is not None]
    return [role for _, role in sorted(ranked, key=lambda found: found[0])][:most]


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """`text` for comparison: lower case without accents, with words separated by one space."""
    plain = unicodedata.normalize("NFKD", text).casefold().translate(_PLAIN)
    letters = (
        char for char in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(char)
    )
    return " ".join("".join(char if char.isalnum() else " " for char in letters).split())


def _rank(role: Role, query: str) -> int | None:
    """0 is the best; None for no match."""
    names = fold(role.name), fold(role.title)
    if not query or query in names:
        return 0
    if any(name.startswith(query) for name in names):
        return 1
    words = query.split()
    short = " ".join(names)
    full = f"{short} {fold(role.description)}"
    for rank, text in ((2, short), (3, full)):
        if all(f" {word}" in f" {text}" for word in words):
            return rank
    for rank, text in ((4, short), (5, full)):
        if all(word in text for word in words):
            return rank
    return None
