"""`/oauth2/introspect` (RFC 7662) and `/oauth2/revoke` (RFC 7009), for systems that check tokens themselves. A system
proves itself first; what it may learn then is about tokens for itself only.
"""

import hmac
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qs, unquote_plus

from starlette.types import Receive, Scope

from bot.core.model import Source
from bot.operations.introspect_token import Claims, Open
from bot.operations.revoke_token import revoke_token
from bot.web.checks import Checks, source_address
from bot.web.plain import FORM, TOO_BIG, Answer, as_json, content_type, header_values, read_body

LARGEST_BODY = 64 * 1024
CLIENT_ID = "access-bot"
"""`client_id` is who obtained the token (RFC 7662 section 2.2): for every token that is the bot."""

WHO_ARE_YOU = as_json(401, {"error": "invalid_client"}, (b"www-authenticate", b'Basic realm="access"'))
INACTIVE = as_json(200, {"active": False})


class Asked(NamedTuple):
    system: str
    token: str


class Introspect:
    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        """RFC 7662 section 2.2: what the token is good for here; `{"active": false}` for everything else."""
        asked = await _asked(self._checks, scope, receive)
        if isinstance(asked, Answer):
            return asked
        found = await self._checks.check(asked.token, asked.system, source_address(scope))
        return as_json(200, _described(found)) if isinstance(found, Open) else INACTIVE


class Revoke:
    def __init__(self, checks: Checks) -> None:
        self._checks, self._world = checks, checks.world.via(Source.HTTP)

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        """RFC 7009 section 2.2: 200 whether or not there was anything to end; another system's token goes on."""
        asked = await _asked(self._checks, scope, receive)
        if isinstance(asked, Answer):
            return asked
        claims = self._checks.signer.read_token(asked.token)
        if isinstance(claims, Claims):
            await self._checks.in_thread(revoke_token, self._world, claims, asked.system)
        return Answer(200)


async def _asked(checks: Checks, scope: Scope, receive: Receive) -> Asked | Answer:
    """Which system asks about which token; an answer when that isn't clear. The body is read only of a system that
    has proved itself."""
    system = _proved(checks, header_values(scope, b"authorization"))
    if system is None:
        return WHO_ARE_YOU
    if content_type(scope) != FORM:
        return _invalid(f"the body must be {FORM}")
    body = await read_body(receive, LARGEST_BODY)
    if body is None:
        return TOO_BIG
    try:
        tokens = parse_qs(body.decode(), max_num_fields=20).get("token", [])
    except ValueError:
        return _invalid("the body is no form")
    if len(tokens) != 1:
        return _invalid("the parameter token is needed, once")
    return Asked(system, tokens[0])


def _invalid(why: str) -> Answer:
    return as_json(400, {"error": "invalid_request", "error_description": why})


def _described(found: Open) -> dict[str, object]:
    return {
        "active": True,
        "scope": found.scope,
        "client_id": CLIENT_ID,
        "username": found.email or found.person,
        "token_type": "Bearer",
        "exp": found.expires_at,
        "iat": found.issued_at,
        "sub": found.person,
        "aud": found.system,
        "jti": found.jti,
    }


def _proved(checks: Checks, authorization: list[str]) -> str | None:
    """The system that these credentials prove; None otherwise, after the same work whether or not there is one of
    that name."""
    if len(authorization) != 1:
        return None
    proved = None
    for name, secret in _credentials(authorization[0]):
        system = checks.gateway(name)
        if _same(secret, (system.secret if system else None) or "") and system is not None and system.secret:
            proved = system.name
    return proved


def _same(given: str, right: str) -> bool:
    """Compares hashes, so that the time it takes tells nothing, not even the length."""
    return hmac.compare_digest(sha256(given.encode()).digest(), sha256(right.encode()).digest())


def _credentials(authorization: str) -> Iterator[tuple[str, str]]:
    """Name and secret of HTTP Basic, as they are and form-decoded: RFC 6749 section 2.3.1 asks clients to encode
    both, and half of them don't."""
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
