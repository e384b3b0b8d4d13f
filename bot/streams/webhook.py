"""Sends a batch of records as one signed POST."""

import time
from collections.abc import Sequence

from bot.connectors.transport.http import call
from bot.connectors.webhook import signature
from bot.core.audit_export import json_lines
from bot.core.errors import SystemUnavailable
from bot.core.streams import Row, WebhookStream

TIMEOUT = 10.0
"""Seconds for one batch."""


def send(stream: WebhookStream, rows: Sequence[Row]) -> None:
    """Any answer but 2xx is a failure, because no record may be left out."""
    first, last = rows[0][0], rows[-1][0]
    body = body_of(stream.name, rows)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "access-bot",
        "Idempotency-Key": f"{stream.name}:{first}-{last}:{rows[-1][12][:16]}",
        "X-Access-Signature": signature(stream.secret.encode(), body, int(time.time())),
    }
    answer = call(
        "POST", stream.url, headers=headers, body=body, timeout=TIMEOUT, allow_private=True
    )
    if not 200 <= answer.status < 300:
        raise SystemUnavailable(f"{answer.host} answered {answer.status}", answer.retry_after)


def body_of(name: str, rows: Sequence[Row]) -> bytes:
    """The batch as JSON; each record is as in the export."""
    records = ",".join(line.rstrip("\n") for line in json_lines(rows))
    return f'{{"stream":"{name}","records":[{records}]}}'.encode()
