"""Sends the audit log to the streams of roles.toml, each on a thread of its own, so that a receiver
that is slow or down delays nothing else."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from bot.connectors.fan_out import FanOut
from bot.core.backoff import Backoff
from bot.core.errors import AccessBotError, StorageUnavailable
from bot.core.streams import Row, Stream
from bot.operations._unit_of_work import Context
from bot.operations.streams.next_records import next_records, release_streams, waiting_streams
from bot.operations.streams.record_sent import record_sent, record_unsent
from bot.streams import deliver

log = logging.getLogger(__name__)

BACKOFF = Backoff(first=1, longest=60)
"""Seconds between attempts to reach a receiver."""


class StreamSender:
    """One for each process that works."""

    def __init__(
        self,
        world: Context,
        deliver: Callable[[Stream, Sequence[Row]], None] = deliver,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._world, self._deliver, self._steady = world, deliver, steady
        self._owner, self._fan_out = secrets.token_hex(8), FanOut()
        self._failures: dict[str, tuple[int, float]] = {}
        self._stopping, self._has_sent = threading.Event(), False

    def send_due(self) -> None:
        """Begins to send every stream that has something to send, and waits for none. Raises
        StorageUnavailable."""
        now = self._steady()
        due = {
            stream.name: partial(self.send, stream)
            for stream in waiting_streams(self._world)
            if self._failures.get(stream.name, (0, now))[1] <= now
        }
        self._fan_out.ask(due, 0)

    def stop(self) -> None:
        """Sends no further batch, and lets other processes continue."""
        self._stopping.set()
        if not self._has_sent:
            return
        try:
            release_streams(self._world, self._owner)
        except StorageUnavailable as error:
            log.warning("other processes send the streams of this one a minute later: %s", error)

    def send(self, stream: Stream) -> None:
        """Sends until nothing is left, the receiver fails, or another process sends it."""
        self._has_sent = True
        while not self._stopping.is_set():
            found = next_records(self._world, stream.name, self._owner)
            if found is None or not found[1]:
                return
            seq, rows = found
            try:
                self._deliver(stream, rows)
            except AccessBotError as error:
                self._failed(stream.name, str(error))
                return
            self._failures.pop(stream.name, None)
            if not record_sent(self._world, stream.name, self._owner, seq, int(rows[-1][0])):
                return

    def _failed(self, name: str, error: str) -> None:
        failures = self._failures.get(name, (0, 0.0))[0] + 1
        self._failures[name] = (failures, self._steady() + BACKOFF.jittered(failures))
        log.warning("the stream %s could not be sent: %s", name, error)
        record_unsent(self._world, name, error)
