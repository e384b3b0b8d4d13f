"""Records a refusal that was found before any operation could: a foreign workspace, words that make no sense."""

from bot.core.approval import Refused
from bot.operations._unit import World, unit


def refuse_action(world: World, by: str, action: str, refused: Refused, *, role: str = "", reason: str = "") -> Refused:
    """Writes down that `by` was refused `action` and hands the refusal on. Raises StorageUnavailable."""
    with unit(world) as u:
        return u.refuse(refused, by, action, role=role[:80], reason=reason)
