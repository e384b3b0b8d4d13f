"""A disk of a few megabytes for a test, which can really be full. Only root may mount one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

NO_DISK = "No small disk could be mounted"


@dataclass(frozen=True)
class SmallDisk:
    folder: Path

    @contextmanager
    def full(self) -> Iterator[None]:
        """A context in which no byte is free."""
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        try:
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """The file system takes no writes meanwhile, as after a disk error."""
        self._remount("ro")
        try:
            yield
        finally:
            self._remount("rw")

    def _remount(self, how: str) -> None:
        subprocess.run(
            ["mount", "-o", f"remount,{how}", str(self.folder)], check=True, capture_output=True
        )


def mount(folder: Path, size: str = "8m") -> SmallDisk | str:
    """The disk, mounted at this empty folder, or the reason why there is none."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return f"{NO_DISK}: that needs root and `mount`"
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True)
    return SmallDisk(folder) if ended.returncode == 0 else f"{NO_DISK}: {ended.stderr.strip()}"


def unmount(disk: SmallDisk) -> None:
    subprocess.run(["umount", "--lazy", str(disk.folder)], check=True, capture_output=True)
