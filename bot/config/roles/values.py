"""Checks values of roles.toml: people, channels, hours, tickets and the names of warnings."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_network
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, InstanceOf, ValidationInfo
from pydantic_core import PydanticCustomError, SchemaError, SchemaValidator, core_schema

from bot.core.durations import LONGEST, UNITS, BadDuration, find_zone
from bot.core.parameters import is_plain
from bot.core.retention import YEAR
from bot.core.rules import Quota as QuotaValue
from bot.core.rules import is_address, parse_quota
from bot.core.values import NAME, classify, did_you_mean, like, quoted, seconds, span, string, text
from bot.core.weekly import WeeklyTime, parse_weekly
from bot.core.working_hours import Hours as HoursValue
from bot.core.working_hours import parse_daily, parse_hours

Parsed = TypeVar("Parsed")

_CHANNEL = re.compile(r"#[^\s#@,<>]{1,80}|[CG][A-Z0-9]{2,20}")
_is_quota = like(
    re.compile(r"[1-9][0-9]{0,3}/(?:day|week|month)"), "a quota like 3/week (day, week, month)"
)

WARNINGS = (
    "broad-action",
    "long-access",
    "nobody-approves",
    "nobody-gets-it",
    "approvers-are-requesters",
    "approver-twice",
    "everyone-and-others",
    "weak-ticket",
    "one-word-reason",
    "many-renewals",
    "weaker-role",
    "public-channel",
    "same-channel",
    "leads-may-ask",
    "weak-secret",
    "shared-secret",
    "secret-in-file",
    "handle-or-email",
)
"""The names of the warnings that `meant` can silence. Each kind of system may add its own."""


def _network(value: object) -> str:
    written = string(value)
    try:
        return str(ip_network(written))
    except ValueError:
        raise ValueError("must be a network such as 10.0.0.0/8, without bits of a host") from None


@lru_cache(maxsize=256)
def ticket_validator(pattern: str) -> SchemaValidator:
    """Matches a whole ticket of at most 100 characters. pydantic's engine works in linear time, so
    no pattern and no ticket can block it, unlike Python's own.

    Raises SchemaError if the pattern is not a regular expression, or needs back references or
    look-around.
    """
    SchemaValidator(core_schema.str_schema(pattern=pattern))
    return SchemaValidator(
        core_schema.str_schema(pattern=rf"\A(?:{pattern})\z", max_length=100, strict=True)
    )


def whole_match(pattern: str) -> Callable[[str], bool]:
    """A function that says whether `pattern` matches a whole text, in linear time. Raises
    SchemaError like `ticket_validator`."""
    return ticket_validator(pattern).isinstance_python


def _line(value: object) -> str:
    found = text(75)(value)
    if not found.isprintable() or found != found.strip():
        raise ValueError(
            "must be one line without control characters and without spaces at its ends"
        )
    return found


def _person(value: object) -> str:
    found = string(value)
    if classify(found) is None:
        raise ValueError(
            f"{quoted(found)} is not a person or group: write a user id (U…, W…), a user-group id"
            " (S…), a group's @handle, an e-mail or everyone"
        )
    return str(found)


def _decider(value: object) -> str:
    if _person(value) == "everyone":
        raise ValueError(
            '"everyone" is not allowed here, because anybody could decide: name people or groups'
        )
    return str(value)


def _zone(value: object) -> str:
    found = string(value)
    try:
        return find_zone(found).key
    except BadDuration as bad:
        raise ValueError(f"{quoted(found)} {bad.why}") from None


def _ticket(value: object) -> str:
    found = text(200)(value)
    try:
        ticket_validator(found)
    except SchemaError:
        raise ValueError(
            f"{quoted(string(value))} is not a regular expression (back references and look-around"
            " are not supported, because a text could block the bot with them)"
        ) from None
    return found


MOST_CHOICES, LONGEST_CHOICE = 100, 75
"""As many as a menu of Slack has, and as long."""


def _parameter(value: object) -> str | list[str]:
    """A pattern, or a list of values."""
    if not isinstance(value, list):
        return _ticket(value)
    if not 0 < len(value) <= MOST_CHOICES or len(set(map(str, value))) < len(value):
        raise ValueError(f"must have 1 to {MOST_CHOICES} different values")
    for each in value:
        if not isinstance(each, str) or not is_plain(each) or len(each) > LONGEST_CHOICE:
            raise ValueError(
                f"must have values in quotes, each one line of at most {LONGEST_CHOICE} plain"
                " characters"
            )
    return [str(each) for each in value]


def _parsed(parse: Callable[[str], Parsed]) -> Callable[[object], Parsed]:
    def check(value: object) -> Parsed:
        found = string(value)
        try:
            return parse(str(found))
        except ValueError as error:
            raise ValueError(f"{quoted(found)} {error}") from None

    return check


def _quota(value: object) -> QuotaValue:
    return parse_quota(_is_quota(value))


def _address(value: object) -> str:
    found = string(value)
    parts = urlsplit(found)
    plain = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not (parts.scheme == "https" or plain) or not parts.hostname:
        raise ValueError("must be an address that begins with https://")
    return found


def _kept(least: int, words: str) -> Callable[[object], int]:
    """A duration as elsewhere, or whole years."""

    def check(value: object) -> int:
        found = string(value)
        years = re.fullmatch("([1-9][0-9]?)y", found)
        seconds = int(years[1]) * YEAR if years else span(LONGEST)(found)
        if seconds < least:
            raise ValueError(f"{quoted(found)} is too short: at least {words}")
        return seconds

    return check


def _host_and_port(value: object) -> tuple[str, int]:
    """Nothing is repeated, because the environment may have given it."""
    parts = urlsplit(f"//{string(value)}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.netloc != string(value) or "@" in parts.netloc:
        raise ValueError("must be a host and a port, like siem.example.com:6514")
    return host, port


def _calendar(value: object) -> str:
    """An address, or the path of a file. Nothing is repeated: an address may be a secret."""
    found = string(value)
    if not found.strip():
        raise ValueError("must not be empty")
    if is_address(found):
        scheme, _, rest = found.partition("://")
        _address(f"https://{rest}" if scheme.lower() == "webcal" else found)
    return found


def _ticket_url(value: object) -> str:
    found = _address(value)
    if found.count("{ticket}") != 1:
        raise ValueError("must have {ticket} once, where the ticket stands")
    return found


def _meant(value: object, info: ValidationInfo) -> dict[str, str]:
    """The validation context has the names of the warnings of the kinds of systems."""
    if not isinstance(value, dict):
        raise PydanticCustomError("dict_type", "must be a table")
    if any(name not in WARNINGS for name in value):
        every = (*WARNINGS, *(info.context() if info.context else ()))
        if unknown := [name for name in value if name not in every]:
            named = ", ".join(map(quoted, unknown))
            raise ValueError(f"{named}: unknown warning{did_you_mean(unknown[0], every)}")
    return {name: _reason(name, why) for name, why in value.items()}


def _reason(name: str, why: object) -> str:
    try:
        found = text(500)(why)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    if not found.strip():
        raise ValueError(f"{name} must say why the warning does not apply")
    return found


Line = Annotated[str, BeforeValidator(_line)]
Action = Annotated[str, BeforeValidator(text(200))]
Name = Annotated[
    str, BeforeValidator(like(NAME, "a name: small letters, digits and hyphens, at most 63"))
]
Channel = Annotated[
    str, BeforeValidator(like(_CHANNEL, "a channel: write its id (C…, G…) or #name"))
]
Span = Annotated[int, BeforeValidator(seconds)]
Offset = Annotated[int, BeforeValidator(span(zero=True))]
Person = Annotated[str, BeforeValidator(_person)]
Decider = Annotated[str, BeforeValidator(_decider)]
Deciders = Annotated[list[Decider], Field(min_length=1)]
Zone = Annotated[str, BeforeValidator(_zone)]
Ticket = Annotated[str, BeforeValidator(_ticket)]
Parameter = Annotated[str | list[str], BeforeValidator(_parameter)]
Hours = Annotated[HoursValue, InstanceOf(), BeforeValidator(_parsed(parse_hours))]
DailyHours = Annotated[HoursValue, InstanceOf(), BeforeValidator(_parsed(parse_daily))]
Weekly = Annotated[WeeklyTime, InstanceOf(), BeforeValidator(_parsed(parse_weekly))]
Quota = Annotated[QuotaValue, InstanceOf(), BeforeValidator(_quota)]
Address = Annotated[str, BeforeValidator(_address)]
Calendar = Annotated[str, BeforeValidator(_calendar)]
TicketUrl = Annotated[str, BeforeValidator(_ticket_url)]
Network = Annotated[str, BeforeValidator(_network)]
Secret = Annotated[str, BeforeValidator(string)]
StreamSecret = Annotated[str, BeforeValidator(text(1000, least=16))]
FilePath = Annotated[str, BeforeValidator(text(1000))]
KeptForYears = Annotated[int, BeforeValidator(_kept(YEAR, "1y"))]
KeptForDays = Annotated[int, BeforeValidator(_kept(30 * UNITS["d"], "30d"))]
HostAndPort = Annotated[tuple[str, int], BeforeValidator(_host_and_port)]
Description = Annotated[str, BeforeValidator(text(2000, least=0))]
Explanation = Annotated[str, BeforeValidator(text(500))]
Meant = Annotated[dict[str, str], BeforeValidator(_meant)]
