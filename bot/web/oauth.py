"""`/oauth2/introspect` (RFC 7662) and `/oauth2/revoke` (RFC 7009), for systems that check tokens
themselves. A system authenticates first, and then learns only about tokens for itself.
"""

import logging
from typing import NamedTuple
from urllib.parse import parse_qs

from starlette.types import Receive, Scope

from bot.core.model import Claims, Source
from bot.operations.tokens.introspect_token import TokenActive
from bot.operations.tokens.revoke_token import revoke_token
from bot.web.basic_auth import WHO_ARE_YOU, proved
from bot.web.responses import FORM, TOO_BIG, Answer, as_json, content_type, header_values, read_body
from bot.web.token_check import TokenChecks, Use, source_address

LARGEST_BODY = 64 * 1024
CLIENT_ID = "access-bot"
"""`client_id` is the client that obtained the token (RFC 7662 section 2.2): always the bot."""

INACTIVE = as_json(200, {"active": False})


log = logging.getLogger(__name__)


class Asked(NamedTuple):
    system: str
    token: str


class Introspect:
    def __init__(self, checks: TokenChecks) -> None:
        self._checks = checks

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        """RFC 7662 section 2.2: the claims of a token for this system; `{"active": false}` for any
        other."""
        asked = await _asked(self._checks, scope, receive)
        if isinstance(asked, Answer):
            return asked
        use = Use(source_address(scope))
        found = await self._checks.check(asked.token, asked.system, use)
        return as_json(200, _described(found)) if isinstance(found, TokenActive) else INACTIVE


class Revoke:
    def __init__(self, checks: TokenChecks) -> None:
        self._checks, self._world = checks, checks.world.via(Source.HTTP)

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        """RFC 7009 section 2.2: 200 whether or not a token was revoked. Another system's token
        stays valid."""
        asked = await _asked(self._checks, scope, receive)
        if isinstance(asked, Answer):
            return asked
        claims = self._checks.signer.read_token(asked.token)
        if isinstance(claims, Claims):
            log.info("%s asks to revoke a token", asked.system)
            await self._checks.in_thread(revoke_token, self._world, claims, asked.system)
        return Answer(200)


async def _asked(checks: TokenChecks, scope: Scope, receive: Receive) -> Asked | Answer:
    """The system that asks and the token that it asks about; an answer if either is missing. The
    body is read only of a system that has proved itself."""
    system = proved(checks.gateway, header_values(scope, b"authorization"))
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
        return _invalid("the body is not a form")
    if len(tokens) != 1:
        return _invalid("the parameter token is needed, once")
    return Asked(system, tokens[0])


def _invalid(why: str) -> Answer:
    return as_json(400, {"error": "invalid_request", "error_description": why})


def _described(found: TokenActive) -> dict[str, object]:
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
