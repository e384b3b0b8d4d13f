"""The smallest real system: a folder with one file for each access. A file `.down` in it makes the
system fail, `.hang` makes it hang, `.keeps` makes it ignore every end, `.mute` makes it act without
an answer, and `.dies` kills the calling process, once, when the access is made."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bot import connectors
from bot.connectors.base import ConnectorDeps, ConnectorKind, ObservedAccess
from bot.connectors.settings import SystemTable, Text
from bot.core.errors import SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.roles import System


class Blind:
    """Without any optional methods."""

    def __init__(self, system: System, _tools: ConnectorDeps) -> None:
        self._folder = Path(str(system.settings["folder"]))
        if not self._folder.is_absolute():
            raise ValueError("folder must be an absolute path")

    def grant(self, order: ProvisionOrder) -> None:
        self._file(order.grant).write_text(order.person.id)
        if (dies := self._folder / ".dies").exists():
            dies.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        self._answers()

    def revoke(self, order: ProvisionOrder) -> None:
        file = self._file(order.grant)
        if not (self._folder / ".keeps").exists():
            file.unlink(missing_ok=True)

    def read_back(self, order: ProvisionOrder) -> bool:
        self._answers()
        return self._file(order.grant).exists()

    def _file(self, name: str) -> Path:
        self._ready()
        return self._folder / f"access-{name}"

    def _answers(self) -> None:
        if (self._folder / ".mute").exists():
            raise SystemUnavailable("the folder gave no answer")

    def _ready(self) -> None:
        while (self._folder / ".hang").exists():
            time.sleep(0.02)
        if (self._folder / ".down").exists():
            raise SystemUnavailable("the folder is locked")


class Folder(Blind):
    def list_active(self) -> Iterable[ObservedAccess]:
        self._ready()
        for file in sorted(self._folder.glob("access-*")):
            grant = file.name.removeprefix("access-")
            yield ObservedAccess(
                file.name, grant if grant.startswith("g") else "", f"of {file.read_text()}"
            )

    def remove(self, found: ObservedAccess) -> None:
        self._ready()
        if not (self._folder / ".keeps").exists():
            (self._folder / found.name).unlink(missing_ok=True)

    def check(self, roles: Mapping[str, Sequence[str]]) -> Iterable[str]:
        try:
            self._ready()
        except SystemUnavailable as error:
            return [str(error)]
        return [
            f"{role}: {action} is nothing here"
            for role, can in roles.items()
            for action in can
            if action != "in"
        ]


def settings(name: str, folder: Path, kind: str = "folder") -> str:
    """The tables of a system and its role, both called `name`."""
    return f"""
[systems.{name}]
connector = "{kind}"
folder = "{folder}"

[roles.{name}]
system = "{name}"
actions = ["in"]
requesters = ["everyone"]
approvers = ["@db-leads"]
"""


def install(where: Path) -> None:
    """Makes a directory that acts as an installed package with these connectors when it is on
    Python's path."""
    info = where / "folder_connectors-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: folder-connectors\nVersion: 1.0\n")
    points = "\n".join(f"{kind} = tests.connectors.folder:{kind.upper()}" for kind in KINDS)
    (info / "entry_points.txt").write_text(f"[access_bot.connectors]\n{points}\n")


@contextmanager
def installed(where: Path) -> Iterator[None]:
    """A context in which that package is installed there."""
    install(where)
    sys.path.insert(0, str(where))
    connectors.installed.cache_clear()
    try:
        yield
    finally:
        sys.path.remove(str(where))
        connectors.installed.cache_clear()


class FolderTable(SystemTable):
    folder: Text


FOLDER = ConnectorKind(make=Folder, table=FolderTable)
BLIND = ConnectorKind(make=Blind, table=FolderTable)
KINDS = {"folder": FOLDER, "blind": BLIND}
