"""Decides what single values in roles.toml must look like: names, people, durations, hours, tickets.
It does not know which key holds which kind of value (policy_schema.py).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError, SchemaError, SchemaValidator, core_schema

from bot.core.durations import UNITS, BadDuration, find_zone, parse_duration

Kind = Literal["user", "group", "handle", "email", "everyone"]

YEAR = 365 * UNITS["d"]
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

_KINDS: Mapping[Kind, re.Pattern[str]] = {
    "everyone": re.compile(r"everyone"),
    "user": re.compile(r"[UW][A-Z0-9]{2,20}"),
    "group": re.compile(r"S[A-Z0-9]{2,20}"),
    "handle": re.compile(r"@[^\s@#,<>]{1,80}"),
    "email": re.compile(r"[^\s@,<>]{1,64}@[^\s@,<>]{1,250}\.[^\s@,<>.]{2,63}"),
}
_CHANNEL = re.compile(r"#[^\s#@,<>]{1,80}|[CG][A-Z0-9]{2,20}")
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 3.3: scope-token
AGENT_KEY = re.compile(r"agent:(SHA256:[A-Za-z0-9+/]{43})")
_PRINCIPAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}")
HOST = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.+-]*)@)?(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS = re.compile(rf"{_DAY}(?:-{_DAY})? (?!({_TIME})-\1$){_TIME}-(?:{_TIME}|24:00)")
_QUOTA = re.compile(r"[1-9][0-9]{0,3}/(?:day|week|month)")


WARNINGS = (
    "broad-action",
    "root-login",
    "whole-cluster",
    "shared-hosts",
    "secret-in-argv",
    "long-access",
    "nobody-approves",
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
    "any-address",
    "link-local",
    "handle-or-email",
)
"""The names of what `access-bot check` warns of (policy_lint.py), by which `meant` says that it is meant."""


class Expanded(str):
    """A text with something from the environment in it, so perhaps a secret: `raw` is what the file says, `given` has
    the variables by name."""

    raw: str
    given: Mapping[str, str]

    def __new__(cls, value: str, raw: str, given: Mapping[str, str]) -> Expanded:
        text = super().__new__(cls, value)
        text.raw, text.given = raw, given
        return text


def quoted(value: str) -> str:
    """The text as a problem may show it: short, printable, and never what came from the environment."""
    raw = value.raw if isinstance(value, Expanded) else value
    clean = "".join(char if char.isprintable() else "?" for char in raw[:61])
    return f'"{clean if len(clean) <= 60 else clean[:59] + "…"}"'


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` when one of the known words is near, else nothing."""
    # The first 200 are plenty to guess from, and a huge file of unknown names stays cheap.
    near = get_close_matches(word[:80], islice(known, 200), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def classify(ref: str) -> Kind | None:
    """What kind of reference to people this is; None when it is none. Group handles begin with @."""
    return next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(ref)), None)


@lru_cache(maxsize=256)
def ticket_validator(pattern: str) -> SchemaValidator:
    """Matches the whole of a ticket of at most 100 characters. The engine behind pydantic works in linear
    time, so that no pattern and no ticket can keep it busy, as Python's own could be.

    Raises SchemaError for what is no regular expression, or needs back references or look-around.
    """
    SchemaValidator(core_schema.str_schema(pattern=pattern))
    return SchemaValidator(core_schema.str_schema(pattern=rf"\A(?:{pattern})\z", max_length=100, strict=True))


# --- one function for each kind of value: takes what the file says, gives what the program wants


def _text(limit: int, least: int = 1) -> Callable[[object], str]:
    def check(value: object) -> str:
        text = _string(value)
        if len(text) < least:
            raise ValueError("must not be empty" if least == 1 else f"must have at least {least} characters")
        if len(text) > limit:
            raise ValueError(f"must have at most {limit} characters, this has {len(text)}")
        return str(text)

    return check


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("text", 'must be text in quotes, like "this"')
    return value


def _line(value: object) -> str:
    text = _text(75)(value)
    if not text.isprintable() or text != text.strip():
        raise ValueError("must be one line without control characters, and no space at its ends")
    return text


