"""Looks up tickets, for a decision that waits for it and for access that ends with its ticket."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from bot.connectors.fan_out import FanOut
from bot.core.errors import AccessBotError
from bot.core.rules import Tickets
from bot.core.tickets import TicketAnswer
from bot.operations._unit_of_work import Context
from bot.operations.tickets.end_closed import claim_watch, end_closed
from bot.operations.tickets.record_ticket import (
    record_ticket,
    ticket_of_request,
    ticket_of_start,
    ticket_to_look_up,
)
from bot.sources.tickets import look_up

log = logging.getLogger(__name__)

PATIENCE = 2.5
"""Seconds for one look-up, with the time to find the host's address."""

AT_ONCE = 8
"""Tickets that are looked up side by side."""


class TicketLookups:
    """One for each process that works."""

    def __init__(
        self, world: Context, ask: Callable[[Tickets, str], TicketAnswer] = look_up
    ) -> None:
        self._world, self._ask = world, ask

    def look_up_for(self, role: str, ticket: str) -> None:
        """Looks up the ticket of a request for this role, unless that was done in the last minute;
        the answer, or why there is none, is recorded. Raises StorageUnavailable."""
        if self._world.policy().tickets is None or not ticket:
            return
        if wanted := ticket_to_look_up(self._world, role, ticket):
            self._look_up([wanted])

    def look_up_of(self, request: str) -> None:
        """Looks up the ticket of a stored request."""
        if self._world.policy().tickets is None:
            return
        self.look_up_for(*ticket_of_request(self._world, request))

    def look_up_before_start(self, grant: str) -> None:
        """Looks up the ticket of a grant, because it is judged again before the start."""
        if self._world.policy().tickets is None:
            return
        self.look_up_for(*ticket_of_start(self._world, grant))

    def watch(self) -> None:
        """Looks up the tickets of active access, every five minutes in one process, and ends access
        whose ticket is closed. Raises StorageUnavailable."""
        wanted = claim_watch(self._world)
        for place in range(0, len(wanted), AT_ONCE):
            self._look_up(wanted[place : place + AT_ONCE])
            end_closed(self._world)

    def _look_up(self, wanted: Sequence[str]) -> None:
        settings, now = self._world.policy().tickets, self._world.now()
        if settings is None:
            return
        questions = {ticket: partial(self._ask, settings, ticket) for ticket in wanted}
        for ticket, answer in FanOut().ask(questions, PATIENCE).items():
            if isinstance(answer, AccessBotError):
                log.warning("the ticket %s could not be looked up: %s", ticket, answer)
                record_ticket(self._world, settings, ticket, str(answer), now)
            else:
                record_ticket(self._world, settings, ticket, answer, now)
