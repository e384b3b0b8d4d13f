"""Makes requests with the terms that a role has now."""

from bot.core.model import Request, RequestState, Urgency
from bot.core.programs import Program
from bot.core.roles import Role
from bot.operations._unit_of_work import UnitOfWork, new_id


def new_request(
    u: UnitOfWork,
    role: Role,
    requester: str,
    duration: int,
    reason: str,
    *,
    ticket: str = "",
    start_at: int | None = None,
    renews: str | None = None,
    urgency: Urgency = Urgency.ORDINARY,
    program: Program | None = None,
) -> Request:
    """A pending request, which the caller stores. A role with parameters must have its values."""
    return Request(
        id=program.request if program else new_id("r"),
        requester=requester,
        role=role.name,
        systems=role.systems,
        actions=role.actions,
        system_actions=role.system_actions,
        fingerprint=role.fingerprint,
        duration=duration,
        reason=reason,
        ticket=ticket,
        start_at=start_at,
        state=RequestState.PENDING,
        created_at=u.now,
        lapses_at=u.now + role.pending_timeout,
        renews=renews,
        urgency=urgency,
        program=program.name if program else "",
        parameters=role.values,
    )
