"""Looks whether others on this machine may read the files that hold secrets, or change what decides who gets access."""

import stat
from collections.abc import Iterator
from pathlib import Path

from bot.doctor.findings import Finding, Patient, fail, ok, warn
from bot.settings import VARIABLES

OTHERS = stat.S_IRWXO | stat.S_IWGRP
"""The owner's group may read a file with secrets, because services often get their files so."""


def files(patient: Patient) -> Iterator[Finding]:
    found = [*_private(patient), *_unchanged(patient)]
    yield from found or [ok("files", "no other account of this machine may read or change them")]


def _private(patient: Patient) -> Iterator[Finding]:
    """One finding for each file with secrets that others may read or change."""
    environ, url = patient.settings.environ, patient.settings.database_url
    secrets = [(".env", Path(".env"))]
    for name in (f"{name}_FILE" for name, variable in VARIABLES.items() if variable.secret):
        if named := environ.get(name, "").strip():
            secrets.append((name, Path(named)))
    if patient.base.db.is_sqlite:
        database = url.removeprefix("sqlite:///")
        secrets += [("database", Path(database + end)) for end in ("", "-wal", "-shm")]
    for subject, path in secrets:
        mode = _mode(path)
        if mode & stat.S_IWOTH:
            yield fail(subject, _words(path, "changed", mode, "0600"))
        elif mode & OTHERS:
            done = "read" if mode & stat.S_IRWXO else "changed"
            yield warn(subject, _words(path, done, mode, "0600"))


def _unchanged(patient: Patient) -> Iterator[Finding]:
    """roles.toml holds no secret, but whoever changes it decides who gets access."""
    path = Path(patient.settings.roles_path)
    if (mode := _mode(path)) & stat.S_IWOTH:
        yield fail(patient.policy.file, _words(path, "changed", mode, "o-w"))


def _words(path: Path, done: str, mode: int, right: str) -> str:
    by = "everybody on this machine" if mode & stat.S_IRWXO else "its group"
    return f"{path} may be {done} by {by} (mode {stat.S_IMODE(mode):04o}): chmod {right} {path}"


def _mode(path: Path) -> int:
    """0 for a file that is not there, or is none."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return 0
    return mode if stat.S_ISREG(mode) else 0
