"""Logs to standard error, as text or as JSON lines, with secrets redacted."""

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from bot.core.correlation import current

_SECRETS = re.compile(
    r"xox[a-z]-[\w-]+|xapp-[\w-]+|\babt_[\w-]{20,}|(?i:bearer|basic)\s+[\w.~+/=-]{8,}|(?<=://)(?!USER:PASSWORD@)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?<=/)(?:commands|actions|app)/[TE]\w+/\w+/\w+"
)
"""Slack's tokens and response URLs, API tokens, the value of an Authorization header, and the user
and password of a URL, except in our own example."""

NOISY = ("slack_sdk", "slack_bolt", "apscheduler", "peewee", "httpx", "uvicorn", "bot.slack.socket")
"""Loggers that would log whole payloads with credentials at DEBUG: they never go below INFO. The
last is ours, used by a library."""


class Redacting(logging.Formatter):
    """Text lines without anything that looks like a secret, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        record.correlation = f"[{id}] " if (id := current()) else ""
        return redact(super().format(record))


class Json(Redacting):
    """One JSON object per line: `at level logger message`, and `correlation` and `exception` if
    there is one."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if id := current():
            fields["correlation"] = id
        if record.exc_info:
            fields["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(fields, ensure_ascii=False)


def redact(text: str) -> str:
    """`text` without anything that looks like a secret."""
    return _SECRETS.sub("[redacted]", text)


def configure(level: str, style: str) -> None:
    """Sets up the root logger; `style` is text or json."""
    handler = logging.StreamHandler()
    line = "%(asctime)s %(levelname)-7s %(name)s: %(correlation)s%(message)s"
    plain = Redacting(line, "%Y-%m-%dT%H:%M:%S%z")
    handler.setFormatter(Json() if style == "json" else plain)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLevelName(level)))
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    logging.getLogger("slack_bolt").setLevel(logging.ERROR)  # its warnings are intended here
    logging.getLogger("slack_sdk.webhook").setLevel(logging.CRITICAL)  # it also raises these errors
    # It warns of errors that it also raises, and quotes values.
    logging.getLogger("psycopg").setLevel(logging.ERROR)


class OncePerMinute:
    """Limits log lines that others can cause: each key is due once a minute. Thread-safe."""

    MOST_KEYS = 100

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady, self._lock = steady, threading.Lock()
        self._seen: dict[str, tuple[float, int]] = {}

    def due(self, key: str) -> str | None:
        """None during the key's minute, else the end of the line: the number of lines left out."""
        now = self._steady()
        with self._lock:
            since, left_out = self._seen.get(key, (float("-inf"), 0))
            if now - since < 60:
                self._seen[key] = since, left_out + 1
                return None
            if len(self._seen) >= self.MOST_KEYS:
                self._seen.clear()
            self._seen[key] = now, 0
        return f" ({left_out} more of these since the last line)" if left_out else ""


class Seldom(logging.Filter):
    """Passes each warning of a library once a minute, because any client can cause it."""

    def __init__(self, often: OncePerMinute | None = None) -> None:
        super().__init__()
        self._often = often or OncePerMinute()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        left_out = self._often.due(str(record.msg).partition("\n")[0][:80])
        if left_out:
            record.msg = f"{record.msg}{left_out}"
        return left_out is not None


def limit_lines_of_server() -> None:
    """Limits the warnings of the HTTP server and the event loop about bad requests and failed
    connections."""
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        if not any(isinstance(each, Seldom) for each in logger.filters):
            logger.addFilter(Seldom())
