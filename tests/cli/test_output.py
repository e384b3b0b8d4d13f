"""Rows and typed text on a terminal."""

from __future__ import annotations

import pytest
from wcwidth import width

from bot.cli.errors import Refusal
from bot.cli.output import WIDEST, clean, table

NAMES = {
    "letters": "Ana",
    "wide": "東京太郎",
    "emoji": "Ana 👍",
    "accents": "Zoe\u0301",
    "nothing": "",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_columns_line_up_on_the_screen_after_any_name(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table(("NAME", "ROLE"), [(name, "shop-admin"), ("somebody", "reports")])
    titles, first, second = capsys.readouterr().out.splitlines()
    columns = [
        width(line[: line.index(word)])
        for line, word in ((titles, "ROLE"), (first, "shop"), (second, "reports"))
    ]
    assert columns == [10, 10, 10]


@pytest.mark.parametrize(
    "text", ["x" * 200, "東" * 200, "x" + "東" * 200], ids=["letters", "wide", "both"]
)
def test_a_long_cell_is_cut_to_what_the_screen_shows(text: str) -> None:
    shown = clean(text)
    assert shown.endswith("…") and WIDEST - 1 <= width(shown) <= WIDEST
    assert clean(shown) == shown


def test_a_failure_that_quotes_text_does_not_control_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Refusal("“\x1b[2J\x9b2J\u202e” is no role.\nUse:\tana").show()
    assert capsys.readouterr().err == "“?[2J?2J?” is no role.\nUse:\tana\n"
