"""Limits connections: their number, the bytes before a complete request, and the time for a request
and its answer. The endpoints limit the content of requests.
"""

import asyncio
import logging
import resource
import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
"""The most bytes of an incomplete head, of chunk framing and of trailers. The parser keeps them all
and has no limit."""

ARRIVES_WITHIN = 30
"""Seconds for a request to arrive and for an answer to be received, checked twice in that time.
uvicorn closes connections that are idle between requests."""

MOST_PIPELINED = 32
"""Requests of one connection that may wait for the answer to an earlier one. Proxies don't send any
before it."""

MOST_HELD = 64 * 1024 * 1024
"""The most bytes of unanswered requests over all connections. Beyond it, connections with a request
larger than SMALL are closed."""

SMALL = 32 * 1024
"""The bytes of a request that does not count as large; almost all requests of Slack and proxies are
smaller."""

KEPT_DESCRIPTORS = 256
"""Descriptors that are reserved for the database, Slack and connectors."""

MOST_CONNECTIONS = 4096
"""The most connections, if the limit of descriptors allows them."""

LOG_EVERY = 60
"""Seconds between log lines about connections that were closed because there were too many."""

log = logging.getLogger(__name__)


def raise_descriptor_limit() -> None:
    """Raises the soft limit of descriptors to the hard one, if the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warning("the limit of open files stays at %s: %s", soft, error)


def most_connections() -> int:
    """The most connections: at most half of the descriptors, and without KEPT_DESCRIPTORS."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, soft // 2, soft - KEPT_DESCRIPTORS))


class Connections:
    """The open connections of a server, the longest idle first."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._open: dict[LimitedProtocol, None] = {}
        self._closed, self._logged_at = 0, -float(LOG_EVERY)
        self.held = 0
        """Bytes of unanswered requests."""

    def add(self, connection: "LimitedProtocol") -> None:
        """Closes the longest idle connection if there are too many, first those without a pending
        answer."""
        self._open[connection] = None
        if len(self._open) <= self._most:
            return
        oldest = next((each for each in self._open if each.is_idle()), next(iter(self._open)))
        self.remove(oldest)
        oldest.transport.abort()
        self._closed += 1
        self._log_closed()

    def used(self, connection: "LimitedProtocol") -> None:
        """Moves it to the end, because it sent or was answered a whole request."""
        if connection in self._open:
            del self._open[connection]
            self._open[connection] = None

    def remove(self, connection: "LimitedProtocol") -> None:
        self._open.pop(connection, None)

    def _log_closed(self) -> None:
        now = self._clock()
        if now - self._logged_at >= LOG_EVERY:
            log.warning(
                "more than %s connections at once: closed %s, the longest idle first",
                self._most,
                self._closed,
            )
            self._closed, self._logged_at = 0, now


class LimitedProtocol(HttpToolsProtocol):
    """Closes connections that send too much, or never complete a request."""

    counted: Connections

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._unread = self._held = 0
        self._is_answered_early = False
        self._since: float | None = None
        self._untaken: float | None = None
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.counted.add(self)
        self._since = self.loop.time()
        self._watch = self.loop.call_later(ARRIVES_WITHIN, self._arrives_in_time)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._let_go()
        self.counted.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        size = len(data)
        self._unread += size
        if not self._is_answered_early:
            self._held += size
            self.counted.held += size
        # Any bytes start the time limit of a request.
        if self._since is None and self.cycle.response_complete:
            self._since = self.loop.time()
        super().data_received(data)
        if (self._unread > LARGEST_HEAD and self._since is not None) or (
            self._held > SMALL and self.counted.held > MOST_HELD
        ):
            self.transport.abort()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_PIPELINED:
            self.transport.abort()
            # The parser stops.
            raise ConnectionAbortedError("too many requests wait for their answers")
        self._unread = 0
        self._since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_answered_early = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._since = None
        self.counted.used(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Reads and drops the rest of a request that was answered early."""
        if not self.pipeline:
            self._let_go()
            self._is_answered_early = self._since is not None
            self.cycle.body = bytearray()
        super().on_response_complete()

    def _let_go(self) -> None:
        self.counted.held -= self._held
        self._held = 0

    def is_idle(self) -> bool:
        """Whether no answer is pending."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def _arrives_in_time(self) -> None:
        """One timer per connection, not per request, because /auth is the hot path."""
        now = self.loop.time()
        if not self.transport.get_write_buffer_size():
            self._untaken = None
        elif self._untaken is None:
            self._untaken = now
        if any(
            since is not None and now - since >= ARRIVES_WITHIN
            for since in (self._since, self._untaken)
        ):
            self.transport.abort()
            return
        self._watch = self.loop.call_later(ARRIVES_WITHIN / 2, self._arrives_in_time)


def bounded(connections: Connections) -> type[LimitedProtocol]:
    """The protocol of a server with a limit of connections."""

    class Counted(LimitedProtocol):
        counted = connections

    return Counted
