"""Confirms that a system at its new address is the same system, so that revocations there count."""

from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.effects import Queue
from bot.operations._unit_of_work import Context, unit
from storage import grants, memberships, outbox


def confirm_target(world: Context, actor: str, system: str, target: str) -> int | Refused:
    """Confirms `target`, where the settings of the system lead; waiting revocations there run at
    once. Returns the number of grants concerned. Raises StorageUnavailable."""
    with unit(world) as u:
        moved = max(
            grants.move_targets(u.db, system, target), memberships.drop_places(u.db, system)
        )
        if not moved:
            elsewhere = f"No current access was granted at another address of {system}"
            return Refused(f"{elsewhere}: nothing was changed.")
        u.note(Event.TARGET_CONFIRMED, actor, system=system, grants=moved)
        outbox.run_systems_now(u.db, Queue.END, [system], u.now)
        return moved
