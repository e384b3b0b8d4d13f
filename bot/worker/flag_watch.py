"""Checks the log for new flags, on its own thread."""

import logging
import threading

from bot.core.errors import AccessBotError
from bot.operations._unit_of_work import Context
from bot.operations.flags.raise_flags import FlagRaiser

log = logging.getLogger(__name__)

EVERY = 0.5
"""Seconds between two looks: a flag is in the channel within a second, and a busy bot checks many
records at once, so that no transaction pays for it."""


class FlagWatch:
    """The thread of one process."""

    def __init__(self, world: Context) -> None:
        self._raiser, self._stopping = FlagRaiser(world), threading.Event()
        self._thread = threading.Thread(target=self._run, name="flags", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY):
            try:
                self._raiser.raise_new()
            except AccessBotError as error:
                log.warning("flags are raised later: %s", error)
            except Exception:
                log.exception("the check for flags failed")
