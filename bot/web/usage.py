"""`POST /usage`: a system reports that a session of a grant was opened or closed. It authenticates
first, and may report only grants for itself.
"""

import ipaddress
import logging
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.types import Receive, Scope

from bot.core.model import Source
from bot.operations.usage.report_session import Report, Unfit, report_use
from bot.web.basic_auth import WHO_ARE_YOU, proved
from bot.web.json_body import Wrong, read_object
from bot.web.rates import Rates, too_many
from bot.web.responses import TOO_BIG, Answer, as_json, content_type, header_values, read_body
from bot.web.token_check import TokenChecks

LARGEST_BODY = 16 * 1024
LONGEST = 200
"""The most characters of a session's name and of its source."""

REPORTS_A_SECOND, REPORTS_AT_ONCE = 50, 1000
"""Per system and process. A job that opens a session on a thousand hosts at once is within the
limit."""

_GRANT = re.compile("[a-z0-9]{1,63}")
_MOMENT = re.compile(  # RFC 3339 section 5.6: with its zone, because it is ambiguous without
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_LAST = 253_402_300_799  # the end of the year 9999, the last that RFC 3339 can write


log = logging.getLogger(__name__)


class Usage:
    def __init__(self, checks: TokenChecks) -> None:
        self._checks, self._world = checks, checks.world.via(Source.HTTP)
        self._rates = Rates(REPORTS_A_SECOND, REPORTS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        """200 if it is recorded, also for a repetition; 400 for a malformed report, 401 without
        authentication, 403 for a grant of other systems, 404 for an unknown grant, 429 for too many
        reports."""
        system = proved(
            self._checks.world.policy().systems.get, header_values(scope, b"authorization")
        )
        if system is None:
            return WHO_ARE_YOU
        if wait := self._rates.take(system):
            return too_many(wait)
        if content_type(scope) != "application/json":
            return _invalid("the body must be application/json")
        body = await read_body(receive, LARGEST_BODY)
        if body is None:
            return TOO_BIG
        try:
            report = read_report(body)
        except Wrong as wrong:
            return _invalid(str(wrong))
        log.info("%s reports a session of grant %s: %s", system, report.grant, report.event)
        kept = await self._checks.in_thread(report_use, self._world, system, report)
        if isinstance(kept, Unfit):
            return _UNFIT[kept.kind](kept.why)
        return as_json(200, {"recorded": True, "new": kept.is_new, "active": kept.active})


def read_report(body: bytes) -> Report:
    """The report in a body. Raises Wrong for any other body."""
    session = read_object(body, _READ)
    for key in ("grant", "event", "session"):
        if key not in session:
            raise Wrong(f"{key} is required")
    if session["event"] == "opened" and "source" not in session:
        raise Wrong("source is required for a session that was opened")
    return Report(**{key: _READ[key](key, value) for key, value in session.items()})


def _grant(key: str, value: Any) -> str:
    if not isinstance(value, str) or not _GRANT.fullmatch(value):
        raise Wrong(f"{key} must be the id of a grant, like g4k2m9p0q1rs")
    return value


def _event(key: str, value: Any) -> str:
    if value not in ("opened", "closed"):
        raise Wrong(f'{key} must be "opened" or "closed"')
    return str(value)


def _line(key: str, value: Any) -> str:
    if (
        not isinstance(value, str)
        or not value.strip()
        or len(value) > LONGEST
        or not value.isprintable()
    ):
        raise Wrong(f"{key} must be one line of text, 1 to {LONGEST} characters")
    return value.strip()


def _source(key: str, value: Any) -> str:
    """An address in canonical form, any other text unchanged."""
    text = _line(key, value)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _at(key: str, value: Any) -> int:
    """UTC seconds of a timestamp or a number, rounded down."""
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return math.floor(datetime.fromisoformat(value.upper()).timestamp())
        except (ValueError, OverflowError):
            pass
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LAST:
        return math.floor(value)
    raise Wrong(f"{key} must be RFC 3339 with a zone, like 2026-11-22T14:05:09Z, or Unix seconds")


_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "grant": _grant,
    "event": _event,
    "session": _line,
    "source": _source,
    "at": _at,
}


def _invalid(why: str) -> Answer:
    return as_json(400, {"error": "invalid_request", "error_description": why})


def _forbidden(why: str) -> Answer:
    return as_json(403, {"error": "access_denied", "error_description": why})


def _not_found(why: str) -> Answer:
    return as_json(404, {"error": "not_found", "error_description": why})


_UNFIT: Mapping[str, Callable[[str], Answer]] = {
    "no grant": _not_found,
    "other system": _forbidden,
    "time": _invalid,
}
