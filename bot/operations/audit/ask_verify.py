"""Queues a check of the whole audit log for a lead."""

from bot.core import effects
from bot.core.approval import Refused
from bot.operations._leads_only import leads_only
from bot.operations._unit_of_work import Context, unit


def ask_verify(world: Context, by: str, channel: str) -> Refused | None:
    """Queues the check and its answer in `channel`; returns None if it is queued."""
    with unit(world) as u:
        if (refused := leads_only(u, by)) is not None:
            return u.refuse(refused, by, "verify the audit log")
        u.do(effects.verify_audit(by, channel))
    return None
