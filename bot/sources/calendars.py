"""Reads who is on call from a calendar at an address or in a file."""

import json
import os
import stat
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from bot.connectors.transport import process
from bot.connectors.transport.http import call
from bot.connectors.transport.urls import checked_url, is_metadata
from bot.core.errors import SystemUnavailable
from bot.core.on_call import Shift
from bot.core.rules import is_address

LARGEST = 5 * 1024 * 1024
"""Bytes of a calendar."""

FETCH_TIMEOUT, READ_TIMEOUT = 10.0, 30.0
"""Seconds to fetch a calendar, and to find its shifts."""

AHEAD = 3600
"""Seconds ahead for which shifts are read; longer than the time for which the result counts."""

PROGRAM = str(Path(__file__).with_name("calendar_program.py"))


def read_shifts(source: str, zone: str, now: int) -> tuple[Shift, ...]:
    """The shifts of the next hour in the calendar at `source`, an address or the path of a file;
    `zone` is for times without one. Raises SystemUnavailable, without a part of `source` but its
    host."""
    if find_spec("icalendar") is None or find_spec("recurring_ical_events") is None:
        raise SystemUnavailable(
            "calendars need packages that are not installed: pip install 'access-bot[oncall]'"
        )
    found = _fetched(source) if is_address(source) else _from_file(source)
    try:
        text = found.decode("utf-8")
    except UnicodeDecodeError:
        raise SystemUnavailable("the calendar is not UTF-8") from None
    return _shifts(text, zone, now)


def _fetched(source: str) -> bytes:
    url = "https" + source[len("webcal") :] if source.lower().startswith("webcal:") else source
    try:
        checked_url(url, allow_private=True)
    except ValueError as error:
        raise SystemUnavailable(f"the calendar can't be fetched: {error}") from None
    if is_metadata(urlsplit(url).hostname or ""):
        raise SystemUnavailable("the calendar is at an address where clouds hand out credentials")
    headers = {"Accept": "text/calendar, */*;q=0.1", "User-Agent": "access-bot"}
    answer = call(
        "GET", url, headers=headers, timeout=FETCH_TIMEOUT, allow_private=True, limit=LARGEST
    )
    answer.raise_if_passing()
    if answer.status != 200:
        raise SystemUnavailable(f"{answer.host} answered {answer.status}")
    return answer.body


def _from_file(source: str) -> bytes:
    """At most LARGEST bytes of a regular file: nothing that blocks, and nothing without an end."""
    try:
        opened = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise SystemUnavailable("the calendar is not a file")
            found = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        answer = error.strerror if isinstance(error, OSError) else "its path can't be used"
        raise SystemUnavailable(f"the calendar's file can't be read: {answer}") from None
    if len(found) > LARGEST:
        raise SystemUnavailable(f"the calendar is bigger than {LARGEST} bytes")
    return found


def _shifts(text: str, zone: str, now: int) -> tuple[Shift, ...]:
    asked = {"calendar": text, "zone": zone, "since": now, "until": now + AHEAD}
    env = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    argv = (sys.executable, "-P", PROGRAM)
    try:
        ran = process.run(argv, json.dumps(asked).encode(), env, READ_TIMEOUT)
    except SystemUnavailable as error:
        raise SystemUnavailable(f"the calendar could not be read: {error}") from None
    try:
        answer = json.loads(ran.out)
    except ValueError:
        raise SystemUnavailable("the calendar takes too much time or memory to be read") from None
    if "problem" in answer:
        raise SystemUnavailable(f"the calendar can't be used: {answer['problem']}")
    return tuple(Shift(start, end, tuple(people)) for start, end, people in answer["shifts"])
