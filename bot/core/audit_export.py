"""Formats audit records as CSV or as lines of JSON."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from bot.core.audit import COLUMNS, rfc3339

_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
_ROWS = 500


def csv_lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """Yields a header and a line for each row, in the order of COLUMNS (RFC 4180), up to 500 lines
    at a time.

    A cell that a spreadsheet would take for a formula gets a leading apostrophe (OWASP, "CSV
    Injection").
    """
    rows, text = iter(rows), io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    yield text.getvalue()
    while some := list(islice(rows, _ROWS)):
        text = io.StringIO()
        csv.writer(text).writerows(map(_record, some))
        yield text.getvalue()


def _record(row: tuple[Any, ...]) -> tuple[Any, ...]:
    seq, at, *texts = row
    return (seq, rfc3339(at), *cells(texts))


def cells(values: Iterable[object]) -> list[object]:
    """The values for a row of a spreadsheet, which then takes no text for a formula."""
    return [
        "'" + value if isinstance(value, str) and value[:1] in _FORMULA else value
        for value in values
    ]


def rows_of(lines: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    """The rows that `json_lines` wrote. Raises ValueError, TypeError and KeyError for other
    lines."""
    for line in lines:
        found = json.loads(line)
        seq, at, *rest = (found[name] for name in COLUMNS)
        yield (seq, int(datetime.fromisoformat(at).timestamp()), *rest)


def json_lines(rows: Iterable[tuple[Any, ...]], *, ascii: bool = False) -> Iterator[str]:
    """One JSON object for each row, with exact values, so that the chain can be verified without
    this program. `detail` is the stored JSON text, because the hash covers it. With `ascii` other
    characters are escaped."""
    encode = json.JSONEncoder(ensure_ascii=ascii).encode
    for seq, at, *rest in rows:
        yield encode(dict(zip(COLUMNS, (seq, rfc3339(at), *rest), strict=True))) + "\n"
