"""Shifts from calendars: recurring, moved and cancelled ones, time zones, and calendars that are
hostile, huge or slow, from real servers and files."""

from __future__ import annotations

import os
import socket
import threading
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import bot.sources.calendars as calendars
from bot.core.errors import SystemUnavailable
from bot.core.on_call import Shift, has_shift
from bot.sources.calendar_program import Unfit, find_shifts
from bot.sources.calendars import read_shifts
from tests.connectors.raw_server import RawServer, read_request
from tests.factories import a_person

pytest.importorskip("icalendar")

BERLIN = ZoneInfo("Europe/Berlin")
ANN = "ann@example.com"
ZONED = "DTSTART;TZID=Europe/Berlin:20261001T090000\nDTEND;TZID=Europe/Berlin:20261001T170000\n"


def at(text: str, zone: ZoneInfo = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


def calendar(*events: str) -> str:
    inner = "".join(f"BEGIN:VEVENT\n{each.strip()}\nEND:VEVENT\n" for each in events)
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n{inner}END:VCALENDAR\n"
    return text.replace("\n", "\r\n")


def event(times: str, who: str = f"SUMMARY:{ANN}", uid: str = "1", more: str = "") -> str:
    return f"UID:{uid}\n{times.strip()}\n{who}\n{more}".strip()


def on_call(text: str, when: str, email: str = ANN, zone: str = "Europe/Berlin") -> bool:
    now = at(when)
    found = [Shift(a, b, tuple(people)) for a, b, people in find_shifts(text, zone, now, now + 60)]
    return has_shift(a_person(email=email), found, now)


DAILY = event(ZONED, more="RRULE:FREQ=DAILY")
NIGHTS = event(
    "DTSTART;TZID=Europe/Berlin:20261001T200000\nDTEND;TZID=Europe/Berlin:20261002T080000",
    more="RRULE:FREQ=DAILY",
)
MOVED = event(
    "RECURRENCE-ID;TZID=Europe/Berlin:20261010T090000\n"
    "DTSTART;TZID=Europe/Berlin:20261010T200000\nDTEND;TZID=Europe/Berlin:20261010T220000"
)
CANCELLED = event(
    "RECURRENCE-ID;TZID=Europe/Berlin:20261010T090000\n" + ZONED.replace("20261001", "20261010"),
    more="STATUS:CANCELLED",
)
CASES: dict[str, tuple[str, str, bool]] = {
    "an occurrence": (calendar(DAILY), "2026-10-09 10:00", True),
    "its first second": (calendar(DAILY), "2026-10-09 09:00", True),
    "a second before it": (calendar(DAILY), "2026-10-09 08:59:59", False),
    "its end is not in it": (calendar(DAILY), "2026-10-09 17:00", False),
    "before the first": (calendar(DAILY), "2026-09-30 10:00", False),
    "an excluded day": (
        calendar(DAILY + "\nEXDATE;TZID=Europe/Berlin:20261009T090000"),
        "2026-10-09 10:00",
        False,
    ),
    "after the last of a count": (
        calendar(event(ZONED, more="RRULE:FREQ=DAILY;COUNT=3")),
        "2026-10-04 10:00",
        False,
    ),
    "a moved occurrence at its old time": (calendar(DAILY, MOVED), "2026-10-10 10:00", False),
    "a moved occurrence at its new time": (calendar(DAILY, MOVED), "2026-10-10 21:00", True),
    "a cancelled occurrence": (calendar(DAILY, CANCELLED), "2026-10-10 10:00", False),
    "the day after a cancelled occurrence": (
        calendar(DAILY, CANCELLED),
        "2026-10-11 10:00",
        True,
    ),
    "a cancelled event": (
        calendar(event(ZONED, more="STATUS:CANCELLED")),
        "2026-10-01 10:00",
        False,
    ),
    "summer time before the switch": (calendar(DAILY), "2026-10-24 09:00", True),
    "winter time after the switch": (calendar(DAILY), "2026-10-26 09:00", True),
    "winter time, an hour early": (calendar(DAILY), "2026-10-26 08:30", False),
    "the night of the switch": (calendar(NIGHTS), "2026-10-25 07:59", True),
    "the end of the night of the switch": (calendar(NIGHTS), "2026-10-25 08:00", False),
    "the switch to summer time": (calendar(DAILY), "2027-03-29 09:00", True),
    "another zone": (
        calendar(event(ZONED.replace("Europe/Berlin", "America/New_York"))),
        "2026-10-01 15:30",
        True,
    ),
    "another zone, at that hour here": (
        calendar(event(ZONED.replace("Europe/Berlin", "America/New_York"))),
        "2026-10-01 09:30",
        False,
    ),
    "UTC": (
        calendar(event("DTSTART:20261001T090000Z\nDTEND:20261001T100000Z")),
        "2026-10-01 11:30",
        True,
    ),
    "no zone": (
        calendar(event("DTSTART:20261001T090000\nDTEND:20261001T100000")),
        "2026-10-01 09:30",
        True,
    ),
    "a whole day from midnight": (
        calendar(event("DTSTART;VALUE=DATE:20261001")),
        "2026-10-01 00:00",
        True,
    ),
    "a whole day until midnight": (
        calendar(event("DTSTART;VALUE=DATE:20261001")),
        "2026-10-02 00:00",
        False,
    ),
    "a week that began earlier": (
        calendar(event("DTSTART;VALUE=DATE:20261001\nDTEND;VALUE=DATE:20261008")),
        "2026-10-07 23:59",
        True,
    ),
    "a duration": (
        calendar(event("DTSTART:20261001T090000Z\nDURATION:P7D")),
        "2026-10-06 12:00",
        True,
    ),
    "no length": (calendar(event("DTSTART:20261001T090000Z")), "2026-10-01 11:00", False),
    "no event": (calendar(), "2026-10-01 11:00", False),
}


@pytest.mark.parametrize(("text", "when", "expected"), CASES.values(), ids=CASES)
def test_a_person_is_on_call_in_an_event_of_now(text: str, when: str, expected: bool) -> None:
    assert on_call(text, when) is expected


WHO: dict[str, tuple[str, str, bool]] = {
    "an attendee": (f"ATTENDEE;CN=Ann:mailto:{ANN}", ANN, True),
    "in other letters": ("ATTENDEE:MAILTO:Ann@Example.com", ANN, True),
    "one of several": (f"ATTENDEE:mailto:b@example.com\nATTENDEE:mailto:{ANN}", ANN, True),
    "who declined": (f"ATTENDEE;PARTSTAT=DECLINED:mailto:{ANN}", ANN, False),
    "the organizer": (f"ORGANIZER;CN=Ann:mailto:{ANN}", ANN, True),
    "the summary": (f"SUMMARY:On call: {ANN} (backend)", ANN, True),
    "an address that begins with the person's": (f"SUMMARY:{ANN}.evil.test", ANN, False),
    "an address that ends with the person's": ("SUMMARY:joann@example.com", ANN, False),
    "an address that ends with the person's after an apostrophe": (
        "ATTENDEE:mailto:o'ann@example.com",
        ANN,
        False,
    ),
    "an address that ends with the person's after a slash": (
        "ATTENDEE:mailto:jo/ann@example.com",
        ANN,
        False,
    ),
    "an address in quotes": (f"SUMMARY:On call: '{ANN}'", ANN, True),
    "one of two with a slash between": (f"SUMMARY:jo@example.com/{ANN}", ANN, True),
    "an address that looks like the person's": (
        "ATTENDEE:mailto:\N{KELVIN SIGN}im@example.com",
        "kim@example.com",
        False,
    ),
    "only the description": (f"DESCRIPTION:{ANN}", ANN, False),
    "a person without an address": ("SUMMARY:on call", "", False),
}


@pytest.mark.parametrize(("who", "email", "expected"), WHO.values(), ids=WHO)
def test_who_is_on_call_is_said_by_whole_addresses(who: str, email: str, expected: bool) -> None:
    assert on_call(calendar(event(ZONED, who)), "2026-10-01 10:00", email) is expected


UNFIT = {
    "a page": ("<html>Sign in</html>", "not an iCalendar"),
    "nothing": ("", "not an iCalendar"),
    "every second": (calendar(event(ZONED, more="RRULE:FREQ=SECONDLY")), "repeats secondly"),
    "every minute": (calendar(event(ZONED, more="RRULE:FREQ=MINUTELY")), "repeats minutely"),
    "many at a time": (
        calendar(*(event(ZONED, uid=str(number)) for number in range(600))),
        "more than 500 shifts",
    ),
}


@pytest.mark.parametrize(("text", "problem"), UNFIT.values(), ids=UNFIT)
def test_a_calendar_that_cannot_be_used_says_why(text: str, problem: str) -> None:
    with pytest.raises(Unfit, match=problem):
        find_shifts(text, "Europe/Berlin", at("2026-10-01 10:00"), at("2026-10-01 11:00"))


# --- from a server or a file, through the program


NOW = at("2026-10-01 10:00")
GOOD = calendar(event(ZONED)).encode()


def served(body: bytes, head: bytes = b"200 OK\r\nContent-Type: text/calendar") -> RawServer:
    def serve(line: socket.socket, over: threading.Event) -> None:
        read_request(line)
        line.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body))

    return RawServer(serve)


