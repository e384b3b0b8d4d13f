"""Drops what can have no effect any more."""

from bot.operations._unit import World, unit
from storage import alarms, facts, ssh, tokens

WEEK, MONTH = 7 * 86400, 30 * 86400


def forget_old(world: World) -> None:
    """Idempotency keys after a week; dead tokens and certificates, and alarms that are over, after a month. Raises
    StorageUnavailable."""
    with unit(world) as u:
        facts.forget_keys(u.db, u.now - WEEK)
        tokens.forget(u.db, u.now - MONTH)
        ssh.forget(u.db, u.now - MONTH)
        alarms.forget(u.db, u.now - MONTH)
