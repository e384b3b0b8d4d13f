"""Detects that another process has loaded a different roles.toml later, and reports it if that
lasts."""

import logging
import socket
from collections.abc import Callable

from bot.operations._unit_of_work import Context
from bot.operations.policy.record_policy import is_outdated, warn_outdated

log = logging.getLogger(__name__)

UNREPORTED = 60
"""Seconds for which the files of hosts may differ without a report, because a change takes time to
reach all."""


class RolesWatch:
    """`now` returns UTC seconds."""

    def __init__(self, world: Context, now: Callable[[], int]) -> None:
        self._world, self._now = world, now
        self._since: int | None = None
        self._reported = False

    def check(self) -> None:
        """Call it once a second. Raises StorageUnavailable."""
        if not is_outdated(self._world):
            if self._reported:
                log.info("the roles.toml of this process is the one in force again")
            self._since, self._reported = None, False
            return
        self._since = self._now() if self._since is None else self._since
        if self._reported or self._now() - self._since < UNREPORTED:
            return
        file = self._world.policy().file
        log.warning(
            "%s is not the one that another process loaded last: nothing is decided or started"
            " here",
            file,
        )
        warn_outdated(self._world, socket.gethostname())
        self._reported = True
