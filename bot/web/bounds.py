"""How much may come over one connection before it makes sense, and how long a request may take to arrive. Everything
inside a complete request is for the endpoints.
"""

import asyncio
import logging
import resource
import time
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
"""Bytes that are neither a body nor a finished head: request line, headers, the framing of chunks, trailers. The parser
keeps them all, and has no limit of its own."""

ARRIVES_WITHIN = 30
"""Seconds from a connection's or a request's first moment until the request is there; an idle connection between two
requests is closed by uvicorn."""


KEPT_DESCRIPTORS = 256
"""Descriptors that connections leave to the database, Slack and connectors."""

MOST_CONNECTIONS = 4096
"""Connections at most, wherever the limit of descriptors is higher than they need."""

LOG_EVERY = 60
"""Seconds between two lines about connections that were closed because there were too many."""

log = logging.getLogger(__name__)


def raise_descriptor_limit() -> None:
    """Raises the soft limit of descriptors to the hard one, where the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warning("the limit of open files stays at %s: %s", soft, error)


def most_connections() -> int:
    """Half of the descriptors of this process at most, and KEPT_DESCRIPTORS of them are for others."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, soft // 2, soft - KEPT_DESCRIPTORS))


class Connections:
    """The open connections of a server, the one that was quiet longest first."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._open: dict[Bounded, None] = {}
        self._closed, self._said = 0, -float(LOG_EVERY)

    def add(self, connection: "Bounded") -> None:
        """Closes the one that was quiet longest when there are too many: one that waits for no
        answer before one that does."""
        self._open[connection] = None
        if len(self._open) <= self._most:
            return
        oldest = next((each for each in self._open if each.is_idle()), next(iter(self._open)))
        self.remove(oldest)
        oldest.transport.abort()
        self._closed += 1
        self._say()

    def used(self, connection: "Bounded") -> None:
        """Puts it behind all others; it brought or was given a whole request."""
        if connection in self._open:
            del self._open[connection]
            self._open[connection] = None

    def remove(self, connection: "Bounded") -> None:
        self._open.pop(connection, None)

    def _say(self) -> None:
        now = self._clock()
        if now - self._said >= LOG_EVERY:
            log.warning(
                "more than %s connections at once: closed %s, the longest idle first",
                self._most,
                self._closed,
            )
            self._closed, self._said = 0, now


class Bounded(HttpToolsProtocol):
    """Hangs up on what sends without end, or never comes to one."""

    counted: Connections

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._unread = 0
        self._since: float | None = None
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.counted.add(self)
        self._since = self.loop.time()
        self._watch = self.loop.call_later(ARRIVES_WITHIN, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self.counted.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        if self._since is None and self.cycle.response_complete:  # whatever it is, it had better become a request
            self._since = self.loop.time()
        super().data_received(data)
        if self._unread > LARGEST_HEAD and self._since is not None:
            self.transport.abort()

    def on_message_begin(self) -> None:
        self._unread = 0
        self._since = self.loop.time()
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._since = None
        self.counted.used(self)
        super().on_message_complete()

    def is_idle(self) -> bool:
        """Whether it waits for no answer."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def _look(self) -> None:
        """One timer for each connection, and none for each request, because the gate is the hot path."""
        if self._since is not None and self.loop.time() - self._since >= ARRIVES_WITHIN:
            self.transport.abort()
            return
        self._watch = self.loop.call_later(ARRIVES_WITHIN / 2, self._look)


def bounded(connections: Connections) -> type[Bounded]:
    """The protocol of a server that has at most so many connections."""

    class Counted(Bounded):
        counted = connections

    return Counted
