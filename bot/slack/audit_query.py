"""Parses the filters of `/access audit`, and passes them from one page to the next.
`operations/audit/read_audit.py` checks each time whether the person may read the log.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from bot.core.approval import Refused
from bot.core.audit import Event, rfc3339
from bot.core.durations import BadDuration
from bot.core.names import slash
from bot.core.time_filters import parse_moment
from bot.operations._unit_of_work import Context
from bot.operations.audit.read_audit import PAGE, Filters, filters_from, read_audit
from bot.operations.people.find_by_email import find_anybody_by_email
from bot.slack.payloads import BadPayload, mentioned, unescape
from bot.slack.views import answers, audit_table

ACCEPTED = (
    "@user, role:ROLE, system:SYSTEM, event:EVENT, request:ID, grant:ID, since:7d,"
    ' until:2026-11-22, text:"part of a reason"'
)
_QUOTES = '"“”'
"""Keyboards often make round quotation marks."""

_WORD = re.compile(rf"text:[{_QUOTES}][^{_QUOTES}]*[{_QUOTES}](?!\S)|\S+")

LONGEST = 150
"""The most characters of one filter: longer than any name, and short enough that a button can hold
all filters."""


def page(world: Context, by: str, filters: Filters, before: int | None) -> dict[str, Any]:
    """One page of the log as a message, with a button for the older page; a refusal for a person
    who is not a lead."""
    found = read_audit(world, by, filters, before, PAGE + 1)
    if isinstance(found, Refused):
        return answers.refused(found.reason)
    records = found[:PAGE]
    older = older_value(filters, records[-1].seq) if len(found) > PAGE else None
    return audit_table.render(records, as_words(filters), older, world.now())


def person_named(world: Context, word: str) -> str | None:
    """The person that a word of a command names, by mention, id or known e-mail."""
    plain = unescape(word)
    return mentioned(word) or (find_anybody_by_email(world, plain) if "@" in plain else None)


def parse_filters(world: Context, text: str, tz: str) -> Filters | Refused:
    """The filters in this text of a command (as Slack sends it); each may be given once."""
    found: dict[str, Any] = {}
    for word in _WORD.findall(text):
        try:
            name, value = _one(world, word, tz)
        except BadDuration as bad:
            return Refused(str(bad))
        if name is None:
            return Refused(f"Unknown filter “{_short(word)}”. {value or ''}Use: {ACCEPTED}.")
        if name in found:
            return Refused(f"“{_short(word)}” is a second {name}; give each filter once.")
        found[name] = value
    return Filters(**found)


def as_words(filters: Filters) -> list[str]:
    """The filters as the parts of a command, times in UTC."""
    given = {name: value for name, value in asdict(filters).items() if value is not None}
    return [f"{name}:{_SHOWN.get(name, str)(value)}" for name, value in given.items()]


def older_value(filters: Filters, before: int) -> str:
    """The value of the Older button."""
    given = {name: value for name, value in asdict(filters).items() if value is not None}
    return json.dumps({"before": before, **given}, separators=(",", ":"))


def from_older(value: str) -> tuple[Filters, int]:
    """The filters in a value of `older_value`. Raises BadPayload for any other, because a button's
    value can be forged."""
    try:
        given = json.loads(value)
        before = given.pop("before")
        filters = filters_from(given)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadPayload(f"This button is broken. Ask again with {slash()} audit.") from None
    well_typed = all(
        v is None or isinstance(v, _TYPES.get(n, str)) for n, v in asdict(filters).items()
    )
    if not well_typed or not isinstance(before, int):
        raise BadPayload(f"This button is broken. Ask again with {slash()} audit.")
    return filters, before


def _one(world: Context, word: str, tz: str) -> tuple[str | None, Any]:
    """Name and value of one filter; for a word that is not a filter, an empty name and a hint."""
    person, plain = person_named(world, word), unescape(word)
    if person or plain.startswith(("os:", "rule:")) or plain == "system":
        return "person", person or plain
    name, colon, value = plain.partition(":")
    if not colon or not value or len(value) > LONGEST or name not in _READ:
        return None, None
    return _READ[name](value, world.now(), tz)


def _as_is(name: str) -> Callable[[str, int, str], tuple[str | None, Any]]:
    return lambda value, now, tz: (name, value)


def _event(value: str, now: int, tz: str) -> tuple[str | None, Any]:
    if any(event.startswith(value) for event in Event):
        return "event", value
    near = difflib.get_close_matches(value, list(Event), n=1, cutoff=0.4)
    return None, f"Unknown event; did you mean event:{near[0]}? " if near else None


def _text(value: str, now: int, tz: str) -> tuple[str | None, Any]:
    words = value[1:-1] if value[0] in _QUOTES and value[-1] in _QUOTES else value
    if not words.strip(_QUOTES) or set(words) & set(_QUOTES):
        return None, 'Put the words between two quotation marks: text:"the queue". '
    return "text", words


def _since(value: str, now: int, tz: str) -> tuple[str | None, Any]:
    return "since", parse_moment(value, now, tz)


def _until(value: str, now: int, tz: str) -> tuple[str | None, Any]:
    return "until", parse_moment(value, now, tz, closing=True)


def _short(word: str) -> str:
    plain = unescape(word)
    return plain if len(plain) <= 60 else plain[:59] + "…"


_READ: Mapping[str, Callable[[str, int, str], tuple[str | None, Any]]] = {
    "role": _as_is("role"),
    "system": _as_is("system"),
    "request": _as_is("request"),
    "grant": _as_is("grant"),
    "event": _event,
    "since": _since,
    "until": _until,
    "text": _text,
}
_SHOWN: Mapping[str, Callable[[Any], str]] = {
    "since": rfc3339,
    "until": rfc3339,
    "text": lambda words: f'"{words}"',
}
_TYPES: Mapping[str, type] = {"since": int, "until": int}
