"""The durations that roles.toml accepts, and how durations are shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.durations import (
    LONGEST,
    BadDuration,
    find_zone,
    format_duration,
    parse_duration,
)

GOOD = {
    "90s": 90,
    "500s": 500,
    "30m": 1800,
    "2h": 7200,
    "2h30m": 9000,
    "2h 30m": 9000,
    "3d": 259_200,
    "1w": 604_800,
    "1w2d3h4m5s": 788_645,
    "1d5s": 86_405,
    "090m": 5400,
    "0h5m": 300,
    "3650d": LONGEST,
}


@pytest.mark.parametrize(("text", "seconds"), GOOD.items(), ids=GOOD)
def test_a_good_duration_is_so_many_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


BAD = {
    "nothing": "",
    "a space": " ",
    "negative": "-1h",
    "positive sign": "+1h",
    "a bare number": "90",
    "a clock time": "1:30",
    "the last unit is missing": "2h30",
    "a word for the unit": "2hours",
    "capital letters": "2H",
    "Arabic digits": "٣h",
    "superscript digits": "²h",
    "a fraction": "1.5h",
    "units out of order": "30m2h",
    "a unit twice": "1h1h",
    "a unit alone": "h",
    "an unknown unit": "3y",
    "a space in front": " 2h",
    "a space behind": "2h ",
    "a line break behind": "2h\n",
    "two spaces": "2d  30m",
    "thousands of spaces": "1h" + " " * 5000,
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_duration_is_refused_with_examples_of_good_ones(text: str) -> None:
    with pytest.raises(
        BadDuration, match="is not a duration; write for example 30m, 2h, 2h30m or 3d"
    ) as caught:
        parse_duration(text)
    assert caught.value.text == text


@pytest.mark.parametrize("text", ["0s", "0m", "0h0m", "000d"])
def test_zero_is_no_time_at_all_except_where_it_is_asked_for(text: str) -> None:
    with pytest.raises(BadDuration, match="is zero"):
        parse_duration(text)
    assert parse_duration(text, allow_zero=True) == 0


@pytest.mark.parametrize(
    "text", ["999999h", "3651d", "3650d1s", "9" * 9 + "w", "9" * 5000 + "s"], ids=len
)
def test_more_than_ten_years_is_too_long(text: str) -> None:
    with pytest.raises(BadDuration, match="is too long"):
        parse_duration(text)


def test_the_message_quotes_little_of_a_long_or_hostile_text() -> None:
    message = str(BadDuration("\u202e<!channel>\n" + "x" * 9000))
    assert "\u202e" not in message and "\n" not in message and len(message) < 120


SHOWN = {
    0: "0s",
    -5: "0s",
    45: "45s",
    59.999: "59s",
    60: "1m",
    9000: "2h 30m",
    259_200: "3d",
    90_061: "1d 1h 1m 1s",
}


@pytest.mark.parametrize(("seconds", "text"), SHOWN.items(), ids=SHOWN.values())
def test_a_duration_is_shown_exactly_and_never_rounded_up(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@settings(deadline=None)
@given(st.integers(1, LONGEST))
def test_what_is_shown_can_be_typed_again(seconds: int) -> None:
    shown = format_duration(seconds)
    assert parse_duration(shown) == seconds


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "a\0b", "x" * 300]
)
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(BadDuration, match="is not a time zone"):
        find_zone(name)
