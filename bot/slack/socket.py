"""Keeps one Socket Mode connection alive, reports whether it works, and acknowledges every
envelope."""

import contextlib
import json
import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any

from slack_bolt import App, BoltResponse
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse

from bot.core.backoff import Backoff
from bot.slack.receiver import Receiver

log = logging.getLogger(__name__)

PING = 10
"""Seconds between our pings; only Slack's pong proves that messages still arrive."""

DEAF = 4 * PING

BACKOFF = Backoff(first=1, longest=30)
"""Between two tries to connect."""

GONE = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
"""Poll events of a connection that the other side has closed; Slack's client would continue reading
from it."""


_Given = tuple[float, "Future[BoltResponse]", Callable[[], None]]
"""The time at which an answer is late, the answer, and a function to call then."""


class _Unread(ssl.SSLContext):
    """Loads the trusted certificates for the first TLS connection only. Loading takes a tenth of
    the start, and Slack's client would load them also for a connection without TLS, as to the
    sandbox."""

    _read = False

    def wrap_socket(self, *arguments: Any, **how: Any) -> ssl.SSLSocket:
        if not self._read:
            self.load_default_certs()
            self._read = True
        return super().wrap_socket(*arguments, **how)


class Socket:
    """`client` opens the connections; `workers` threads hand payloads on to `receiver`, by default
    a new one for `app`."""

    def __init__(
        self,
        app: App,
        app_token: str,
        client: WebClient,
        workers: int = 10,
        receiver: Receiver | None = None,
    ) -> None:
        self._receiver = receiver or Receiver(app.dispatch)
        client.ssl = client.ssl or _Unread(ssl.PROTOCOL_TLS_CLIENT)
        self._handler = SocketModeHandler(
            app, app_token, web_client=client, ping_interval=PING, concurrency=workers, logger=log
        )
        # The SDK's own listener would raise on odd payloads, and acknowledge only payloads that
        # Bolt answers with 200.
        self._handler.client.socket_mode_request_listeners.clear()
        self._handler.client.message_listeners.append(self._answer)
        self._stopping, self._called = threading.Event(), threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="socket-keeper", daemon=True)
        self._given: SimpleQueue[_Given | None] = SimpleQueue()
        self._watcher = threading.Thread(target=self._watch, name="socket-watcher", daemon=True)
        self._connected_at = 0.0
        self.connections = 0
        """The number of connections made so far."""

    def start(self) -> None:
        """Returns at once; the first connection is made, and later ones are replaced, in the
        background."""
        self._keeper.start()
        self._watcher.start()

    def check(self) -> None:
        """Wakes the thread that keeps the connection when it is lost. Call it once a second."""
        if not self.well():
            self._called.set()

    def well(self) -> bool:
        """Connected, not cut, and answered by a recent pong: a broken connection can look alive for
        hours."""
        client = self._handler.client
        return (
            client.is_connected()
            and not self._is_cut()
            and time.time() - self._last_answer() < DEAF
        )

    def _is_cut(self) -> bool:
        session = self._handler.client.current_session
        line = session.sock if session is not None else None
        poller = select.poll()
        try:
            poller.register(line.fileno() if line is not None else -1, GONE)
        except (OSError, ValueError):  # closed by another thread meanwhile
            return True
        return any(event & GONE for _, event in poller.poll(0))

    def close(self) -> None:
        """Takes no new payloads, finishes and acknowledges the others, and then disconnects."""
        self._stopping.set()
        self._called.set()
        if self._keeper.is_alive():
            self._keeper.join()
        client = self._handler.client
        client.auto_reconnect_enabled = client.default_auto_reconnect_enabled = False
        client.closed = True
        client.message_queue.put(None)  # wakes the thread that hands messages on, which then ends
        if client.message_processor.is_alive():
            client.message_processor.shutdown()  # type: ignore[no-untyped-call]
        client.message_workers.shutdown(wait=True)
        self._receiver.close()
        self._given.put(None)
        self._wake_reader()
        self._handler.close()  # type: ignore[no-untyped-call]

    def _wake_reader(self) -> None:
        """Ends the reader at once, which would otherwise wait up to three seconds for the next
        frame."""
        session = self._handler.client.current_session
        with contextlib.suppress(OSError):
            if session is not None and session.sock is not None:
                session.sock.shutdown(socket.SHUT_RD)

    def _answer(
        self, client: BaseSocketModeClient, message: dict[str, Any], raw: str | None
    ) -> None:
        """Acknowledges every envelope within Slack's three seconds, except an event that the
        database could not store: Slack sends that again."""
        if not isinstance(envelope := message.get("envelope_id"), str):
            return
        payload = message.get("payload")
        future, unanswered = self._receiver.submit(payload), threading.Lock()

        def answer(response: BoltResponse) -> None:
            if response.status == 200:
                self._send(client, envelope, response)

        def in_time(done: Future[BoltResponse]) -> None:
            if unanswered.acquire(blocking=False):
                answer(done.result())

        def too_late() -> None:
            if unanswered.acquire(blocking=False):
                answer(self._receiver.late(payload))

        future.add_done_callback(in_time)
        self._given.put((time.monotonic() + self._receiver.within, future, too_late))

    def _watch(self) -> None:
        """Answers payloads whose listeners take too long. All have the same time, so the oldest is
        late first."""
        while (given := self._given.get()) is not None:
            until, future, too_late = given
            wait([future], max(0.0, until - time.monotonic()))
            if not future.done():
                too_late()

    def _send(self, client: BaseSocketModeClient, envelope: str, response: BoltResponse) -> None:
        body = response.body or ""
        kind = response.first_headers().get("content-type", "")
        words = json.loads(body) if kind.startswith("application/json") else {"text": body}
        try:
            client.send_socket_mode_response(SocketModeResponse(envelope, words if body else None))
        except Exception as error:  # the connection is gone, and the keeper makes another
            log.warning(
                "an answer did not reach Slack (%s), which may send the payload again", error
            )

    def _keep(self) -> None:
        pauses = iter(BACKOFF)
        while not self._stopping.is_set():
            if self.well():
                pauses = iter(BACKOFF)
                self._called.wait(PING)
                self._called.clear()
                continue
            try:
                self._connect()
            except Exception as error:  # any failure is answered by the next try
                pause = next(pauses)
                log.warning("no connection to Slack yet (%s); next try in %.0f s", error, pause)
                self._stopping.wait(pause)

    def _connect(self) -> None:
        client = self._handler.client
        if client.current_session is None:
            client.connect()
        else:
            client.connect_to_new_endpoint(force=True)
        if not client.is_connected():  # the client says nothing when its handshake is refused
            raise ConnectionError("it was refused")
        self._connected_at = time.time()
        self.connections += 1

    def _last_answer(self) -> float:
        session = self._handler.client.current_session
        pong = session.last_ping_pong_time if session is not None else None
        return max(pong or 0.0, self._connected_at)
