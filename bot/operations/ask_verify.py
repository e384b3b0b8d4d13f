"""A lead asks whether the audit log is whole; the walk takes its time and the verdict is told when it is known."""

from bot.core import effects
from bot.core.approval import Refused
from bot.operations._leads import leads_only
from bot.operations._unit import World, unit


def ask_verify(world: World, by: str, channel: str) -> Refused | None:
    """Leaves word to check the chain and to answer in `channel`; None means that it is on its way."""
    with unit(world) as u:
        if (refused := leads_only(u, by)) is not None:
            return u.refuse(refused, by, "verify the audit log")
        u.do(effects.verify_audit(by, channel))
    return None
