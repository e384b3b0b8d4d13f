"""Decides whether Slack signed a request just now, and distinguishes a wrong clock from a wrong
signature.

Without the signing secret nobody can make this process look unwell.
"""

import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter
from slack_sdk.signature import SignatureVerifier

from bot.config.logging import OncePerMinute
from bot.core.durations import format_duration

log = logging.getLogger(__name__)

TOO_OLD = 300
"""The most seconds between Slack's timestamp and our clock; the SDK's verifier has the same
limit."""

NO_TIMESTAMP = (
    "a request to /slack/events was refused: it has no timestamp of Slack's. Only Slack should"
    " reach that path"
)
WRONG_SIGNATURE = (
    "a request to /slack/events was refused: its signature is wrong. Either Slack did not send it, "
    "or SLACK_SIGNING_SECRET is not the one of this app"
)


class Signatures:
    """`verifier` has the secret and the machine's clock; `steady` never goes back. Thread-safe."""

    def __init__(
        self,
        verifier: SignatureVerifier,
        registry: CollectorRegistry | None = None,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verifier, self._steady = verifier, steady
        words = "Requests to /slack/events that were refused, by reason."
        self._refused = Counter("access_bot_slack_refused", words, ["reason"], registry=registry)
        self._often, self._lock = OncePerMinute(steady), threading.Lock()
        self._newest, self._wrong_by = 0, 0.0
        """The newest timestamp that Slack signed, and Slack's time minus the steady clock, 0 while
        the clock is right."""

    def are_right(self, body: bytes, times: Sequence[str], signatures: Sequence[str]) -> bool:
        """Whether the request is from Slack and fresh; each header must be there once
        (https://docs.slack.dev/authentication/verifying-requests-from-slack)."""
        if len(times) != 1 or not _is_number(times[0]):
            return self._refuse("timestamp", NO_TIMESTAMP)
        if len(signatures) != 1 or not self._is_signed(body, times[0], signatures[0]):
            return self._refuse("signature", WRONG_SIGNATURE)
        at, now = int(times[0]), self._verifier.clock.now()
        with self._lock:
            known, self._newest = self._newest, max(self._newest, at)
            if abs(now - at) <= TOO_OLD:
                self._wrong_by = 0.0
                return True
            is_replay = at <= known
            if not is_replay:
                self._wrong_by = at - self._steady()
        return self._refuse("stale", _replayed(now - at) if is_replay else _stale(now - at))

    def state(self) -> tuple[bool, str]:
        """Whether Slack's requests are accepted, and advice for an operator if not. It recovers
        with the next fresh request, and when the machine's clock has been set."""
        with self._lock:
            wrong_by = self._wrong_by
        off = self._verifier.clock.now() - self._steady() - wrong_by
        if not wrong_by or abs(off) <= TOO_OLD:
            return True, ""
        return False, f"Slack's requests are refused: {_off(off)}. Set the clock, and turn NTP on"

    def _is_signed(self, body: bytes, at: str, signature: str) -> bool:
        """Verifies without the age, because the SDK's verifier checks it first, and without bodies
        that it can't read."""
        key = self._verifier.signing_secret.encode()
        digest = hmac.new(key, b"v0:%s:%s" % (at.encode(), body), hashlib.sha256).hexdigest()
        return hmac.compare_digest(f"v0={digest}".encode(), signature.encode())

    def _refuse(self, reason: str, words: str) -> bool:
        self._refused.labels(reason).inc()
        if (left_out := self._often.due(reason)) is not None:
            log.warning("%s%s", words, left_out)
        return False


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12


def _off(seconds: float) -> str:
    way = "ahead of" if seconds > 0 else "behind"
    return f"this machine's clock is {format_duration(round(abs(seconds)))} {way} Slack's"


def _stale(age: float) -> str:
    return (
        "a request to /slack/events was refused: Slack signed it, but its timestamp is stale,"
        f" because {_off(age)}. Set the clock, and turn NTP on"
    )


def _replayed(age: float) -> str:
    return (
        "a request to /slack/events was refused: Slack signed it "
        f"{format_duration(round(abs(age)))} ago, and newer ones have come since: it was sent again"
    )
