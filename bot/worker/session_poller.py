"""Looks at the sessions that are open on connected systems, as far as their connectors can tell.
What that means for the rows is `bot/operations/usage/record_sessions.py`'s.
"""

import logging
import time
from functools import partial

from bot.connectors import Systems
from bot.connectors.base import Watches
from bot.connectors.fan_out import FanOut
from bot.core.errors import AccessBotError
from bot.operations._unit_of_work import Context
from bot.operations.usage.record_sessions import claim_look, record_sessions, systems_to_watch

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds after which what a system answers is too old to be believed."""

SLOT = 10
"""Seconds in which one process looks at a system, whatever the number of processes."""

MOST = 5_000
"""Sessions of one system that are kept of a look; a system that has more is not one that people log
in to."""


class SessionPoller:
    """One for each process that works."""

    def __init__(self, world: Context, systems: Systems, patience: float = PATIENCE) -> None:
        self._world, self._systems, self._patience = world, systems, patience
        self._aside = FanOut()

    def look(self) -> None:
        """Begins a look at every system under grants that are not over, and waits for none: each is
        written down when it answers. Raises StorageUnavailable."""
        questions = {
            name: partial(self._look, name, kind)
            for name, kind in systems_to_watch(self._world).items()
        }
        self._aside.ask(questions, 0)

    def _look(self, name: str, kind: str) -> None:
        """One system, on a thread of its own; a failure has a next time and is in the log."""
        try:
            self._ask(name, kind)
        except AccessBotError as error:
            log.warning("the sessions on %s could not be seen: %s", name, error)

    def _ask(self, name: str, kind: str) -> None:
        connector = self._systems.of(name, kind)
        now, began = self._world.now(), time.monotonic()
        if not isinstance(connector, Watches) or not claim_look(self._world, name, now // SLOT):
            return
        found = [*connector.sessions()]
        if time.monotonic() - began > self._patience:
            log.warning(
                "%s took %.0f s to tell its sessions: too old", name, time.monotonic() - began
            )
            return
        if len(found) > MOST:
            log.warning(
                "%s has %s sessions under grants, of which %s are kept", name, len(found), MOST
            )
        record_sessions(self._world, name, found[:MOST], now)
