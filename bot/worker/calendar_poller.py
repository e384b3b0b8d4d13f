"""Reads the on-call calendars of roles.toml, each on a thread of its own.
`bot/operations/on_call/record_shifts.py` stores the result."""

import logging
from collections.abc import Callable
from functools import partial

from bot.connectors.fan_out import FanOut
from bot.core.errors import AccessBotError
from bot.core.on_call import Shift
from bot.core.rules import OnCall
from bot.operations._unit_of_work import Context
from bot.operations.on_call.record_shifts import claim_calendars, record_shifts, record_unread
from bot.sources.calendars import read_shifts

log = logging.getLogger(__name__)

CHECK_EVERY = 10
"""Seconds between two looks for a calendar that is to be read."""


class CalendarPoller:
    """One for each process that works."""

    def __init__(
        self, world: Context, read: Callable[[str, str, int], tuple[Shift, ...]] = read_shifts
    ) -> None:
        self._world, self._read, self._fan_out = world, read, FanOut()

    def poll(self) -> None:
        """Begins to read every calendar that is due, and waits for none. Raises
        StorageUnavailable."""
        due = {duty.name: partial(self.read, duty) for duty in claim_calendars(self._world)}
        self._fan_out.ask(due, 0)

    def read(self, duty: OnCall) -> None:
        """Reads one calendar; a failure is recorded, and has a next time."""
        now, zone = self._world.now(), self._world.policy().workspace.timezone
        try:
            found = self._read(duty.ical, zone, now)
        except AccessBotError as error:
            log.warning("the calendar of oncall.%s could not be read: %s", duty.name, error)
            record_unread(self._world, duty, str(error))
        else:
            record_shifts(self._world, duty, found, now)
