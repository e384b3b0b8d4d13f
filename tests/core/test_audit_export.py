"""The CSV of the audit log has every record, and no formula in it is executed."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from bot.core.audit import COLUMNS, rfc3339
from bot.core.audit_export import csv_lines

CELL = st.text(alphabet="ab=+-@\t\r\n,;\"' ＝é🚑", max_size=5)
ROW = st.tuples(st.integers(1, 10**6), st.integers(0, 4 * 10**9), *[CELL] * (len(COLUMNS) - 2))


@given(st.lists(ROW, max_size=12))
def test_a_reader_gets_every_cell_back_and_no_formula(rows: list[tuple[object, ...]]) -> None:
    text = "".join(csv_lines(iter(rows)))
    header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header == COLUMNS
    assert lines == [
        [str(seq), rfc3339(int(str(at))), *map(_harmless, texts)] for seq, at, *texts in rows
    ]
    assert text.endswith("\r\n")


def _harmless(text: object) -> str:
    return f"'{text}" if str(text)[:1] in set("=+-@\t\r\n＝＋－＠") - {""} else str(text)


def test_an_export_has_all_of_many_rows() -> None:
    rows = [(n, n, *["x"] * (len(COLUMNS) - 2)) for n in range(1, 1201)]
    assert len(list(csv.reader(io.StringIO("".join(csv_lines(rows)), newline="")))) == 1201
