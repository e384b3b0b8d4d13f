"""The CSV of the audit log is what the csv module would write, with every formula made harmless."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from bot.core.audit import COLUMNS, rfc3339
from bot.core.export import COPIED_NULL, csv_copied, csv_lines

CELL = st.text(alphabet="ab=+-@\t\r\n,;\"' ＝é🚑", max_size=5)
ROW = st.tuples(st.integers(1, 10**6), st.integers(0, 4 * 10**9), *[CELL] * (len(COLUMNS) - 2))


@given(st.lists(ROW, max_size=12))
def test_any_row_comes_back_as_it_was(rows: list[tuple[object, ...]]) -> None:
    expected = io.StringIO()
    writer = csv.writer(expected)
    writer.writerow(COLUMNS)
    for seq, at, *texts in rows:
        writer.writerow([seq, rfc3339(int(str(at))), *map(_harmless, texts)])
    assert "".join(csv_lines(iter(rows))) == expected.getvalue()


@given(st.lists(ROW, max_size=12))
def test_what_postgresql_copied_becomes_the_same_file(rows: list[tuple[object, ...]]) -> None:
    assert b"".join(csv_copied(map(_copied, rows))) == "".join(csv_lines(rows)).encode()


def _copied(row: tuple[object, ...]) -> bytes:
    """As COPY writes it."""
    seq, at, *texts = row
    cells = (str(seq), rfc3339(int(str(at))), *map(str, texts))
    quoted = (
        '"' + text.replace('"', '""') + '"' if set(text) & set('",\r\n') or text == COPIED_NULL else text
        for text in cells
    )
    return (",".join(quoted) + "\n").encode()


def _harmless(text: object) -> str:
    return f"'{text}" if str(text)[:1] in set("=+-@\t\r\n＝＋－＠") - {""} else str(text)


def test_many_rows_are_all_there() -> None:
    rows = [(n, n, *["x"] * (len(COLUMNS) - 2)) for n in range(1, 1201)]
    assert len(list(csv.reader(io.StringIO("".join(csv_lines(rows)), newline="")))) == 1201
    assert b"".join(csv_copied(memoryview(_copied(row)) for row in rows)) == "".join(csv_lines(rows)).encode()