def _like(pattern: re.Pattern[str], what: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        text = _string(value)
        if not pattern.fullmatch(text):
            raise ValueError(f"{quoted(text)} is not {what}")
        return str(text)

    return check


def _span(longest: int = YEAR, *, zero: bool = False) -> Callable[[object], int]:
    def check(value: object) -> int:
        text = _string(value)
        try:
            seconds = parse_duration(text, allow_zero=zero)
        except BadDuration as bad:
            raise ValueError(f"{quoted(text)} {bad.why}") from None
        if seconds > longest:
            raise ValueError(f"{quoted(text)} is longer than a year")
        return seconds

    return check


def _person(value: object) -> str:
    text = _string(value)
    if classify(text) is None:
        raise ValueError(
            f"{quoted(text)} is nobody: write a user id (U…, W…), a user-group id (S…), "
            "a group's @handle, an e-mail or everyone"
        )
    return str(text)


def _decider(value: object) -> str:
    if _person(value) == "everyone":
        raise ValueError('"everyone" can\'t be meant here: then anybody could decide; name people or groups')
    return str(value)


def _zone(value: object) -> str:
    text = _string(value)
    try:
        return find_zone(text).key
    except BadDuration as bad:
        raise ValueError(f"{quoted(text)} {bad.why}") from None


def _ticket(value: object) -> str:
    text = _text(200)(value)
    try:
        ticket_validator(text)
    except SchemaError:
        raise ValueError(
            f"{quoted(_string(value))} is not a regular expression (back references and look-around are not "
            "supported, so that no ticket can keep it busy)"
        ) from None
    return text


def _hours(value: object) -> str:
    text = _string(value)
    if not all(_HOURS.fullmatch(part.strip()) for part in text.split(",")):
        raise ValueError(f"{quoted(text)} is not a list of hours like Mon-Fri 08:00-19:00, Sat 22:00-02:00")
    return str(text)


def _networks(value: object) -> str:
    """A list that OpenSSH takes: it refuses a network with bits set behind its mask, and everybody with it."""
    text = _string(value)
    try:
        networks = [ipaddress.ip_network(each.strip()) for each in text.split(",")]
    except ValueError:
        networks = []
    if not networks or "%" in text:
        raise ValueError(f"{quoted(text)} is not a list of addresses and networks like 192.0.2.7, 10.0.0.0/8")
    return ",".join(map(str, networks))


def _command(value: object) -> str:
    text = _text(1000)(value)
    if not text.isprintable():
        raise ValueError("must be one line without control characters")
    return text


def _ca_key(value: object) -> str:
    text = _text(4000)(value)
    if "\n" in text or "PRIVATE KEY" in text:
        raise ValueError("must be the path of a file, or agent:SHA256:…, and never the key itself")
    if text.startswith("agent:") and not AGENT_KEY.fullmatch(text):
        raise ValueError("needs the whole fingerprint after agent:, as ssh-add -l prints it")
    return text


def _meant(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise PydanticCustomError("dict_type", "must be a table")
    if unknown := [name for name in value if name not in WARNINGS]:
        named = ", ".join(map(quoted, unknown))
        raise ValueError(f"{named}: access-bot check has no such warning{did_you_mean(unknown[0], WARNINGS)}")
    return {name: _reason(name, why) for name, why in value.items()}


def _reason(name: str, why: object) -> str:
    try:
        text = _text(500)(why)
    except (ValueError, PydanticCustomError) as error:
        raise ValueError(f"{name} {error}") from None
    if not text.strip():
        raise ValueError(f"{name} must say why it is meant")
    return text


seconds = _span()

Text = Annotated[str, BeforeValidator(_text(4000))]
Line = Annotated[str, BeforeValidator(_line)]
Secret = Annotated[str, BeforeValidator(_text(4000, least=16))]
Action = Annotated[str, BeforeValidator(_text(200))]
Name = Annotated[str, BeforeValidator(_like(NAME, "a name: small letters, digits and hyphens, at most 63"))]
Channel = Annotated[str, BeforeValidator(_like(_CHANNEL, "a channel: write its id (C…, G…) or #name"))]
Span = Annotated[int, BeforeValidator(seconds)]
Offset = Annotated[int, BeforeValidator(_span(zero=True))]
Person = Annotated[str, BeforeValidator(_person)]
Decider = Annotated[str, BeforeValidator(_decider)]
Deciders = Annotated[list[Decider], Field(min_length=1)]
Zone = Annotated[str, BeforeValidator(_zone)]
Ticket = Annotated[str, BeforeValidator(_ticket)]
Hours = Annotated[str, BeforeValidator(_hours)]
Quota = Annotated[str, BeforeValidator(_like(_QUOTA, "a quota like 3/week (day, week, month)"))]
Account = Annotated[str, BeforeValidator(_like(re.compile("[0-9]{12}"), "an account id of 12 digits"))]
Command = Annotated[str, BeforeValidator(_command)]
Networks = Annotated[str, BeforeValidator(_networks)]
CaKey = Annotated[str, BeforeValidator(_ca_key)]
Principal = Annotated[str, BeforeValidator(_like(_PRINCIPAL, "a principal: letters, digits and any of _ . @ + -"))]
Host = Annotated[str, BeforeValidator(_like(HOST, "an address like host, host:22, user@host or [2001:db8::7]:22"))]
Description = Annotated[str, BeforeValidator(_text(2000, least=0))]
Explanation = Annotated[str, BeforeValidator(_text(500))]
Meant = Annotated[dict[str, str], BeforeValidator(_meant)]
