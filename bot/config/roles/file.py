"""Keeps the roles.toml in force, and reads the file again when it changes. A bad file changes
nothing."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bot.config.roles.parse import decode_policy, read_content
from bot.core.errors import ConfigError, Problem
from bot.core.roles import Policy, SystemKind, no_policy

log = logging.getLogger(__name__)

Rejected = Callable[[str, list[Problem]], None]

LEAST_CHECKS = 2
CHECKS_WHEN_SHORTER = 4
"""The number of checks in a row, a second apart, that must see the same content before it is
loaded. A half-written file may be valid and less strict, so a file that became shorter has to stay
the same for longer."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The file at one moment. `content` is None if it can't be read; `error` then says why."""

    content: bytes | None
    error: ConfigError | None
    mark: tuple[object, ...]

    @property
    def digest(self) -> str:
        return sha256(
            str(self.error).encode() if self.content is None else self.content
        ).hexdigest()

    @property
    def size(self) -> int:
        return len(self.content or b"")


class RolesFile:
    """Raises ConfigError if the file can't be loaded at the start. `only_ending` is for commands
    that end access: a bad file must not prevent them."""

    def __init__(
        self,
        path: str,
        environ: Mapping[str, str],
        kinds: Mapping[str, SystemKind],
        only_ending: bool = False,
    ) -> None:
        self._path, self._environ, self._kinds = path, environ, kinds
        self._judged = self._read_file()
        self._pending, self._times = self._judged, LEAST_CHECKS
        self._good = self._judged.size
        try:
            self.policy = self._read(self._judged)
        except ConfigError as error:
            if not only_ending:
                raise
            log.warning("%s can't be loaded; access can still be ended:\n%s", path, error)
            self.policy = no_policy(path, self._kinds)

    def current(self) -> Policy:
        return self.policy

    def reload(self, loaded: Callable[[Policy], None], rejected: Rejected) -> None:
        """Checks the file once, and loads it if it has changed and saving has finished. `rejected`
        gets a digest of the bad content and its problems. If `loaded` or `rejected` fails, it is
        retried at the next look."""
        seen = self._read_file()
        self._times = self._times + 1 if self._same(seen) else 1
        self._pending = seen
        if seen.digest == self._judged.digest:
            return
        if self._times < (CHECKS_WHEN_SHORTER if seen.size < self._good else LEAST_CHECKS):
            return
        try:
            found = self._read(seen)
        except ConfigError as error:
            rejected(seen.digest, error.problems)
            log.error(
                "the changed roles.toml has problems; the last good one stays in force:\n%s", error
            )
        else:
            self.policy = found
            loaded(found)
            self._good = seen.size
        self._judged = seen

    def _same(self, seen: _Snapshot) -> bool:
        return (seen.mark, seen.digest) == (self._pending.mark, self._pending.digest)

    def _read(self, seen: _Snapshot) -> Policy:
        if seen.content is None:
            raise seen.error or AssertionError("a file that can't be read has an error")
        return decode_policy(seen.content, self._path, self._environ, self._kinds)

    def _read_file(self) -> _Snapshot:
        try:
            content = read_content(self._path)
            stat = Path(self._path).stat()
        except ConfigError as error:
            return _Snapshot(None, error, ())
        except OSError as error:
            return _Snapshot(
                None,
                ConfigError([Problem(self._path, 0, "", f"can't be read: {error.strerror}")]),
                (),
            )
        return _Snapshot(content, None, (stat.st_mtime_ns, stat.st_size, stat.st_ino))
