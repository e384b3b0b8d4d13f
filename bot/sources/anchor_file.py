"""Reads and appends to the file of anchors."""

import os
from itertools import islice
from pathlib import Path

from bot.core.anchors import Anchor, AnchorSource, anchor_line, parse_anchors
from bot.core.errors import SystemUnavailable

MOST_LINES = 1_000_000
"""The most lines that are read: some hundred years of daily anchors, or a file of another kind."""


def append(path: str, anchor: Anchor) -> None:
    """Appends an anchor durably, unless the file has its line. Raises SystemUnavailable."""
    line = anchor_line(anchor)
    try:
        if line in _lines(path):
            return
        # A line that a full disk or a crash cut off must not take the next one with it.
        begin = "\n" if _is_cut_off(path) else ""
        with Path(path).open("a", encoding="ascii") as file:
            file.write(f"{begin}{line}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SystemUnavailable(f"the anchor file can't be written: {error.strerror}") from None


def read(path: str) -> AnchorSource:
    """The anchors in the file; none if it does not exist yet."""
    try:
        return parse_anchors(path, _lines(path))
    except OSError as error:
        return AnchorSource(path, problem=f"{path} can't be read: {error.strerror}")


def _is_cut_off(path: str) -> bool:
    """Whether the file has text behind its last line end."""
    if not Path(path).exists():
        return False
    with Path(path).open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        return file.read(1) not in (b"", b"\n")


def _lines(path: str) -> list[str]:
    try:
        with Path(path).open(encoding="ascii", errors="replace") as file:
            return [line.rstrip("\n") for line in islice(file, MOST_LINES)]
    except FileNotFoundError:
        return []
