"""Once a night, in the workspace's time zone, every system is asked whether it agrees with the rows."""

from datetime import datetime
from zoneinfo import ZoneInfo

from bot.core import effects
from bot.operations._unit import SYSTEM, World, unit
from storage import facts

HOUR = 3
"""From then on, local time; a night that was missed because nobody was running is made up for when somebody is."""


def reconcile_nightly(world: World) -> bool:
    """Leaves word to ask every system, unless that was done this night, by whichever process. Raises
    StorageUnavailable."""
    local = datetime.fromtimestamp(world.now(), ZoneInfo(world.policy().workspace.timezone))
    if local.hour < HOUR:
        return False
    with unit(world) as u:
        if not facts.claim_key(u.db, f"reconcile:{local:%Y-%m-%d}", u.now):
            return False
        u.do(effects.reconcile(SYSTEM, ""))
    return True
