"""Streams of audit records: their receivers, the size of a batch, and the lateness of a stream."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

BATCH = 500
"""Records that are sent at once."""

BATCH_CHARACTERS = 1_000_000
"""Characters of reasons and details after which a batch ends, because a record may have the text of
a whole roles.toml."""

LATE_AFTER = 300
"""Seconds that a record may wait before its stream is late."""

MIB = 1024 * 1024

IN_TIME = 60
"""Seconds that a record may wait when a stream that was late is in time again."""


_HOST = re.compile(r"https?://([^/?#]*)")


def shown_address(url: str) -> str:
    """The host of a URL, and a digest that differs where any part of the URL does: paths and
    queries may hold secrets."""
    found = _HOST.match(url)
    host = found[1].rpartition("@")[2] if found else ""
    return f"{host} (URL {hashlib.sha256(url.encode()).hexdigest()[:12]})"


@dataclass(frozen=True, slots=True)
class WebhookStream:
    """Sends signed batches to `url`."""

    name: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    kind: str = "webhook"

    @property
    def place(self) -> str:
        """The receiver's address without secrets."""
        return shown_address(self.url)


@dataclass(frozen=True, slots=True)
class FileStream:
    """Appends lines to `path`, which is rotated at `max_bytes`; `keep` rotated files stay."""

    name: str
    path: str
    max_bytes: int
    keep: int
    kind: str = "file"

    @property
    def place(self) -> str:
        return f"{self.path}, rotated at {self.max_bytes // MIB} MB, {self.keep} kept"


@dataclass(frozen=True, slots=True)
class SyslogStream:
    """Sends RFC 5424 messages over TCP, with TLS unless `tls` is false. `ca` is a file of
    certificates that are trusted instead of the machine's, or "". With `close_notify` a receiver
    has taken a batch only when it ends TLS, as RFC 5425 section 4.4 says, and not only TCP."""

    name: str
    host: str
    port: int
    tls: bool
    ca: str
    close_notify: bool = True
    kind: str = "syslog"

    @property
    def place(self) -> str:
        trusted = f", certificates of {self.ca}" if self.ca else ""
        ends = "" if self.close_notify else ", without close_notify"
        return f"{self.host}:{self.port}{'' if self.tls else ' without TLS'}{trusted}{ends}"


Stream = WebhookStream | FileStream | SyslogStream
Row = tuple[Any, ...]
"""A record in the order of `audit.COLUMNS`."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The progress of a stream: record `seq` was the last that its receiver took, at `moved_at`.
    Records up to `backlog` existed before the stream. `late` means that the leads know that it is
    late."""

    seq: int
    backlog: int
    moved_at: int
    late: bool


def first_batch(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows from the first on that are sent at once; at least one."""
    size = 0
    for place, row in enumerate(rows):
        size += len(row[9]) + len(row[10])
        if size > BATCH_CHARACTERS and place:
            return rows[:place]
    return rows


def lateness(cursor: Cursor, waiting: tuple[int, int] | None, now: int) -> bool:
    """Whether the stream is late. `waiting` has number and time of the first record that was not
    sent, or None.

    A record from before the stream waits only while nothing is sent: a new stream of a long log is
    not late.
    """
    if waiting is None:
        return False
    seq, at = waiting
    since = cursor.moved_at if seq <= cursor.backlog else at
    return now - since >= (IN_TIME if cursor.late else LATE_AFTER)
