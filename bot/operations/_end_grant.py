"""Requests the end of grants: this commit closes their gates and queues the revocation on every
system."""

from collections.abc import Sequence

from bot.core import effects
from bot.core.audit import Event
from bot.core.lifecycle import Move
from bot.core.model import EndReason, Grant, Request
from bot.operations._unit_of_work import UnitOfWork
from storage import grants, outbox, requests


def request_end(
    u: UnitOfWork,
    ending: Sequence[Grant],
    why: EndReason,
    by: str,
    reason: str = "",
    because: str = "",
    words: str = "",
) -> None:
    """Ends grants that the caller has locked and found held. `by` is the audit actor, `reason` the
    text that they typed, `because` our own explanation if nobody requested the end. `words` are for
    the holder."""
    if not ending:
        return
    grants.request_end(u.db, [grant.id for grant in ending], why, by, words)
    keys = [effects.grant_key(grant.id) for grant in ending]
    late = outbox.tried(u.db, keys)
    outbox.drop(u.db, keys)  # cancels starts and renewals that have not been claimed
    for grant in ending:
        more = {"because": because} if because else {}
        u.record(Event.END_ASKED, by, grant, reason=reason, why=why, ends_at=grant.ends_at, **more)
        is_late = effects.grant_key(grant.id) in late
        u.do(*(effects.end_lease(grant.id, system, late=is_late) for system in grant.systems))


def withdraw(u: UnitOfWork, request: Request, by: str, why: str = "") -> bool:
    """Closes a pending request without a decision; returns False if it was decided meanwhile."""
    if not requests.move(u.db, request.id, Move.WITHDRAW, u.now, by, why):
        return False
    u.record(Event.REQUEST_WITHDRAWN, by, request, why=why)
    u.do(effects.update_approval(request.id, channel_of(u, request.role)))
    return True


def channel_of(u: UnitOfWork, role: str) -> str:
    """Returns the channel for messages about a role, even if roles.toml no longer has the role."""
    found = u.policy.roles.get(role)
    return found.channel if found else u.policy.workspace.approvals_channel
