"""Asks Slack for our own identity in the background until Slack answers, and then calls a function
once. Revocations do not wait for it.
"""

import logging
import threading
from collections.abc import Callable

from bot.core.backoff import Backoff
from bot.core.errors import AccessBotError
from bot.slack.identity import Identity

log = logging.getLogger(__name__)

BACKOFF = Backoff(first=1, longest=30)
"""Between two tries."""


class ConnectLoop:
    """A thread; `then` is called once, after Slack has answered."""

    def __init__(self, identity: Identity, then: Callable[[], None]) -> None:
        self._identity, self._then = identity, then
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="connect", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        for pause in BACKOFF:
            if self._stopping.is_set():
                return
            try:
                known = self._identity.ask()
                log.info("connected to the Slack workspace %s as %s", known.team, known.bot_user)
                self._then()
                return
            except Exception as error:  # without a next try no payload would ever arrive
                trace = None if isinstance(error, AccessBotError) else error
                log.warning(
                    "Slack does not say who we are: %s; next try in %.0f s",
                    error,
                    pause,
                    exc_info=trace,
                )
                self._stopping.wait(pause)
