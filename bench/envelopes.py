"""Slack's end of Socket Mode as a load generator, a process of its own: opens a connection for each
client, sends prepared envelopes with a fixed number unanswered at a time, and reports how long each
ack took."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.place import answer, jobs
from bot.web import listening

PATIENCE = 60


class Slack:
    """One workspace with one connection at a time."""

    def __init__(self, port: int) -> None:
        self.port, self.socket = port, None
        self._waiting: dict[str, asyncio.Future[float]] = {}

    async def api(self, request: Request) -> JSONResponse:
        return JSONResponse({"ok": True, "url": f"ws://127.0.0.1:{self.port}/socket"})

    async def serve(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json(
            {"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"}}
        )
        self.socket: Any = socket
        try:
            while True:
                reply = json.loads(await socket.receive_text())
                waiting = self._waiting.pop(reply.get("envelope_id", ""), None)
                if waiting is not None:
                    waiting.set_result(time.perf_counter())
        except (WebSocketDisconnect, RuntimeError):
            self.socket = None

    async def fire(self, envelopes: list[str], at_once: int) -> tuple[float, list[float]]:
        while self.socket is None:
            await asyncio.sleep(0.01)
        left, took = iter(envelopes), list[float]()

        async def one_by_one() -> None:
            for text in left:
                done = asyncio.get_running_loop().create_future()
                self._waiting[json.loads(text)["envelope_id"]] = done
                sent = time.perf_counter()
                await self.socket.send_text(text)
                took.append(await asyncio.wait_for(done, PATIENCE) - sent)

        started = time.perf_counter()
        await asyncio.gather(*(one_by_one() for _ in range(at_once)))
        return time.perf_counter() - started, took


def main() -> None:
    listener = listening("127.0.0.1", 0)
    slack = Slack(listener.getsockname()[1])
    app = Starlette(
        routes=[
            Route("/api/{method}", slack.api, methods=["POST"]),
            WebSocketRoute("/socket", slack.serve),
        ]
    )
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws_ping_interval=None)
    server, loop = uvicorn.Server(config), asyncio.new_event_loop()
    threading.Thread(
        target=loop.run_until_complete, args=(server.serve([listener]),), daemon=True
    ).start()
    answer(port=slack.port)
    for job in jobs():
        envelopes = Path(job["envelopes"]).read_text().splitlines()
        wall, took = asyncio.run_coroutine_threadsafe(
            slack.fire(envelopes, job["at_once"]), loop
        ).result()
        answer(wall=wall, each=took)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
