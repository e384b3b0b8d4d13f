"""Records a refusal that was decided before any operation ran, such as a foreign workspace or an
invalid command."""

from bot.core.approval import Refused
from bot.operations._unit_of_work import Context, unit


def refuse_action(
    world: Context, by: str, action: str, refused: Refused, *, role: str = "", reason: str = ""
) -> Refused:
    """Records that `by` was refused `action`, and returns the refusal. Raises
    StorageUnavailable."""
    with unit(world) as u:
        return u.refuse(refused, by, action, role=role[:80], reason=reason)
