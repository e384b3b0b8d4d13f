"""Rows as aligned text for people, or as JSON lines for scripts. What somebody typed can't move the cursor."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import click

WIDEST = 60
"""Characters of a cell."""


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints rows under their titles; the last column is not padded."""
    lines = [list(titles), *([clean(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def json_line(values: Mapping[str, object]) -> None:
    """Prints one object; only ASCII, so that no terminal is led astray by what somebody typed."""
    import json

    click.echo(json.dumps(values))


def clean(text: str, widest: int = WIDEST) -> str:
    """`text` on one line, without control and bidirectional characters, cut to `widest`."""
    plain = "".join(char if char.isprintable() else " " if char in "\n\t" else "?" for char in text)
    return plain if len(plain) <= widest else plain[: widest - 1] + "…"


def counted(number: int, word: str) -> str:
    """`1 role`, `2 roles`."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def utc(at: int | None) -> str:
    """`2026-11-22 14:05 UTC`; "–" for no time."""
    return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def moment(at: int | None) -> str | None:
    """RFC 3339 in UTC, for JSON."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def relative(at: int, now: int) -> str:
    """`in 29 min`, `in 3 h 05 min`, `2 d ago`; rounded towards now."""
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
