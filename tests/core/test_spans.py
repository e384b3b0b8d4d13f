"""Durations and ends as people type them with a request."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.core.durations import LONGEST, BadDuration, format_duration
from bot.core.spans import named_time, parse_span, take_span

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


MONDAY = at("2026-11-23T10:00")
MINUTE, HOUR, DAY = 60, 3600, 86_400

UNDERSTOOD = {
    "hours": ("2h", 2 * HOUR),
    "capital": ("2H", 2 * HOUR),
    "a word": ("2 hours", 2 * HOUR),
    "a word, glued": ("2hours", 2 * HOUR),
    "a short word": ("90min", 90 * MINUTE),
    "minutes": ("90 minutes", 90 * MINUTE),
    "a decimal point": ("1.5h", 90 * MINUTE),
    "a decimal comma": ("1,5h", 90 * MINUTE),
    "a quarter": ("1.25 hours", 75 * MINUTE),
    "minutes without a unit": ("1h30", 90 * MINUTE),
    "minutes in capitals": ("1H30M", 90 * MINUTE),
    "two parts": ("1h 30m", 90 * MINUTE),
    "two parts in words": ("1 hour and 30 minutes", 90 * MINUTE),
    "a colon": ("1:30", 90 * MINUTE),
    "a colon and a unit": ("0:45h", 45 * MINUTE),
    "for": ("for 2h", 2 * HOUR),
    "for, in words": ("for 2 hours", 2 * HOUR),
    "hrs": ("24hrs", DAY),
    "a day": ("1d", DAY),
    "days and hours": ("2 days 4h", 2 * DAY + 4 * HOUR),
    "a week": ("1 week", 7 * DAY),
    "until a clock time": ("until 18:00", 8 * HOUR),
    "until, in capitals": ("UNTIL 18:00", 8 * HOUR),
    "till an hour of the afternoon": ("till 6pm", 8 * HOUR),
    "p.m. with dots": ("until 6 p.m.", 8 * HOUR),
    "a quarter past six": ("until 6:15 PM", 8 * HOUR + 15 * MINUTE),
    "noon is 12pm": ("until 12pm", 2 * HOUR),
    "until an hour of the day": ("until 18", 8 * HOUR),
    "until today": ("until today 18:00", 8 * HOUR),
    "until a weekday and an hour": ("until fri 5pm", 4 * DAY + 7 * HOUR),
    "until an hour and a weekday": ("until 5pm on Friday", 4 * DAY + 7 * HOUR),
    "until a weekday in full": ("until Friday 18:00", 4 * DAY + 8 * HOUR),
    "until a weekday": ("until friday", 4 * DAY + 8 * HOUR),
    "until the same weekday, later": ("until mon 11:00", HOUR),
    "until the same weekday, earlier, is in a week": ("until mon 09:00", 7 * DAY - HOUR),
    "until tomorrow": ("until tomorrow", DAY + 8 * HOUR),
    "until tomorrow morning": ("until tomorrow at 10:00", DAY),
    "until a date": ("until 2026-11-29 09:00", 6 * DAY - HOUR),
    "until a date with a T": ("until 2026-11-23T18:00", 8 * HOUR),
    "full-width digits": ("２ｈ", 2 * HOUR),
    "a full-width colon": ("until １８：００", 8 * HOUR),
    "a no-break space": ("2\u00a0h", 2 * HOUR),
    "a narrow no-break space": ("1h\u202f30m", 90 * MINUTE),
    "an invisible character": ("2\u200bh", 2 * HOUR),
    "straight quotes": ('"2h"', 2 * HOUR),
    "curly quotes": ("“2h”", 2 * HOUR),
    "curly single quotes": ("‘2h’", 2 * HOUR),
    "straight single quotes": ("'2h'", 2 * HOUR),
    "German quotes": ("„2h“", 2 * HOUR),
    "guillemets": ("«2h»", 2 * HOUR),
    "single guillemets": ("‹2h›", 2 * HOUR),
    "brackets": ("(2h)", 2 * HOUR),
    "square brackets": ("[2h]", 2 * HOUR),
    "backticks": ("`2h`", 2 * HOUR),
    "quotes after for": ("for “2h”", 2 * HOUR),
    "quotes around an end": ("“until 18:00”", 8 * HOUR),
    "quotes after until": ("until “18:00”", 8 * HOUR),
}


@pytest.mark.parametrize(("typed", "seconds"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_what_people_type_is_understood_in_the_command_and_in_the_modal(
    typed: str, seconds: int
) -> None:
    assert take_span(f"{typed} fix  *this*", MONDAY, BERLIN) == (seconds, "fix  *this*")
    assert parse_span(typed, MONDAY, BERLIN) == seconds


GUIDE = (Path(__file__).parents[2] / "docs" / "durations.md").read_text(encoding="utf-8")
FORMS = re.findall(r"^\| (`.*?) \|", GUIDE, re.MULTILINE)
REFUSALS = re.findall(r"(?s)- A beginning.*?(?=To make such)", GUIDE)


@pytest.mark.parametrize("typed", re.findall(r"`([^`]+)`", " ".join(FORMS)))
def test_every_documented_form_is_understood(typed: str) -> None:
    assert parse_span(typed, MONDAY, BERLIN) > 0


@pytest.mark.parametrize(
    "typed", sorted({*re.findall(r"`([^`]+)`", " ".join(REFUSALS))} - {"for", "until"})
)
def test_every_documented_refusal_is_one(typed: str) -> None:
    with pytest.raises(BadDuration):
        take_span(typed, MONDAY, BERLIN)


LIKELY = {
    "30": "30m",
    "2": "2h",
    "1.5": "1.5h",
    "2mo": "60d",
    "2 months": "60d",
    "1h-2h": "2h",
    "1-2h": "2h",
    "1h – 2h": "2h",
    "1h to 2h": "2h",
    "2h 3h": "3h",
    "-1h": "1h",
    "~2h": "2h",
    "<2h>": "2h",
    "2h+": "2h",
    "90 parsecs": "90m",
    "2huors": "2h",
    "90minuten": "90m",
    "2M": "2m",
    "1h 30": "1h 30m",
    "1h5": "1h 5m",
    "two hours": "2h",
    "for an hour": "1h",
    "half an hour": "30m",
    "18:00": "until 18:00",
    "5pm": "until 5pm",
    "5:30pm": "until 5:30pm",
    "tomorrow 09:00": "until tomorrow 09:00",
    "by 6pm": "until 6pm",
    "fri 5pm": "until fri 5pm",
    "until 6": "until 18:00",
    "until 6:00": "until 18:00",
    "until fri 5": "until fri 17:00",
    "until 09:00": "until tomorrow 09:00",
    "until 10:00": "until tomorrow 10:00",
    "until noon": "until 12:00",
    "until 24:00": "until tomorrow 00:00",
    "until 18.00": "until 18:00",
    "until 18h": "until 18:00",
    "until 2h": "2h",
    "until 2026-11-29": "until 2026-11-29 18:00",
    "2h until tomorrow": "2h",
    "until 18:00 2h": "until 18:00",
}


@pytest.mark.parametrize(("typed", "likely"), LIKELY.items(), ids=LIKELY)
def test_what_has_two_readings_is_refused_with_the_likely_one_to_copy(
    typed: str, likely: str
) -> None:
    with pytest.raises(BadDuration) as caught:
        take_span(f"{typed} fix", MONDAY, BERLIN)
    assert caught.value.likely == likely
    assert f"Did you mean `{likely}`?" in str(caught.value)
    assert parse_span(likely, MONDAY, BERLIN) > 0
    with pytest.raises(BadDuration):
        parse_span(typed, MONDAY, BERLIN)


REFUSED = {
    "0m fix": "is zero",
    "0:00 fix": "is zero",
    "999999h fix": "is too long",
    f"{'9' * 5000}h fix": "is too long",
    "1,500s fix": "is not a duration",
    "1:75 fix": "is not a duration",
    "٣h fix": "write it with the digits 0 to 9",
    "½h fix": "write it with the digits 0 to 9",
    "²h fix": "write it with the digits 0 to 9",
    "until": "is not a time to end at",
    "until 18:60": "is not a time to end at",
    "until 13pm": "is not a time to end at",
    "until ١٨:00": "is not a time to end at",
    "until 2026-02-30T10:00": "is not a time to end at",
    "until 0001-01-01T00:00": "is not a time to end at",
    "until 2025-01-01T10:00": "is already past",
    "until 9999-12-31T23:59": "is too long",
    "until the fix is out": "is not a time to end at",
    "until 18:00 UTC fix": (
        "names a time zone; write the time in yours, which Slack says is Europe/Berlin"
    ),
    "2h until tomorrow": "give one of the two",
    "2h until 18:00 fix": "give one of the two",
    "until 18:00 2h fix": "give one of the two",
}


@pytest.mark.parametrize(("text", "why"), REFUSED.items(), ids=[text[:30] for text in REFUSED])
def test_what_can_not_be_meant_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadDuration, match=why):
        take_span(text, MONDAY, BERLIN)


REASONS = {
    "nothing": "",
    "words": "fix: prod  outage",
    "an error code": "5xx on checkout",
    "a share": "10% of users see errors",
    "an address": "192.168.0.1 does not answer",
    "a count": "3rd try",
    "a name": "2fa reset",
    "a ticket": "INC-4711 refund",
    "a version": "v1.2.3 rollback",
    "a latency": "500ms latency",
    "for without a time": "for the refund of order 7",
    "a day": "tomorrow we ship",
    "a bullet": "- fix the till",
    "a since": "fix 5xx since 14:00",
    "an ago": "cleanup of orders from 2h ago",
    "an interval": "alert that fires every 5m",
    "a past date": "remove rows until 2025-01-01",
    "until an event": "keep it open until Ben is back",
}


@pytest.mark.parametrize("text", REASONS.values(), ids=REASONS)
def test_a_reason_stays_byte_for_byte(text: str) -> None:
    assert take_span(f" {text} ", MONDAY, BERLIN) == (None, text)
    assert take_span(f"2h {text} ", MONDAY, BERLIN) == (2 * HOUR, text.removeprefix("- "))


def test_the_reason_after_a_duration_is_kept_as_typed() -> None:
    typed = "2h \t “fix”  *this*\n<!channel> 5m "
    assert take_span(typed, MONDAY, BERLIN) == (2 * HOUR, "“fix”  *this*\n<!channel> 5m")


@pytest.mark.parametrize("mark", [":", ",", ";", ".", "!", " -", " –", " —"])
def test_a_mark_after_the_duration_is_not_part_of_the_reason(mark: str) -> None:
    assert take_span(f"1h{mark} 30 refunds", MONDAY, BERLIN) == (HOUR, "30 refunds")


def test_quotes_around_duration_and_reason_are_dropped_together() -> None:
    assert take_span("“2h refund for order 7”", MONDAY, BERLIN) == (2 * HOUR, "refund for order 7")


LATER = {
    "for, at the end": ("refund for 2h", "2h", "refund"),
    "for, in words": ("refund for 2 hours.", "2h", "refund"),
    "for two hours": ("refund for two hours", "2h", "refund"),
    "for, in the middle": ("I need it for 30m to refund", "30m", "I need it to refund"),
    "until": ("refund until 18:00 please", "until 18:00", "refund please"),
    "until an ambiguous hour": ("refund until 6", "until 18:00", "refund"),
    "till": ("refund till fri 5pm", "until fri 5pm", "refund"),
    "at the end": ("refund 2h", "2h", "refund"),
    "at the end, after a comma": ("refund, 90 minutes please", "1h 30m", "refund please"),
    "in brackets": ("refund (2h)", "2h", "refund"),
    "in curly quotes": ("refund “2h”", "2h", "refund"),
}


@pytest.mark.parametrize(("text", "likely", "rest"), LATER.values(), ids=LATER)
def test_a_duration_that_stands_in_the_reason_is_not_lost(
    text: str, likely: str, rest: str
) -> None:
    with pytest.raises(BadDuration, match="is in the reason") as caught:
        take_span(text, MONDAY, BERLIN)
    assert (caught.value.likely, caught.value.rest) == (likely, rest)
    assert take_span(f"1h {text}", MONDAY, BERLIN) == (HOUR, text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("fix 5xx since 14:00", "14:00"),
        ("orders from 2h ago", "2h"),
        ("the last 24 hours", "24 hours"),
        ("down since 2pm", "2pm"),
        ("the batch of 2026-11-22", "2026-11-22"),
        ("order 4711", ""),
        ("5xx and 2fa", ""),
    ],
)
def test_a_time_in_a_reason_is_found_so_that_the_answer_can_quote_it(text: str, named: str) -> None:
    assert named_time(text) == named


@pytest.mark.parametrize(
    "text", ["", " ", "soon", "the fix", "2h fix", "until 18:00 fix", "2h 5xx"]
)
def test_a_field_for_a_duration_takes_nothing_else(text: str) -> None:
    with pytest.raises(BadDuration):
        parse_span(text, MONDAY, BERLIN)


def test_until_means_the_clock_of_the_person_who_asks() -> None:
    """At 10:00 in Berlin it is 14:30 in Kolkata and 04:00 in New York."""
    assert take_span("until 18:00", MONDAY, "Asia/Kolkata")[0] == 3.5 * HOUR
    assert take_span("until 18:00", MONDAY, "America/New_York")[0] == 14 * HOUR


CHANGES = {
    "a night that is an hour shorter": ("2027-03-27T22:00", "until tomorrow 08:00", 9),
    "a night that is an hour longer": ("2026-10-24T22:00", "until tomorrow 08:00", 11),
    "a time that occurs twice means the first": ("2026-10-25T00:30", "until 02:30", 2),
    "a weekday beyond the change": ("2026-10-23T12:00", "until mon 12:00", 73),
    "a day without a time": ("2026-10-24T18:00", "until sunday", 25),
}


@pytest.mark.parametrize(("now", "text", "hours"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_the_clocks_is_counted(now: str, text: str, hours: int) -> None:
    assert take_span(text, at(now), BERLIN)[0] == hours * HOUR


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


def test_long_hostile_words_are_judged_at_once() -> None:
    for text in (
        "0" * 100_000 + "x",
        "until " * 20_000,
        "(" * 50_000 + "2h",
        "( " * 50_000,
        "for " * 20_000,
        "2h " * 20_000,
    ):
        try:
            take_span(text, MONDAY, BERLIN)
        except BadDuration as bad:
            assert len(str(bad)) < 400


PIECES = st.sampled_from(
    [
        *(
            "until",
            "till",
            "for",
            "tomorrow",
            "fri",
            "2h",
            "30m",
            "-1h",
            "18:00",
            "1:30",
            "6",
            "pm",
        ),
        *("2026-11-23T18:00", "9999-12-31", "٣h", "T", ":", "0", ",", "(", ")", "“", "”", "-", "M"),
        *("1,5", "half", "an", "hour", "and", "by", "2mo", "UTC", "1h30", "fix"),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES).map(" ".join), st.lists(PIECES).map("".join))


@settings(deadline=None)
@given(TEXTS, st.sampled_from([BERLIN, "UTC", "Pacific/Apia", "Mars/Olympus"]))
def test_no_text_does_anything_but_give_a_span_or_a_refusal(text: str, zone: str) -> None:
    try:
        seconds, rest = take_span(text, MONDAY, zone)
    except BadDuration as bad:
        assert str(bad)
        return
    assert rest in text
    assert seconds is None or 0 < seconds <= LONGEST
    assert seconds is not None or rest == text.strip()


@settings(deadline=None)
@given(TEXTS)
def test_a_likely_reading_can_be_copied_as_it_stands(text: str) -> None:
    try:
        take_span(text, MONDAY, BERLIN)
    except BadDuration as bad:
        if bad.likely:
            seconds, rest = take_span(f"{bad.likely} fix", MONDAY, BERLIN)
            assert seconds and rest == "fix"


WORDS = st.sampled_from(
    [
        "fix",
        "the",
        "till",
        "since",
        "of",
        "from",
        "ago",
        "for",
        "until",
        "at",
        "in",
        "and",
        "please",
        ",",
        "(",
        ")",
    ]
)
UNIT = st.sampled_from(
    ["h", "H", "hr", "hrs", "hours", "m", "min", "minutes", "d", "days", "w", "s", "sec"]
)


@settings(deadline=None)
@given(
    st.lists(WORDS),
    st.integers(1, 500),
    st.sampled_from(["", " ", "\u00a0"]),
    UNIT,
    st.lists(WORDS),
)
@example(["refund"], 2, "", "h", ["ago"])
def test_a_number_with_a_unit_is_never_taken_as_the_reason_in_silence(
    before: list[str], number: int, space: str, unit: str, after: list[str]
) -> None:
    text = " ".join([*before, f"{number}{space}{unit}", *after])
    try:
        seconds, rest = take_span(text, MONDAY, BERLIN)
    except BadDuration:
        return
    assert seconds is not None or re.fullmatch(rf"{number}\s?{unit}", named_time(rest))


@settings(deadline=None)
@given(st.integers(1, LONGEST))
def test_what_is_shown_can_be_typed_again(seconds: int) -> None:
    shown = format_duration(seconds)
    assert take_span(f"{shown} why", MONDAY, BERLIN) == (seconds, "why")
    assert parse_span(shown.replace(" ", "").upper().replace("M", "m"), MONDAY, BERLIN) == seconds


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
