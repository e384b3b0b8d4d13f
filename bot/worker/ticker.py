"""Runs a few short checks once a second, on one thread.

A check that fails runs again a second later.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from bot.core.errors import AccessBotError

log = logging.getLogger(__name__)

INTO = 0.05
"""The offset in each second: a deadline at a whole second is found just after it, not up to a
second later."""

WELL = 30.0
"""Seconds within which it must have run."""


class CommitWatcher:
    """Reads rows only after a new commit: every commit changes `version`, which is 0 if that can't
    be detected. Raises if a check fails."""

    def __init__(self, version: Callable[[], int], checks: Sequence[Callable[[], object]]) -> None:
        self._version, self._checks = version, checks
        self._seen: int | None = None

    def check(self) -> None:
        # After an error the next check reads everything again.
        seen, self._seen = self._seen, None
        version = self._version()
        if version == 0 or version != seen:
            for check in self._checks:
                check()
        self._seen = version


class Ticker:
    """`exact` returns UTC seconds with their fraction; `checks` run in this order."""

    def __init__(
        self, exact: Callable[[], float], checks: Mapping[str, Callable[[], object]]
    ) -> None:
        self._exact, self._checks = exact, dict(checks)
        self._stopping, self._turned = threading.Event(), time.monotonic()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def well(self) -> bool:
        """Whether it has run recently."""
        return self._thread.is_alive() and time.monotonic() - self._turned < WELL

    def _run(self) -> None:
        while not self._stopping.wait(1 + INTO - self._exact() % 1):
            self._turned = time.monotonic()
            for name, check in self._checks.items():
                self._guarded(name, check)

    def _guarded(self, name: str, check: Callable[[], object]) -> None:
        try:
            check()
        except AccessBotError as error:
            log.warning("%s: %s", name, error)
        except Exception:
            log.exception("the check of %s failed", name)
