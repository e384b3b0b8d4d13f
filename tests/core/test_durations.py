"""What a length of time may look like, and how it is shown."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.durations import (
    LONGEST,
    BadDuration,
    find_zone,
    format_duration,
    looks_like_duration,
    parse_duration,
    take_span,
)

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


MONDAY = at("2026-11-23T10:00")

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
    with pytest.raises(BadDuration, match="is not a duration; write for example 30m, 2h, 2h30m or 3d") as caught:
        parse_duration(text)
    assert caught.value.text == text


@pytest.mark.parametrize("text", ["0s", "0m", "0h0m", "000d"])
def test_zero_is_no_time_at_all_except_where_it_is_asked_for(text: str) -> None:
    with pytest.raises(BadDuration, match="is no time at all"):
        parse_duration(text)
    assert parse_duration(text, allow_zero=True) == 0


@pytest.mark.parametrize("text", ["999999h", "3651d", "3650d1s", "9" * 9 + "w", "9" * 5000 + "s"], ids=len)
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
    assert take_span(shown.replace(" ", "") + " why", MONDAY, BERLIN) == (seconds, "why")


LOOKS = [
    "-1h",
    "2hours",
    "1:30",
    "90",
    "2h30",
    "٣h",
    "½h",
    "−1h",
    "~2h",
    "2h,",
    "1.5h",
    "2H",
    "1-2h",
    "3months",
    "500s",
]
DOES_NOT = [
    "",
    "fix",
    "5xx",
    "2fa",
    "3rd",
    "1password",
    "2026-11-02",
    "10%",
    "h",
    "-",
    "INC-4711",
    "v1.2.3",
    "24x7",
]


@pytest.mark.parametrize("word", LOOKS)
def test_a_word_that_seems_to_mean_a_length_of_time(word: str) -> None:
    assert looks_like_duration(word)


@pytest.mark.parametrize("word", DOES_NOT)
def test_a_word_that_a_reason_may_begin_with(word: str) -> None:
    assert not looks_like_duration(word)


def test_a_long_hostile_word_is_judged_at_once() -> None:
    assert not looks_like_duration("0" * 100_000 + "x")
    assert not looks_like_duration("1h" * 50_000 + "x")


SPANS = {
    "no duration, a reason": ("  fix: prod  outage ", None, "fix: prod  outage"),
    "nothing": ("", None, ""),
    "a duration and a reason": ("2h fix", 7200, "fix"),
    "the reason stays byte for byte": (
        "2h \t fix  *this*\n<!channel> 5m ",
        7200,
        "fix  *this*\n<!channel> 5m",
    ),
    "a duration alone": ("2h30m", 9000, ""),
    "a reason that begins with a number": ("5xx on checkout", None, "5xx on checkout"),
    "a reason that begins with until": ("2h until the fix is out", 7200, "until the fix is out"),
    "until a time today": ("until 18:00 fix", 8 * 3600, "fix"),
    "until, in capitals": ("UNTIL Today 9:59", None, "past"),
    "until tomorrow": ("until tomorrow 10:00 fix", 24 * 3600, "fix"),
    "until a weekday": ("until fri 18:00 fix", 4 * 86_400 + 8 * 3600, "fix"),
    "until a weekday in full": ("until Friday 18:00", 4 * 86_400 + 8 * 3600, ""),
    "until the same weekday, later": ("until mon 11:00", 3600, ""),
    "until the same weekday, earlier, is in a week": ("until mon 09:00", 7 * 86_400 - 3600, ""),
    "until a date": ("until 2026-11-23T18:00 fix", 8 * 3600, "fix"),
    "until a date with a space": ("until 2026-11-24 10:00 fix", 24 * 3600, "fix"),
}


@pytest.mark.parametrize(("text", "seconds", "rest"), SPANS.values(), ids=SPANS)
def test_the_beginning_of_a_request_says_how_long(text: str, seconds: int | None, rest: str) -> None:
    if rest == "past":
        with pytest.raises(BadDuration, match="already past"):
            take_span(text, MONDAY, BERLIN)
    else:
        assert take_span(text, MONDAY, BERLIN) == (seconds, rest)


REFUSED = {
    "-1h fix": "is not a duration",
    "2hours fix": "is not a duration",
    "90 fix": "is not a duration",
    "18:00 fix": "is not a duration",
    "0m fix": "is no time at all",
    "999999h fix": "is too long",
    "2h 30m fix": "is two words",
    "2h until tomorrow": "give one of the two",
    "2h until 18:00 fix": "give one of the two",
    "until 18:00 2h fix": "give one of the two",
    "until": "is not a time to end at",
    "until noon": "is not a time to end at",
    "until tomorrow": "is not a time to end at",
    "until fri soon": "is not a time to end at",
    "until 24:00": "is not a time to end at",
    "until 18:60": "is not a time to end at",
    "until ١٨:00": "is not a time to end at",
    "until 2026-02-30T10:00": "is not a time to end at",
    "until 2026-11-23": "is not a time to end at",
    "until 0001-01-01T00:00": "is not a time to end at",
    "until 09:00 fix": "is already past",
    "until 10:00 fix": "is already past",
    "until 2025-01-01T10:00": "is already past",
    "until 9999-12-31T23:59": "is too long",
}


@pytest.mark.parametrize(("text", "why"), REFUSED.items(), ids=REFUSED)
def test_what_can_not_be_meant_is_refused_and_never_taken_as_a_reason(text: str, why: str) -> None:
    with pytest.raises(BadDuration, match=why):
        take_span(text, MONDAY, BERLIN)


def test_until_means_the_clock_of_the_person_who_asks() -> None:
    """At 10:00 in Berlin it is 14:30 in Kolkata and 04:00 in New York."""
    assert take_span("until 18:00", MONDAY, "Asia/Kolkata")[0] == 3.5 * 3600
    assert take_span("until 18:00", MONDAY, "America/New_York")[0] == 14 * 3600


CHANGES = {
    "a night that is an hour shorter": ("2027-03-27T22:00", "until tomorrow 08:00", 9),
    "a night that is an hour longer": ("2026-10-24T22:00", "until tomorrow 08:00", 11),
    "a time that occurs twice means the first": ("2026-10-25T00:30", "until 02:30", 2),
    "a weekday beyond the change": ("2026-10-23T12:00", "until mon 12:00", 73),
}


@pytest.mark.parametrize(("now", "text", "hours"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_the_clocks_is_counted(now: str, text: str, hours: int) -> None:
    assert take_span(text, at(now), BERLIN)[0] == hours * 3600


@pytest.mark.parametrize(
    ("now", "zone", "text"),
    [
        ("2027-03-28T00:30", BERLIN, "until 02:30"),
        ("2027-03-27T12:00", BERLIN, "until tomorrow 02:00"),
        ("2027-03-14T00:30", "America/New_York", "until 02:15"),
        ("2026-10-04T00:30", "Australia/Lord_Howe", "until 02:15"),
    ],
)
def test_a_time_that_the_clocks_skip_is_refused(now: str, zone: str, text: str) -> None:
    with pytest.raises(BadDuration, match="the clocks skip it"):
        take_span(text, at(now, zone), zone)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "a\0b", "x" * 300])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(BadDuration, match="is not a time zone"):
        find_zone(name)


PIECES = st.sampled_from(
    [
        "until",
        "tomorrow",
        "fri",
        "2h",
        "30m",
        "-1h",
        "18:00",
        "2026-11-23T18:00",
        "9999-12-31",
        "fix",
        "٣h",
        "T",
        ":",
        "0",
    ]
)


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES).map(" ".join)), st.sampled_from([BERLIN, "UTC", "Pacific/Apia"]))
def test_no_text_does_anything_but_give_a_span_or_a_refusal(text: str, zone: str) -> None:
    try:
        seconds, rest = take_span(text, MONDAY, zone)
    except BadDuration as bad:
        assert str(bad)
        return
    assert text.strip().endswith(rest)
    assert seconds is None or 0 < seconds <= LONGEST
    assert seconds is not None or rest == text.strip()


@settings(deadline=None)
@given(st.integers(0, 4_000_000_000), st.integers(0, 23), st.integers(0, 59))
def test_until_tomorrow_ends_when_the_wall_clock_says_so(now: int, hour: int, minute: int) -> None:
    try:
        seconds, _ = take_span(f"until tomorrow {hour}:{minute:02}", now, BERLIN)
    except BadDuration as bad:
        assert "the clocks skip it" in str(bad)
        return
    end = datetime.fromtimestamp(now + (seconds or 0), UTC).astimezone(ZoneInfo(BERLIN))
    assert (end.hour, end.minute, end.second) == (hour, minute, 0)
