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
        lines, cut = _lines(path)
        if line in lines:
            return
        # A full disk or a crash cut off this line before, or another one.
        rest = line[len(cut) :] if line.startswith(cut) else f"\n{line}"
        with Path(path).open("a", encoding="ascii") as file:
            file.write(f"{rest}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SystemUnavailable(f"the anchor file can't be written: {error.strerror}") from None


def read(path: str) -> AnchorSource:
    """The anchors in the file; none if it does not exist yet. A last line without its end may lack
    a part of its time stamp, so the stamp does not count."""
    try:
        lines, cut = _lines(path)
    except OSError as error:
        return AnchorSource(path, problem=f"{path} can't be read: {error.strerror}")
    if cut:
        lines[-1] = " ".join(cut.split(" ")[:3])
    return parse_anchors(path, lines)


def _lines(path: str) -> tuple[list[str], str]:
    """The lines of the file, and the last one if it has no end, or ""."""
    try:
        with Path(path).open(encoding="ascii", errors="replace") as file:
            lines = list(islice(file, MOST_LINES))
    except FileNotFoundError:
        return [], ""
    cut = lines[-1] if lines and not lines[-1].endswith("\n") else ""
    return [line.rstrip("\n") for line in lines], cut
