"""Finds actions that are broad by their name, and writes parameters into actions, on every kind of
system."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from bot.core.parameters import places, substitute


def fill_encoded(action: str, values: Mapping[str, str]) -> str:
    """The action with values that are percent-encoded, except for the unreserved characters of RFC
    3986 section 2.3: they can't end the place in which they stand. Raises ValueError for a value of
    dots only, which in a path means another place."""
    for name in places(action):
        if not values[name].strip("."):
            raise ValueError(f"“{values[name]}” can't be part of an action")
    return substitute(action, values, lambda value: quote(value, safe=""))


Broad = Sequence[tuple[re.Pattern[str], str]]
"""Patterns of actions and their warnings. The first match counts."""


def broad_name(action: str) -> str:
    """The reason why an action with this name may give more than needed, or ""."""
    return _first(_ANYWHERE, action) or administrators(action)


def broad_in(known: Broad) -> Callable[[str], str]:
    """Like `broad_name`, for a kind of system with broad names of its own."""
    return lambda action: _first(known, action) or broad_name(action)


def administrators(action: str) -> str:
    """The reason why a name may be an administrator's, or ""."""
    return (
        LIKE_ADMIN if _ADMIN.search(_CAMEL.sub("-", action)) and not _READS.search(action) else ""
    )


def _first(known: Broad, action: str) -> str:
    return next((words for pattern, words in known if pattern.search(action)), "")


ADMIN = (
    r"(?<![a-z])(?:[a-z]*admin(?:s|istrators?)?|super-?users?|power-?users?|root|sudo|owners?)"
    r"(?![a-z])"
)
"""Patterns of administrators' names."""

LIKE_ADMIN = "reads like an administrator's; a smaller one is safer"

_ADMIN = re.compile(ADMIN, re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""The boundaries between the words of a name like AdminAccess or DBAdmin."""

_READS = re.compile(r"[:./_-](?:read|view|list|get)(?:-?only)?$", re.IGNORECASE)
"""Actions with these endings only read, even if their name mentions an administrator."""

_ANYWHERE: Broad = (
    (re.compile(r"\*"), "is a wildcard: it also gives actions that are added later"),
    (
        re.compile("(?:^|[:./])(?:all|any|everything|full|full-?access)$", re.IGNORECASE),
        "reads like everything; a smaller one is safer",
    ),
)
