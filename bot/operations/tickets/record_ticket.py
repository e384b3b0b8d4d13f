"""Records the answer of the ticket system about a ticket, so that decisions judge by rows."""

import hashlib

from bot.core.model import is_recent
from bot.core.roles import Role
from bot.core.rules import Tickets
from bot.core.tickets import LOOK_UP_AGAIN, TicketAnswer
from bot.operations._approved_ahead import approved_ahead
from bot.operations._unit_of_work import Context, Snapshot, reading, unit
from storage import grants, requests, tickets

LONGEST_ERROR = 300
"""Characters."""


def digest_of(settings: Tickets) -> str:
    """Stands for the ticket system in rows: another one says nothing about the same ticket."""
    return hashlib.sha256(f"{settings.kind} {settings.url}".encode()).hexdigest()[:16]


def must_be_looked_up(u: Snapshot, role: Role, ticket: str) -> bool:
    """Whether a request for this role with this ticket has to wait for a look-up."""
    if u.policy.tickets is None or role.ticket is None or not role.is_ticket(ticket):
        return False
    found = tickets.get(u.db, digest_of(u.policy.tickets), ticket)
    return found is None or not is_recent(found.checked_at, u.now, LOOK_UP_AGAIN)


def ticket_to_look_up(world: Context, role: str, ticket: str) -> str:
    """Returns the ticket if it has to be looked up now, else "". Raises StorageUnavailable."""
    with reading(world) as u:
        known = u.policy.roles.get(role)
        return ticket if known and must_be_looked_up(u, known, ticket) else ""


def ticket_of_request(world: Context, request: str) -> tuple[str, str]:
    """Returns role and ticket of a request. Raises StorageUnavailable."""
    with world.db.reading():
        found = requests.get(world.db, request)
    return (found.role, found.ticket) if found else ("", "")


def ticket_of_start(world: Context, grant_id: str) -> tuple[str, str]:
    """Returns role and ticket of a grant that was approved in advance for a later start, because
    its ticket is judged again then. Raises StorageUnavailable."""
    with reading(world) as u:
        grant = grants.get(u.db, grant_id)
        request = requests.get(u.db, grant.request) if grant else None
        ahead = approved_ahead(u, grant, request) if grant else None
    return (ahead.request.role, ahead.request.ticket) if ahead else ("", "")


def record_ticket(
    world: Context, settings: Tickets, ticket: str, answer: TicketAnswer | str, at: int
) -> None:
    """Records the answer to a question of `at` (UTC seconds); a text says why there is none. Raises
    StorageUnavailable."""
    found = (
        tickets.LookUp(ticket, at, error=answer[:LONGEST_ERROR])
        if isinstance(answer, str)
        else tickets.LookUp(ticket, at, answer.found, answer.is_open, answer.assignees)
    )
    with unit(world) as u:
        tickets.keep(u.db, digest_of(settings), found)
