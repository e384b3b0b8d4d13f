"""Calls REST APIs without an SDK: quotes the path, and maps the response to a result, missing,
refused or retry later."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from bot.connectors.redaction import redacted
from bot.connectors.transport.http import LARGEST, LONGEST_WAIT, Answer, call
from bot.connectors.transport.urls import checked_base
from bot.core.errors import SystemRefused, SystemUnavailable

TIMEOUT = 10.0
"""Seconds for one call."""

PAGES = 100
"""The most pages of one list."""

_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*\brel="?next"?')  # RFC 8288 section 3


def no_limit(_answer: Answer) -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class Rest:
    """A REST API at `url`. `headers` hold our credentials. `limited` returns the seconds to wait if
    a response means too many calls, else None. `message` finds the system's own words in a
    refusal."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    cafile: str | None = None
    limited: Callable[[Answer], int | None] = no_limit
    message: Callable[[Any], object] = lambda body: body.get("message")
    timeout: float = TIMEOUT
    limit: int = LARGEST

    def __post_init__(self) -> None:
        checked_base(self.url)

    def get(self, *path: str, **query: str) -> Any:
        """The resource as JSON, or None if it does not exist."""
        answer = self.ask("GET", self.url_of(*path, **query))
        return None if answer.status == 404 else answer.json()

    def pages(self, *path: str, **query: str) -> Iterator[Any]:
        """Every page of a list, following its Link headers."""
        url: str | None = self.url_of(*path, **query)
        for _ in range(PAGES):
            answer = self.ask("GET", str(url))
            if answer.status == 404:
                return
            yield answer.json()
            if (url := self._next(answer)) is None:
                return
        raise SystemUnavailable(f"a list of {answer.host} does not end")

    def ask(
        self, method: str, url: str, body: object = None, also: Sequence[int] = (404,)
    ) -> Answer:
        """The response, if its status is 2xx or in `also`. Raises SystemUnavailable if a retry may
        help, and SystemRefused otherwise."""
        data = None if body is None else json.dumps(body).encode()
        headers = {**self.headers, **({} if data is None else {"Content-Type": "application/json"})}
        answer = call(
            method,
            url,
            headers=headers,
            body=data,
            timeout=self.timeout,
            limit=self.limit,
            cafile=self.cafile,
            allow_private=True,
        )
        if (wait := self.limited(answer)) is not None:
            raise SystemUnavailable(
                f"{answer.host} limits the number of calls", min(max(1, wait), LONGEST_WAIT)
            )
        answer.raise_if_passing()
        if 200 <= answer.status < 300 or answer.status in also:
            return answer
        code = _CODES.get(answer.status, str(answer.status))
        raise SystemRefused(code, f"{answer.host}: {self._words(answer)}")

    def url_of(self, *path: str, **query: str) -> str:
        """The URL of this path. Its parts may hold any text: quoting keeps each one part."""
        asked = f"?{urlencode(query)}" if query else ""
        return "/".join([self.url.rstrip("/"), *map(_segment, path)]) + asked

    def _next(self, answer: Answer) -> str | None:
        """The next page, which must be on the same server, because our credentials are sent
        there."""
        found = _NEXT.search(answer.headers.get("link", ""))
        if found and urlsplit(found[1])[:2] != urlsplit(self.url)[:2]:
            raise SystemUnavailable(
                f"a list of {answer.host} continues on another server, which is not followed"
            )
        return found[1] if found else None

    def _words(self, answer: Answer) -> str:
        try:
            text = str(self.message(answer.json()) or "")
        except (SystemUnavailable, AttributeError):
            text = ""
        clean = "".join(char if char.isprintable() else " " for char in redacted(text))
        return clean[:200] or f"it answered {answer.status}"


def _segment(text: str) -> str:
    """One part of a path. "." and ".." are refused, because they lead elsewhere (RFC 3986 section
    3.3)."""
    if text in ("", ".", ".."):
        raise SystemRefused("bad_name", f"{text!r} can't be a name there")
    return quote(text, safe="")


_CODES: Mapping[int, str] = {401: "token_not_accepted", 403: "not_allowed", 404: "not_found"}
