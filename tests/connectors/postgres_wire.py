"""A proxy to a server that can be cut or stopped at any message; it reads only the needed part of
the protocol."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Wire:
    """A proxy between the connector and the server. It counts the connector's messages that want an
    answer."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._lines: set[asyncio.StreamWriter] = set()
        self._cut_at, self._before, self._sent = 0, True, 0
        self._down = self._held = False
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=[ready])
        self._thread.start()
        ready.wait()

    def _run(self, ready: threading.Event) -> None:
        async def serve() -> None:
            server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            self._over = asyncio.Event()
            ready.set()
            async with server:
                await self._over.wait()
            self._cut()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._loop.run_until_complete(serve())
        self._loop.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody reaches the server, and open connections are cut."""
        self._down = True
        self._loop.call_soon_threadsafe(self._cut)
        try:
            yield
        finally:
            self._down = False

    @contextmanager
    def held(self, after: int = 1) -> Iterator[None]:
        """From that message on, the server is reached and answers nothing."""
        self._sent, self._cut_at, self._held = 0, after, True
        try:
            yield
        finally:
            self._cut_at, self._held = 0, False
            self._loop.call_soon_threadsafe(self._cut)

    @contextmanager
    def breaking(self, number: int) -> Iterator[None]:
        """Odd: cut before a message reaches the server; even: after the server has acted on it."""
        self._sent, self._cut_at, self._before = 0, (number + 1) // 2, number % 2 == 1
        try:
            yield
        finally:
            self._cut_at, self._down = 0, False

    def _cut(self) -> None:
        for line in list(self._lines):
            line.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._down:
            writer.close()
            return
        there, forth = await asyncio.open_connection("127.0.0.1", self._to)
        mine = {writer, forth}
        self._lines |= mine
        muted = asyncio.Event()
        both = [self._questions(reader, forth, muted), self._answers(there, writer, muted)]
        tasks = [asyncio.ensure_future(each) for each in both]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for line in mine:
            line.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._lines -= mine

    async def _questions(
        self, client: asyncio.StreamReader, server: asyncio.StreamWriter, muted: asyncio.Event
    ) -> None:
        """The client's messages (section 54.7 of the manual): a first one without a type, then
        typed ones."""
        with suppress(OSError, asyncio.IncompleteReadError):
            size = await client.readexactly(4)
            server.write(size + await client.readexactly(int.from_bytes(size) - 4))
            while True:
                head = await client.readexactly(5)
                message = head + await client.readexactly(int.from_bytes(head[1:]) - 4)
                if head[:1] in b"QS" and self._breaks_now():
                    if self._held:
                        await asyncio.Event().wait()
                    self._down = True
                    if self._before:
                        return
                    muted.set()
                server.write(message)
                await server.drain()

    def _breaks_now(self) -> bool:
        self._sent += 1
        return self._sent == self._cut_at

    async def _answers(
        self, server: asyncio.StreamReader, client: asyncio.StreamWriter, muted: asyncio.Event
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await server.readexactly(5)
                message = head + await server.readexactly(int.from_bytes(head[1:]) - 4)
                if not muted.is_set():
                    client.write(message)
                    await client.drain()
                elif head[:1] == b"Z":
                    return
