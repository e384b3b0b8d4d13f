"""The roles.toml in force. It is read again when it changes; a bad one leaves the last good one in force, and that is
said. What may stand in it is decided in `core/policy.py`.
"""

import logging
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from bot.connectors import installed, judge
from bot.core.errors import ConfigError, Problem
from bot.core.policy import Policy, load_policy, no_policy

log = logging.getLogger(__name__)

Rejected = Callable[[str, list[Problem]], None]


class RolesFile:
    """Raises ConfigError when it can't be read at the start: without roles nothing can be decided. `only_ending`
    is for verbs that end access, which a bad file must not prevent."""

    def __init__(self, path: str, environ: Mapping[str, str], only_ending: bool = False) -> None:
        self._path, self._environ = Path(path), environ
        self._seen = self._mark()
        try:
            self.policy = load_policy(path, environ, installed(), judge)
        except ConfigError as error:
            if not only_ending:
                raise
            log.warning("%s can't be read, but access can be ended all the same:\n%s", path, error)
            self.policy = no_policy(path)

    def current(self) -> Policy:
        return self.policy

    def reload(self, loaded: Callable[[Policy], None], rejected: Rejected) -> None:
        """Reads the file again if it was saved since. `rejected` gets a digest of the bad content, and its problems."""
        mark = self._mark()
        if mark == self._seen:
            return
        try:
            found = load_policy(str(self._path), self._environ, installed(), judge)
        except ConfigError as error:
            log.error("roles.toml was changed and is bad; the last good one stays in force:\n%s", error)
            rejected(self._digest(), error.problems)
        else:
            self.policy = found
            loaded(found)
        self._seen = mark

    def _mark(self) -> tuple[object, ...]:
        """Changes when the file is saved, replaced or removed."""
        try:
            stat = self._path.stat()
        except OSError as error:
            return (type(error).__name__,)
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _digest(self) -> str:
        try:
            return sha256(self._path.read_bytes()).hexdigest()
        except OSError as error:
            return type(error).__name__
