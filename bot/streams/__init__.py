"""Sends audit records to other systems: webhooks, files and syslog."""

from collections.abc import Sequence

from bot.core.audit_export import json_lines
from bot.core.streams import FileStream, Row, Stream, WebhookStream
from bot.streams import file, syslog, webhook


def deliver(stream: Stream, rows: Sequence[Row]) -> None:
    """Sends records in this order, and returns when the receiver has taken all of them. Raises
    SystemUnavailable if it may not have."""
    if isinstance(stream, WebhookStream):
        webhook.send(stream, rows)
    elif isinstance(stream, FileStream):
        file.send(stream, json_lines(rows))
    else:
        syslog.send(stream, rows)
