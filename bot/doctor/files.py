"""Checks that no other account on this machine can read secrets or change roles.toml."""

import stat
from collections.abc import Iterator
from pathlib import Path

from bot.config.roles.parse import variables_in
from bot.config.settings import VARIABLES
from bot.doctor.findings import Deployment, Finding, fail, ok, warn

OTHERS = stat.S_IRWXO | stat.S_IWGRP
"""Permissions that no file with secrets may have. Its group may read it: services often need
that."""


def files(deployment: Deployment) -> Iterator[Finding]:
    found = [*_private(deployment), *_unchanged(deployment)]
    yield from found or [
        ok("files", "no other account on this machine can read secrets or change roles.toml")
    ]


def _private(deployment: Deployment) -> Iterator[Finding]:
    """Yields a finding for each file with secrets that another account can read or change."""
    environ, url = deployment.settings.environ, deployment.settings.database_url
    secrets = [(".env", Path(".env"))]
    names = {name for name, variable in VARIABLES.items() if variable.secret}
    for name in sorted(names | variables_in(deployment.policy.text)):
        if named := environ.get(f"{name}_FILE", "").strip():
            secrets.append((f"{name}_FILE", Path(named)))
    if deployment.base.db.is_sqlite:
        database = url.removeprefix("sqlite:///")
        secrets += [("database", Path(database + end)) for end in ("", "-wal", "-shm")]
    for subject, path in secrets:
        mode = _mode(path)
        if mode & stat.S_IWOTH:
            yield fail(subject, _words(path, "change", mode, "0600"))
        elif mode & OTHERS:
            verb = "read" if mode & stat.S_IRWXO else "change"
            yield warn(subject, _words(path, verb, mode, "0600"))


def _unchanged(deployment: Deployment) -> Iterator[Finding]:
    """Yields a finding if every account can change roles.toml, which decides who gets access."""
    path = Path(deployment.settings.roles_path)
    if (mode := _mode(path)) & stat.S_IWOTH:
        yield fail(deployment.policy.file, _words(path, "change", mode, "o-w"))


def _words(path: Path, verb: str, mode: int, right: str) -> str:
    by = "every account on this machine" if mode & stat.S_IRWXO else "its group"
    return f"{by} can {verb} {path} (mode {stat.S_IMODE(mode):04o}): run `chmod {right} {path}`"


def _mode(path: Path) -> int:
    """Returns 0 if there is no such file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return 0
    return mode if stat.S_ISREG(mode) else 0
