"""Helpers for all endpoints: read a limited body, read a header that may be there once, and answer
briefly.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from starlette.types import Receive, Scope, Send

from bot.config.logging import OncePerMinute
from bot.core.correlation import correlated
from bot.core.errors import StorageUnavailable

log = logging.getLogger(__name__)

Header = tuple[bytes, bytes]

ALWAYS: tuple[Header, ...] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
"""Our answers must not be cached (RFC 7662 section 4), and browsers must not guess their type."""

TEXT, JSON = b"text/plain; charset=utf-8", b"application/json"
FORM = "application/x-www-form-urlencoded"


class Answer(NamedTuple):
    status: int
    body: bytes = b""
    kind: bytes = TEXT
    headers: tuple[Header, ...] = ()


Handler = Callable[[Scope, Receive], Awaitable[Answer]]


def as_text(status: int, words: str, *headers: Header) -> Answer:
    return Answer(status, words.encode() + b"\n", TEXT, headers)


def as_json(status: int, value: Mapping[str, object], *headers: Header) -> Answer:
    return Answer(status, json.dumps(value).encode(), JSON, headers)


UNAVAILABLE = as_json(503, {"error": "temporarily_unavailable"}, (b"retry-after", b"2"))
FAILED = as_json(500, {"error": "server_error"})
TOO_BIG = as_json(413, {"error": "too_large"}, (b"connection", b"close"))


class RequestCounter(Collector):
    """A cheap Prometheus counter: only the event loop counts, so it needs no lock, and it makes
    metrics only at a scrape."""

    def __init__(self, registry: CollectorRegistry, name: str, words: str, *labels: str) -> None:
        self._name, self._words, self._labels = name, words, labels
        self._counts: dict[tuple[object, ...], int] = {}
        registry.register(self)

    def add(self, *labels: object) -> None:
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._words, labels=self._labels)
        for labels, count in list(self._counts.items()):
            family.add_metric([str(label) for label in labels], count)
        yield family


class Endpoint:
    """Makes an ASGI application of a handler. It counts answers, and turns exceptions into answers:
    nobody outside sees a stack trace, and a database outage never means yes. Each kind of failure
    is logged once a minute."""

    def __init__(self, route: str, handler: Handler, answered: RequestCounter) -> None:
        self._route, self._handler, self._answered = route, handler, answered
        self._often = OncePerMinute()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._handler(scope, receive)
        except StorageUnavailable as error:
            if (left_out := self._often.due("unavailable")) is not None:
                log.warning("%s: %s%s", self._route, error, left_out)
            answer = UNAVAILABLE
        except Disconnected:
            return
        except Exception as error:
            if (left_out := self._often.due(type(error).__name__)) is not None:
                log.exception("%s failed%s", self._route, left_out)
            answer = FAILED
        self._answered.add(self._route, answer.status)
        await send_answer(send, answer)


class TracedEndpoint(Endpoint):
    """An endpoint that gives each request an id for the log."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with correlated():
            await super().__call__(scope, receive, send)


async def send_answer(send: Send, answer: Answer) -> None:
    headers = [*ALWAYS, (b"content-length", b"%d" % len(answer.body)), *answer.headers]
    if answer.body:
        headers.append((b"content-type", answer.kind))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


class Disconnected(Exception):
    """The client closed the connection during its request."""


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None if it has more than `limit` bytes. Raises Disconnected."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def header_values(scope: Scope, name: bytes) -> list[str]:
    """Every value of the header (`name` in lower case), in order."""
    values: list[str] = (scope.get(_BY_NAME) or _index(scope)).get(name, [])
    return values


_BY_NAME = "access_bot.headers"


def _index(scope: Scope) -> dict[bytes, list[str]]:
    """Sorts the headers once for each request by their names, because a token check reads many."""
    found: dict[bytes, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name, []).append(value.decode("latin-1"))
    scope[_BY_NAME] = found
    return found


def content_type(scope: Scope) -> str:
    """The media type alone, in lower case."""
    values = header_values(scope, b"content-type")
    return values[0].partition(";")[0].strip().lower() if len(values) == 1 else ""