def read(source: str) -> tuple[Shift, ...]:
    return read_shifts(source, "Europe/Berlin", NOW)


def problem(source: str) -> str:
    with pytest.raises(SystemUnavailable) as found:
        read(source)
    return str(found.value)


def problem_of(server: RawServer) -> str:
    try:
        return problem(server.url + "?secret=s3cret")
    finally:
        server.close()


def test_a_calendar_is_read_from_its_address() -> None:
    server = served(GOOD)
    try:
        assert read(server.url) == (Shift(at("2026-10-01 09:00"), at("2026-10-01 17:00"), (ANN,)),)
    finally:
        server.close()


ANSWERS: dict[str, tuple[bytes, bytes, str]] = {
    "missing": (b"404 Not Found", b"", "127.0.0.1 answered 404"),
    "forbidden": (b"403 Forbidden", b"", "127.0.0.1 answered 403"),
    "broken": (b"500 Oops", b"", "127.0.0.1 answered 500"),
    "elsewhere": (b"302 Found\r\nLocation: http://127.0.0.1:1/", b"", "a redirect"),
    "a page": (b"200 OK", b"<html>Sign in</html>", "it is not an iCalendar"),
    "broken lines": (b"200 OK", b"BEGIN:VCALENDAR\r\n\0\xc3\xa4;;;\r\nx", "it can't be read"),
    "not text": (b"200 OK", b"BEGIN:VCALENDAR\xff\xfe", "not UTF-8"),
}


