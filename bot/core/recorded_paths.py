"""Decides which part of a checked request is recorded: its method and path, without the query and
without values that look like tokens or e-mails.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

PATHS = "paths"
"""The value of a system's `record` with which it records paths."""

LONGEST_PATH = 200
"""The most characters of a recorded path."""

LONGEST_METHOD = 20

LONGEST_READ = 2000
"""The most characters of a target that are looked at. A client chooses them, and the process that
checks tokens must not spend long on them."""

EMAIL, TOKEN, CUT = "[e-mail]", "[token]", "…"

_METHOD = re.compile(rf"[A-Z]{{1,{LONGEST_METHOD}}}")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*", re.IGNORECASE)
_VALUES = re.compile(r"([/;=,:()]|%2[fF])")
"""Separates the values of a path (RFC 3986 section 3.3), also where the slash is encoded."""

_PARTS = re.compile(r"([&!$'*+])")
"""Separates the parts of a value; the name in an e-mail may have these characters."""

_IS_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_IS_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_KNOWN_TOKEN = re.compile(
    r"(?:eyJ|xox[a-z]-|xapp-|gh[a-z]_|github_pat_|glpat-|[sprw]k[-_]|AKIA|ASIA|ya29\.|AIza).{8,}"
)
"""The beginnings of tokens of common products."""

_RUN = re.compile(r"[A-Za-z0-9]{16,}")
"""A run of letters and digits as long as in a token; the words of a readable name are shorter."""

LEAST_DIGITS = 12
"""Longer numbers may be those of a card or an account."""

LEAST_MIXED = 22
"""The characters of 128 random bits in base 64."""


class RecordedPath(NamedTuple):
    """`method` and `path` are "" where the proxy did not send a valid one."""

    method: str
    path: str


NOT_SENT = RecordedPath("", "")
OTHER_PATHS = "other paths"
"""Stands for all paths beyond the limit of a grant. No path of a request has this form."""

_COMMON = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])


def beyond_limit(method: str) -> RecordedPath:
    """Returns how a request is counted beyond the limit: by its method, if that is a common one."""
    return RecordedPath(method if method in _COMMON else "", OTHER_PATHS)


def recorded_path(method: str, target: str) -> RecordedPath:
    """Returns the part of the path that is recorded. `target` is a path or a URL as the proxy sent
    it. The result is visible ASCII, with a mark in the place of each secret."""
    return _recorded(method, target[: LONGEST_READ + 1].partition("?")[0])


@lru_cache(maxsize=4096)
def _recorded(method: str, location: str) -> RecordedPath:
    location = location.partition("#")[0]
    origin = _ORIGIN.match(location)
    path = location[origin.end() :] if origin else location
    if not _METHOD.fullmatch(method) or not path.startswith("/"):
        return NOT_SENT
    values = _VALUES.split(_visible(path))
    if len(location) > LONGEST_READ:
        values[-1] = CUT  # only a part of it was read
    clean = "".join(map(_without_secrets, values))
    return RecordedPath(
        method, clean if len(clean) <= LONGEST_PATH else clean[: LONGEST_PATH - 1] + CUT
    )


def _visible(path: str) -> str:
    """Percent-encodes everything except visible ASCII. The bytes of a header are Latin-1 text
    here."""
    return "".join(each if "!" <= each <= "~" else f"%{ord(each) & 0xFF:02X}" for each in path)


def _without_secrets(value: str) -> str:
    if len(value) > LONGEST_PATH:
        return TOKEN  # longer than a name, and the patterns below take the square of its length
    if _IS_EMAIL.search(_decoded(value)):
        return EMAIL
    parts = _PARTS.split(value)
    return "".join(TOKEN if _looks_like_token(_decoded(each)) else each for each in parts)


def _decoded(value: str) -> str:
    """Decodes until nothing is left to decode, because some programs encode a value more than
    once."""
    while "%" in value and (plain := unquote(value)) != value:
        value = plain
    return value


def _looks_like_token(value: str) -> bool:
    """Whether a value is too random for a name. A UUID counts as the name of a thing."""
    if _IS_UUID.fullmatch(value):
        return False
    if _KNOWN_TOKEN.fullmatch(value) or any(map(_is_mixed, _RUN.findall(value))):
        return True
    if value.isdigit():
        return len(value) > LEAST_DIGITS
    kinds = (str.islower, str.isupper, str.isdigit)
    return len(value) >= LEAST_MIXED and all(any(map(kind, value)) for kind in kinds)


def _is_mixed(run: str) -> bool:
    """Whether letters and digits alternate more than in a word with a number before or after
    it."""
    return len(re.findall(r"[0-9]+(?=[A-Za-z])", run)) >= 2


def paths_digest(used: Iterable[tuple[str, str, int]]) -> str:
    """Returns the SHA-256 over method, path and number of allowed checks of each used path, which
    the log keeps instead of the paths. Refused checks continue after the end, and do not count."""
    lines = [json.dumps(each, ensure_ascii=False) + "\n" for each in sorted(used)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
