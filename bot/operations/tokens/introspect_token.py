"""Checks whether a token or a browser session opens a system now, from the rows of its grant. A
valid token of another system is reported as such."""

import json
from functools import lru_cache
from hmac import compare_digest
from typing import NamedTuple

from bot.core.model import Claims
from bot.operations._unit_of_work import Context
from storage import browser_access, tokens


class TokenActive(NamedTuple):
    """The token opens the system until `expires_at` (UTC seconds). `jti` is "" for a browser
    session."""

    jti: str
    grant: str
    person: str
    email: str
    role: str
    scope: str
    system: str
    issued_at: int
    expires_at: int


class TokenInactive(NamedTuple):
    """The token does not open the system. `grant` is set if the token is ours, `elsewhere` if it is
    valid for another system."""

    why: str
    grant: str = ""
    elsewhere: bool = False


def introspect_token(world: Context, claims: Claims, system: str) -> TokenActive | TokenInactive:
    """Checks claims against the token's row, its grant and its gate. Raises StorageUnavailable.

    Runs one statement on the caller's thread and records nothing (`count_usage` does).
    """
    row = tokens.check(world.db, claims.jti, system)
    if row is None or not compare_digest(row.hash, claims.digest):
        return TokenInactive("unknown")
    return _judged(row, system, world.now(), claims.exp, claims.jti)


def introspect_session(
    world: Context, digest: str, system: str, refused: str = ""
) -> TokenActive | TokenInactive:
    """Checks the browser session with this hash like a token; `refused` is the reason why this
    request may not use it even if it is valid. Raises StorageUnavailable."""
    row = browser_access.check(world.db, digest, system)
    if row is None:
        return TokenInactive("unknown")
    found = _judged(row, system, world.now(), row.expires_at)
    return TokenInactive(refused, found.grant) if refused and found.grant else found


def _judged(
    row: tokens.Checked, system: str, now: int, exp: int, jti: str = ""
) -> TokenActive | TokenInactive:
    end = min(exp, row.expires_at, row.ends_at)
    if row.revoked_at is not None:
        return TokenInactive("replaced or revoked", row.grant)
    if now >= end:
        return TokenInactive("expired", row.grant)
    if row.state != "active":
        return TokenInactive(row.state, row.grant)
    if row.system is None or row.actions is None:
        return TokenInactive("other system", row.grant, elsewhere=True)
    if row.gate_until is None or now >= row.gate_until:
        return TokenInactive("gate closed", row.grant)
    return TokenActive(
        jti=jti,
        grant=row.grant,
        person=row.person,
        email=row.email,
        role=row.role,
        scope=_scope(row.actions),
        system=system,
        issued_at=row.issued_at,
        expires_at=min(end, row.gate_until),
    )


@lru_cache(maxsize=1024)
def _scope(actions: str) -> str:
    return " ".join(json.loads(actions))
