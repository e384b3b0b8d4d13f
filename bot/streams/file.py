"""Appends records to a file, which is rotated when it is full."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bot.core.errors import SystemUnavailable
from bot.core.streams import FileStream


def send(stream: FileStream, lines: Iterable[str]) -> None:
    """Returns when the lines are on the disk."""
    path = Path(stream.path)
    try:
        if path.exists() and path.stat().st_size >= stream.max_bytes:
            _rotate(path, stream.keep)
        _append(path, "".join(lines).encode())
    except OSError as error:
        raise SystemUnavailable(f"{path} can't be written: {error.strerror}") from None


def _rotate(path: Path, keep: int) -> None:
    """Renames FILE to FILE.1, FILE.1 to FILE.2 and so on; the oldest goes."""
    for number in range(keep - 1, 0, -1):
        if (older := _numbered(path, number)).exists():
            older.replace(_numbered(path, number + 1))
    path.replace(_numbered(path, 1))


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _append(path: Path, data: bytes) -> None:
    """Appends all of it or, on a full disk, nothing. A line that a crash cut off is ended first, so
    that the next one is whole."""
    place = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        end = os.lseek(place, 0, os.SEEK_END)
        if end and os.pread(place, 1, end - 1) != b"\n":
            data = b"\n" + data
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(place, rest) :]
            os.fsync(place)
        except OSError:
            with suppress(OSError):
                os.ftruncate(place, end)
            raise
    finally:
        os.close(place)
