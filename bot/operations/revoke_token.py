"""Revokes one token that a system returns (RFC 7009); the grant stays until its end."""

from bot.core.audit import Event
from bot.operations._unit import SYSTEM, World, unit
from bot.operations.introspect_token import Claims, Closed, Open, introspect_token
from storage import grants, tokens


def revoke_token(world: World, claims: Claims, system: str) -> bool:
    """Revokes that token for good; returns False if it is not a working token of this system."""
    checked: Open | Closed = introspect_token(world, claims, system)
    if isinstance(checked, Closed):
        return False
    with unit(world) as u:
        grant = grants.get(u.db, checked.grant)
        if not tokens.revoke(u.db, claims.jti, u.now):
            return False
        u.record(Event.CREDENTIALS_REVOKED, SYSTEM, grant, system=system, jti=claims.jti, why="the system asked")
        return True
