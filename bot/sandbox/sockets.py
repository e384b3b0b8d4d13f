"""The Socket Mode server: tickets, up to ten connections of an app, each envelope to one of them,
and acks.

`event_delivery.py` retries.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect

from bot.sandbox.checks import Json
from bot.sandbox.faults import Faults
from bot.sandbox.rules import MAX_CONNECTIONS
from bot.sandbox.transport import cut

AckHandler = Callable[[str, Json | None], None]
# Seconds by which one envelope is delayed so that another overtakes it.
REORDER_SECONDS = 0.1


@dataclass
class Connection:
    """One open socket of an app."""

    id: str
    app: str
    socket: WebSocket


class Sockets:
    """All open sockets of all apps."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.connections: list[Connection] = []
        self.tickets: dict[str, str] = {}
        self.on_ack: AckHandler = lambda envelope_id, payload: None
        self.on_change: Callable[[], None] = lambda: None
        self._turn = 0
        self._held: tuple[str, Json] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, app: str) -> list[Connection]:
        """The open sockets of an app."""
        return [connection for connection in self.connections if connection.app == app]

    def new_ticket(self, app: str) -> str:
        """A ticket for one connection of an app."""
        ticket = secrets.token_urlsafe(16)
        self.tickets[ticket] = app
        return ticket

    async def serve(self, socket: WebSocket) -> None:
        """One connection from its hello to its end."""
        ticket = socket.query_params.get("ticket", "")
        app = self.tickets.get(ticket, "")
        full = len(self.of(app)) >= MAX_CONNECTIONS
        if not app or full or "refuse" in self.faults.sockets:
            await socket.close()
            return
        del self.tickets[ticket]
        await socket.accept()
        connection = Connection(f"socket-{secrets.token_hex(3)}", app, socket)
        self.connections.append(connection)
        self.on_change()
        try:
            await socket.send_json(self._hello(app))
            await self._listen(socket)
        except (WebSocketDisconnect, RuntimeError, ValueError):
            pass
        finally:
            self._drop(connection)

    def _hello(self, app: str) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.of(app)),
            "connection_info": {"app_id": app},
            "debug_info": {
                "host": "sandbox",
                "build_number": 1,
                "approximate_connection_time": 18060,
            },
        }

    async def _listen(self, socket: WebSocket) -> None:
        while True:
            message = json.loads(await socket.receive_text())
            if "envelope_id" in message:
                self.on_ack(message["envelope_id"], message.get("payload"))

    def _drop(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.remove(connection)
            self.on_change()

    async def send(self, app: str, envelope: Json) -> str | None:
        """Sends to the next connection of the app in turn; returns its id, or None without
        connections."""
        if not (connections := self.of(app)):
            return None
        if "silent" in self.faults.sockets:
            return connections[0].id
        if "reorder" in self.faults.sockets and self._held is None:
            self._held = (app, envelope)
            self._later(self._release(REORDER_SECONDS))
            return "held"
        sent = await self._write(app, envelope)
        await self._release(0)
        return sent

    async def _release(self, delay: float) -> None:
        await asyncio.sleep(delay)
        held, self._held = self._held, None
        if held is not None:
            await self._write(*held)

    async def _write(self, app: str, envelope: Json) -> str | None:
        while connections := self.of(app):
            self._turn += 1
            connection = connections[self._turn % len(connections)]
            try:
                for _ in range(2 if "duplicate" in self.faults.sockets else 1):
                    await connection.socket.send_text(json.dumps(envelope))
            except (WebSocketDisconnect, RuntimeError):
                self._drop(connection)
            else:
                return connection.id
        return None

    def _later(self, work: asyncio._CoroutineLike[None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def disconnect_all(self, reason: str) -> None:
        """Sends every connection `disconnect` with a reason: `warning`, `refresh_requested`."""
        for connection in list(self.connections):
            await connection.socket.send_json(
                {"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}}
            )

    def cut_all(self) -> int:
        """Cuts every connection without a message; returns their number."""
        gone, self.connections = self.connections, []
        for connection in gone:
            cut(connection.socket.scope)
        self.on_change()
        return len(gone)
