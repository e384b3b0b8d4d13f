"""Authenticates systems with HTTP Basic (RFC 7617): the name and the `secret` of the
`[systems.NAME]` table."""

import hmac
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from urllib.parse import unquote_plus

from bot.core.roles import System
from bot.web.responses import as_json

SHORTEST = 16
"""The least characters of a secret. roles.toml has the same limit, except for the settings of
packages."""

WHO_ARE_YOU = as_json(
    401, {"error": "invalid_client"}, (b"www-authenticate", b'Basic realm="access"')
)


def proved(find: Callable[[str], System | None], authorization: Sequence[str]) -> str | None:
    """The system with these credentials, or None. It does the same work whether or not `find` knows
    the name."""
    if len(authorization) != 1:
        return None
    found = None
    for name, secret in _credentials(authorization[0]):
        system = find(name)
        right = (system.secret if system else None) or ""
        if _same(secret, right) and system is not None and len(right) >= SHORTEST:
            found = system.name
    return found


def _same(given: str, right: str) -> bool:
    """Compares hashes, so that its time reveals nothing, not even the length."""
    return hmac.compare_digest(sha256(given.encode()).digest(), sha256(right.encode()).digest())


def _credentials(authorization: str) -> Iterator[tuple[str, str]]:
    """Name and secret of HTTP Basic, both raw and form-decoded: RFC 6749 section 2.3.1 asks clients
    to encode them, and many don't."""
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        name, colon, secret = b64decode(rest.strip(), validate=True).decode().partition(":")
    except (NotBase64, UnicodeDecodeError, ValueError):
        return
    if colon:
        yield name, secret
        decoded = unquote_plus(name), unquote_plus(secret)
        if decoded != (name, secret):
            yield decoded
