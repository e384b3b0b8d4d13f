"""Audit records as lines of CSV or JSON. It doesn't know where the lines go."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from bot.core.audit import COLUMNS, rfc3339

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """A header and one line for each row in the order of COLUMNS. A cell that a spreadsheet would take for a
    formula gets a leading apostrophe (OWASP, "CSV Injection")."""
    buffer = io.StringIO()
    write = csv.writer(buffer).writerow
    write(COLUMNS)
    for seq, at, *rest in rows:
        write((seq, rfc3339(at), *("'" + cell if cell.startswith(_FORMULA) else cell for cell in rest)))
        if buffer.tell() > 65536:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def json_lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """One JSON object for each row, exact: from it the chain can be checked without this program. `detail` is the
    stored JSON text, so that the hash can be computed from it."""
    encode = json.JSONEncoder(ensure_ascii=False).encode
    for seq, at, *rest in rows:
        yield encode(dict(zip(COLUMNS, (seq, rfc3339(at), *rest), strict=True))) + "\n"