@pytest.mark.parametrize(("head", "body", "words"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_no_calendar_is_refused_without_its_address(
    head: bytes, body: bytes, words: str
) -> None:
    said = problem_of(served(body, head))
    assert words in said
    assert "s3cret" not in said


def test_a_huge_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "LARGEST", 1000)
    assert "bigger than 1000 bytes" in problem_of(served(GOOD + b" " * 2000))


def test_a_server_that_does_not_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "FETCH_TIMEOUT", 0.3)
    said = problem_of(RawServer(lambda line, over: bool(over.wait(20)) and None))
    assert said.startswith("127.0.0.1 did not answer completely")


def test_a_rule_that_takes_too_long_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(calendars, "READ_TIMEOUT", 1.5)
    rule = "RRULE:FREQ=HOURLY;BYSECOND=" + ",".join(map(str, range(60)))
    rule += ";BYMINUTE=" + ",".join(map(str, range(60)))
    slow = event("DTSTART:19000101T000000Z\nDTEND:19000101T000001Z", more=rule)
    (tmp_path / "slow.ics").write_text(calendar(slow))
    assert "the calendar" in problem(str(tmp_path / "slow.ics"))


def test_a_calendar_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "duty.ics").write_bytes(GOOD)
    assert len(read(str(tmp_path / "duty.ics"))) == 1


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in problem(str(tmp_path / "pipe"))
    assert "not a file" in problem("/dev/zero")
    assert "can't be read" in problem(str(tmp_path / "none.ics"))
    assert "can't be read" in problem(str(tmp_path))


def test_the_address_of_a_cloud_s_credentials_is_not_called() -> None:
    assert "clouds hand out credentials" in problem("https://169.254.169.254/latest")
