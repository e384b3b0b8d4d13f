"""Looks at what nobody rings for: once a second, one thread for all that has to be looked at.

It doesn't know what it looks at. Every look is short, and one that fails has a next time.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from bot.core.errors import AccessBotError

log = logging.getLogger(__name__)

INTO = 0.05
"""How far into each second it looks: what is due at a whole second is found then, and not up to a
second later."""

WELL = 30.0
"""Seconds within which it must have looked."""


class CommitWatcher:
    """Looks at rows only when somebody has committed since it looked last: `version` is a number
    that every commit changes, and 0 where that can't be seen. Every look raises what keeps it from
    looking."""

    def __init__(self, version: Callable[[], int], looks: Sequence[Callable[[], object]]) -> None:
        self._version, self._looks = version, looks
        self._seen: int | None = None

    def look(self) -> None:
        seen, self._seen = (
            self._seen,
            None,
        )  # until all of it was seen, and on a connection that is still the same
        version = self._version()
        if version == 0 or version != seen:
            for look in self._looks:
                look()
        self._seen = version


class Ticker:
    """`exact` gives UTC seconds with their fraction; `looks` are done in this order."""

    def __init__(
        self, exact: Callable[[], float], looks: Mapping[str, Callable[[], object]]
    ) -> None:
        self._exact, self._looks = exact, dict(looks)
        self._stopping, self._turned = threading.Event(), time.monotonic()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def well(self) -> bool:
        """Whether it has looked lately."""
        return self._thread.is_alive() and time.monotonic() - self._turned < WELL

    def _run(self) -> None:
        while not self._stopping.wait(1 + INTO - self._exact() % 1):
            self._turned = time.monotonic()
            for name, look in self._looks.items():
                self._guarded(name, look)

    def _guarded(self, name: str, look: Callable[[], object]) -> None:
        try:
            look()
        except AccessBotError as error:
            log.warning("%s: %s", name, error)
        except Exception:
            log.exception("%s could not be looked at", name)
