"""uvicorn's protocols with two additions that ASGI lacks: cutting a connection, and not answering
pings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

KEY = "sandbox.transport"


class CuttableHttp(HttpToolsProtocol):
    """HTTP whose handler can reach the connection."""

    def on_message_begin(self) -> None:
        """Puts the transport where `cut` finds it."""
        super().on_message_begin()
        self.scope["extensions"] = {KEY: {"transport": self.transport}}


def mutable_websocket(silent: Callable[[], bool]) -> type[WebSocketsSansIOProtocol]:
    """A WebSocket protocol that leaves pings unanswered while `silent()` is true."""

    class MutableWebSocket(WebSocketsSansIOProtocol):
        def handle_connect(self, event: Request) -> None:
            super().handle_connect(event)
            if hasattr(self, "scope"):
                self.scope["extensions"][KEY] = {"transport": self.transport}

        def handle_ping(self) -> None:
            if silent():
                self.conn.data_to_send()
            else:
                super().handle_ping()

    return MutableWebSocket


def cut(scope: Mapping[str, Any]) -> None:
    """Closes the connection of a request at once, without an answer."""
    scope["extensions"][KEY]["transport"].abort()
