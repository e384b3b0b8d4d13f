"""Claims the nightly check of the installation, and reports the changes since the last one."""

import json
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.core.audit import Event
from bot.core.checkup import Comparison, compare
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, unit
from bot.operations.systems.reconcile_nightly import HOUR
from storage import key_values

KNOWN = "problems of the last checkup"


def claim_checkup(world: Context) -> bool:
    """Returns True to one process each night. Raises StorageUnavailable."""
    local = datetime.fromtimestamp(world.now(), ZoneInfo(world.policy().workspace.timezone))
    if local.hour < HOUR:
        return False
    with unit(world) as u:
        return key_values.claim_key(u.db, f"checkup:{local:%Y-%m-%d}", u.now)


def record_checkup(world: Context, found: Sequence[str], is_complete: bool) -> Comparison:
    """Stores the problems, and notifies the security channel if they have changed. `is_complete`
    says whether everything could be checked. Raises StorageUnavailable."""
    with unit(world) as u:
        before: list[str] = json.loads(key_values.get(u.db, KNOWN) or "[]")
        compared = compare(before, found, is_complete)
        key_values.put(u.db, KNOWN, json.dumps(compared.open))
        if compared.new or compared.solved:
            _report(u, list(compared.new), list(compared.solved), len(compared.open))
        return compared


def _report(u: UnitOfWork, new: list[str], solved: list[str], left: int) -> None:
    u.note(Event.CHECKUP_CHANGED, SYSTEM, new=new, solved=solved, open=left)
    u.notify_leads("checkup_changed", new=new, solved=solved, open=left)
