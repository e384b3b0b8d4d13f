"""Sends records as syslog messages (RFC 5424), counted in octets (RFC 6587), over TCP or TLS.

Syslog has no answer. Each batch has a connection of its own, and counts as taken when the receiver
has read it to its end and closed the connection, too. With TLS it must end TLS: a connection that
is only cut may have lost the end of the batch.
"""

import re
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import closing

from bot.core.audit import rfc3339
from bot.core.audit_export import json_lines
from bot.core.errors import NotCalled, OutcomeUnknown
from bot.core.streams import Row, SyslogStream

TIMEOUT = 10.0
"""Seconds to connect, to send one batch, and to wait for its end."""

PRIORITY = 13 * 8 + 6
"""Facility "log audit", severity "informational"."""

CUT = (
    "it closed the connection without close_notify; for a receiver that never sends that, set"
    " close_notify = false"
)

_ABSENT = "-"


def send(stream: SyslogStream, rows: Sequence[Row]) -> None:
    where = f"{stream.host}:{stream.port}"
    try:
        line = _connected(stream)
    except (OSError, UnicodeError) as error:
        raise NotCalled(f"{where} can't be reached: {_words(error)}") from None
    with closing(line):
        try:
            line.sendall(b"".join(framed(row) for row in rows))
            _finish(line, stream.close_notify)
        except OSError as error:
            raise OutcomeUnknown(f"{where} did not take all of it: {_words(error)}") from None


def framed(row: Row) -> bytes:
    """One record as a message, after its length. The text is the record as in the export, in
    ASCII."""
    (text,) = json_lines([row], ascii=True)
    header = f"<{PRIORITY}>1 {rfc3339(row[1])} {_host()} access-bot {_ABSENT} {row[2][:32]}"
    message = f"{header} {_ABSENT} {text.rstrip()}".encode("ascii")
    return b"%d %b" % (len(message), message)


def _host() -> str:
    """This machine's name, as far as RFC 5424 allows it."""
    return re.sub(r"[^\x21-\x7e]", "", socket.gethostname())[:255] or _ABSENT


def _connected(stream: SyslogStream) -> socket.socket:
    line = socket.create_connection((stream.host, stream.port), TIMEOUT)
    if not stream.tls:
        return line
    try:
        context = ssl.create_default_context(cafile=stream.ca or None)
        return context.wrap_socket(line, server_hostname=stream.host)
    except BaseException:
        line.close()
        raise


def _finish(line: socket.socket, close_notify: bool) -> None:
    """Ends our direction, and waits until the receiver ends its own. A receiver that was lost
    before resets the connection, or does not answer."""
    deadline = time.monotonic() + TIMEOUT
    if isinstance(line, ssl.SSLSocket):
        try:
            line = line.unwrap()
        except ssl.SSLEOFError:
            if close_notify:
                raise ConnectionAbortedError(CUT) from None
    line.shutdown(socket.SHUT_WR)
    while line.recv(4096):
        if time.monotonic() > deadline:
            raise TimeoutError("it did not close the connection")


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    return str(getattr(error, "strerror", None) or error or "it broke off")
