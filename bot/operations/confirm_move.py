"""Somebody says that a system whose settings lead elsewhere now is the same one: ends there count again."""

from bot.core.approval import Refused
from bot.core.audit import Event
from bot.core.effects import Queue
from bot.operations._unit import World, unit
from storage import grants, marks, outbox


def confirm_move(world: World, actor: str, system: str, target: str) -> int | Refused:
    """`target` is where its settings lead; what waits to end there is tried at once. Gives how many grants this is
    about. Raises StorageUnavailable."""
    with unit(world) as u:
        moved = max(grants.move_targets(u.db, system, target), marks.drop_places(u.db, system))
        if not moved:
            elsewhere = f"No current access was granted at another address of {system}"
            return Refused(f"{elsewhere}: nothing was changed.")
        u.note(Event.TARGET_CONFIRMED, actor, system=system, grants=moved)
        outbox.hurry_systems(u.db, Queue.END, [system], u.now)
        return moved
