"""Queues a comparison of every system with our rows once a night, in the workspace's time zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

from bot.core import effects
from bot.operations._unit_of_work import SYSTEM, Context, unit
from storage import key_values

HOUR = 3
"""The local hour from which it runs; a night that was missed because no process ran is made up for
at the next start."""


def reconcile_nightly(world: Context) -> bool:
    """Queues the comparison, unless a process has queued it this night. Raises
    StorageUnavailable."""
    local = datetime.fromtimestamp(world.now(), ZoneInfo(world.policy().workspace.timezone))
    if local.hour < HOUR:
        return False
    with unit(world) as u:
        if not key_values.claim_key(u.db, f"reconcile:{local:%Y-%m-%d}", u.now):
            return False
        u.do(effects.reconcile(SYSTEM, ""))
    return True
