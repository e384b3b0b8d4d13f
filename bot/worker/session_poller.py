"""Polls the open sessions of connected systems that can list them.
`bot/operations/usage/record_sessions.py` records them.
"""

import logging
import time
from functools import partial

from bot.connectors import Systems
from bot.connectors.base import Watches
from bot.connectors.fan_out import FanOut
from bot.core.errors import AccessBotError
from bot.operations._unit_of_work import Context
from bot.operations.usage.record_sessions import claim_poll, record_sessions, systems_to_watch

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds after which a system's answer is too old."""

SLOT = 10
"""Seconds for which only one process polls a system."""

MOST = 5_000
"""The most sessions of one system that a poll keeps; people don't log in that often."""


class SessionPoller:
    """The polls of one process."""

    def __init__(self, world: Context, systems: Systems, patience: float = PATIENCE) -> None:
        self._world, self._systems, self._patience = world, systems, patience
        self._fan_out = FanOut()

    def poll(self) -> None:
        """Starts a poll of every system with active grants, without waiting; each result is
        recorded when it arrives. Raises StorageUnavailable."""
        questions = {
            name: partial(self._poll_system, name, kind)
            for name, kind in systems_to_watch(self._world).items()
        }
        self._fan_out.ask(questions, 0)

    def _poll_system(self, name: str, kind: str) -> None:
        """Polls one system on its own thread. A failure is logged, and the next poll tries
        again."""
        try:
            self._ask(name, kind)
        except AccessBotError as error:
            log.warning("the sessions on %s could not be listed: %s", name, error)

    def _ask(self, name: str, kind: str) -> None:
        connector = self._systems.of(name, kind)
        now, began = self._world.now(), time.monotonic()
        if not isinstance(connector, Watches) or not claim_poll(self._world, name, now // SLOT):
            return
        found = [*connector.sessions()]
        if time.monotonic() - began > self._patience:
            log.warning(
                "%s took %.0f s to list its sessions: too old", name, time.monotonic() - began
            )
            return
        if len(found) > MOST:
            log.warning(
                "%s has %s sessions under grants, of which %s are kept", name, len(found), MOST
            )
        record_sessions(self._world, name, found[:MOST], now)
