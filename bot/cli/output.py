"""Prints rows as a table or as JSON lines, and makes typed text safe for a terminal."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from wcwidth import clip, ljust, width

Row = TypeVar("Row")

WIDEST = 60
"""Columns on the screen that a cell may take."""

PROGRESS_STEP = 5000
"""Rows between two updates of a progress bar."""


def table(titles: Sequence[str], rows: Iterable[Sequence[object]], widest: int = WIDEST) -> None:
    """Prints rows under their titles; the last column is not padded."""
    lines = [list(titles), *([clean(str(cell), widest) for cell in row] for row in rows)]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (ljust(cell, wide) for cell, wide in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def json_line(values: Mapping[str, object]) -> None:
    """Prints one object in ASCII, so that typed text cannot control the terminal."""
    click.echo(json.dumps(values))


def progress(
    label: str, count: int, rows: Iterable[Row] = (), step: int = PROGRESS_STEP
) -> AbstractContextManager[Any]:
    """Shows a progress bar on standard error, if that is a terminal."""
    return click.progressbar(
        rows,
        length=count,
        label=label,
        show_percent=True,
        update_min_steps=step,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
    )


def clean(text: str, widest: int = WIDEST) -> str:
    """Returns `text` on one line, without control and bidirectional characters, cut to `widest`."""
    plain = "".join(char if char.isprintable() else " " if char in "\n\t" else "?" for char in text)
    return plain if width(plain) <= widest else clip(plain, 0, widest - 1) + "…"


def utc(at: int | None) -> str:
    """Returns `2026-11-22 14:05 UTC`, or "–" for None."""
    return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def moment(at: int | None) -> str | None:
    """Returns RFC 3339 in UTC, for JSON."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def relative(at: int, now: int) -> str:
    """Returns `in 29 min`, `in 3 h 05 min` or `2 d ago`, rounded towards now."""
    words = _span(abs(at - now))
    return f"in {words}" if at > now else f"{words} ago" if at < now else "now"


def _span(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 2 * 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"
    return f"{seconds // 86400} d"
