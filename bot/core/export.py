"""Audit records as lines of CSV or JSON. It doesn't know where the lines go."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from bot.core.audit import COLUMNS, rfc3339

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_FIRST = frozenset(_FORMULA)
_TOGETHER = 500
"""Rows made into CSV together, column by column: that costs half of what the csv module needs for each cell."""

_HEADER = ",".join(COLUMNS) + "\r\n"
_FORMULA_BYTES = tuple(text.encode() for text in _FORMULA)
_PERHAPS_FORMULA = re.compile(rb',"?[%b]' % re.escape(bytes(sorted({text[0] for text in _FORMULA_BYTES})))).search
"""Any cell but the first that could be one; looks into quoted text too, and finds all that begins like a wide sign."""

_CELL = re.compile(rb'("[^"]*(?:""[^"]*)*"|[^",\n]*)[,\n]')
_LINES = 200


def csv_lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """A header and one line for each row in the order of COLUMNS (RFC 4180), many lines at a time. A cell that a
    spreadsheet would take for a formula gets a leading apostrophe (OWASP, "CSV Injection")."""
    rows = iter(rows)
    yield _HEADER
    while some := list(islice(rows, _TOGETHER)):
        seq, at, *texts = zip(*some, strict=True)
        lines = map(",".join, zip(map(str, seq), map(rfc3339, at), *map(_cells, texts), strict=True))
        yield "\r\n".join(lines) + "\r\n"


def csv_copied(lines: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes]:
    """The same file, many lines at a time, from lines as PostgreSQL's COPY writes them when null is COPIED_NULL: they
    end with a newline, and a cell is quoted where it must be. Most of them need no more than another end."""
    lines = iter(lines)
    yield _HEADER.encode()
    while some := list(islice(lines, _LINES)):
        text = b"".join(some)
        ended = text.replace(b"\n", b"\r\n")
        if len(ended) == len(text) + len(some) and _PERHAPS_FORMULA(text) is None:  # no newline but at the ends
            yield ended
        else:
            yield b"".join(b",".join(map(_harmless, _CELL.findall(line))) + b"\r\n" for line in some)


COPIED_NULL = "="
"""COPY quotes what reads like null, by default the empty text. Formulas are looked at one by one anyway."""


def _harmless(cell: bytes) -> bytes:
    if cell == b'"="':
        return b"'="
    quote = cell[:1] if cell.startswith(b'"') else b""
    return quote + b"'" + cell[len(quote) :] if cell.startswith(_FORMULA_BYTES, len(quote)) else cell


def _cells(texts: tuple[str, ...]) -> Sequence[str]:
    """One column as it stands in the file."""
    cells: Sequence[str] = texts
    if not _FIRST.isdisjoint([text[:1] for text in texts]):
        cells = ["'" + text if text.startswith(_FORMULA) else text for text in texts]
    return [_quoted(cell) for cell in cells] if _is_special("".join(cells)) else cells


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _is_special(cell) else cell


def _is_special(text: str) -> bool:
    return '"' in text or "," in text or "\n" in text or "\r" in text


def json_lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """One JSON object for each row, exact: from it the chain can be checked without this program. `detail` is the
    stored JSON text, so that the hash can be computed from it."""
    encode = json.JSONEncoder(ensure_ascii=False).encode
    for seq, at, *rest in rows:
        yield encode(dict(zip(COLUMNS, (seq, rfc3339(at), *rest), strict=True))) + "\n"
