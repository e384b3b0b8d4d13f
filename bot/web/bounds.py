"""How much may come over one connection before it makes sense, and how long a request may take to arrive. Everything
inside a complete request is for the endpoints.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
"""Bytes that are neither a body nor a finished head: request line, headers, the framing of chunks, trailers. The parser
keeps them all, and has no limit of its own."""

ARRIVES_WITHIN = 30
"""Seconds from a connection's or a request's first moment until the request is there; an idle connection between two
requests is closed by uvicorn."""


class Bounded(HttpToolsProtocol):
    """Hangs up on what sends without end, or never comes to one."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._unread = 0
        self._since: float | None = None
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._watch = self.loop.call_later(ARRIVES_WITHIN, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
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
        super().on_message_complete()

    def _look(self) -> None:
        """One timer for each connection, and none for each request, because the gate is the hot path."""
        if self._since is not None and self.loop.time() - self._since >= ARRIVES_WITHIN:
            self.transport.abort()
            return
        self._watch = self.loop.call_later(ARRIVES_WITHIN / 2, self._look)
