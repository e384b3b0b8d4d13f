"""Revokes one token that a system returns (RFC 7009); the grant stays until its end."""

from bot.core.audit import Event
from bot.core.model import Claims
from bot.operations._unit_of_work import SYSTEM, Context, unit
from bot.operations.tokens.introspect_token import TokenActive, TokenInactive, introspect_token
from storage import grants, tokens


def revoke_token(world: Context, claims: Claims, system: str) -> bool:
    """Revokes that token permanently; returns False if it is not a working token of this system."""
    checked: TokenActive | TokenInactive = introspect_token(world, claims, system)
    if isinstance(checked, TokenInactive):
        return False
    with unit(world) as u:
        grant = grants.get(u.db, checked.grant)
        if not tokens.revoke(u.db, claims.jti, u.now):
            return False
        u.record(
            Event.CREDENTIALS_REVOKED,
            SYSTEM,
            grant,
            system=system,
            jti=claims.jti,
            why="the system asked",
        )
        return True
