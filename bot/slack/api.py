"""Calls a method of Slack's Web API, and classifies its failures: temporary, unknown outcome, or
final.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from http.client import HTTPException
from math import ceil
from typing import Any
from urllib.error import URLError

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from bot.core.errors import OutcomeUnknown, SystemRefused, SystemUnavailable
from bot.slack.call_metrics import CALLS

PASSING = frozenset(
    [
        "ratelimited",
        "rate_limited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "external_service_migration_in_progress",
        "team_added_to_org",
    ]
)
"""Errors in a 200 answer that say "not now" (https://docs.slack.dev/apis/web-api/); all others are
final."""

LOCKED_OUT = frozenset(
    ["invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"]
)
"""Final errors of our token, not of the call: the call succeeds after an operator has fixed the
token."""

BY_CHANNEL = frozenset(["chat.postMessage"])
"""Methods that Slack limits per channel; it limits the others per workspace."""


def call(client: WebClient, method: str, **arguments: Any) -> dict[str, Any]:
    """The answer of `method`. Raises SystemUnavailable, OutcomeUnknown or SystemRefused."""
    with sorted_errors(method):
        # Slack's reading methods take no JSON, and its writing ones want it for nested values.
        nested = any(isinstance(value, dict | list) for value in arguments.values())
        answer = (
            client.api_call(method, json=arguments)
            if nested
            else client.api_call(method, params=arguments)
        )
    return dict(answer.data) if isinstance(answer.data, dict) else {}


def pages(client: WebClient, method: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """The pages of a list, each requested after the one before it was used. Raises the errors of
    `call`."""
    with sorted_errors(method):
        for page in client.api_call(method, params=arguments):
            yield dict(page.data) if isinstance(page.data, dict) else {}


def patient(client: WebClient) -> WebClient:
    """A copy of the client that waits when Slack asks for a pause; for calls in the background."""
    waiting = copy(client)
    waiting.retry_handlers = [RateLimitErrorRetryHandler(max_retry_count=3)]
    return waiting


class Caller:
    """Calls with one client and keeps the pauses that Slack asks for: during a pause it does not
    call that method, or post into that channel, again
    (https://docs.slack.dev/apis/web-api/rate-limits). `now` returns seconds."""

    def __init__(self, client: WebClient, now: Callable[[], float] = time.monotonic) -> None:
        self._client, self._now = client, now
        self._until: dict[tuple[str, str], float] = {}

    def __call__(self, method: str, **arguments: Any) -> dict[str, Any]:
        """The answer of `method`. Raises the errors of `call`."""
        limit = (method, str(arguments.get("channel", "")) if method in BY_CHANNEL else "")
        left = self._until.get(limit, 0.0) - self._now()
        if left > 0:
            raise SystemUnavailable("Slack asked for a pause", ceil(left))
        self._until.pop(limit, None)
        try:
            return call(self._client, method, **arguments)
        except SystemUnavailable as error:
            if error.retry_after:
                self._until[limit] = self._now() + error.retry_after
            raise


@contextmanager
def sorted_errors(method: str) -> Iterator[None]:
    """Counts the call, and translates every failure between us and Slack."""
    try:
        yield
    except SlackApiError as error:
        failure = _sorted(error)
        CALLS.add(method, _result(failure))
        raise failure from error
    except URLError as error:  # the connection failed before the call was sent
        CALLS.add(method, "unreachable")
        raise SystemUnavailable(f"Slack can't be reached ({error.reason})") from error
    except (TimeoutError, ConnectionError, HTTPException) as error:
        CALLS.add(method, "answer_lost")
        raise OutcomeUnknown(
            f"Slack's answer to {method} was lost ({type(error).__name__})"
        ) from error
    except SlackClientError as error:
        CALLS.add(method, "unavailable")
        raise SystemUnavailable(f"Slack's answer to {method} can't be read ({error})") from error
    else:
        CALLS.add(method, "ok")


def _result(failure: SystemUnavailable | SystemRefused) -> str:
    if isinstance(failure, SystemRefused):
        return "refused"
    return "rate_limited" if failure.retry_after else "unavailable"


def _sorted(error: SlackApiError) -> SystemUnavailable | SystemRefused:
    status, code = error.response.status_code, str(error.response.get("error", ""))
    if status == 429 or code in ("ratelimited", "rate_limited"):
        wait = str(error.response.headers.get("Retry-After", "1"))
        return SystemUnavailable("Slack asks for a pause", int(wait) if wait.isdigit() else 1)
    if status >= 500 or code in PASSING or not error.response.get("error"):
        return SystemUnavailable(f"Slack is unwell ({status} {code})")
    needed = error.response.get("needed")
    detail = f"it needs {needed}" if needed else "; ".join(_messages(error))
    return SystemRefused(code, detail)


def _messages(error: SlackApiError) -> list[str]:
    metadata = error.response.get("response_metadata") or {}
    return [str(message) for message in metadata.get("messages", [])][:3]
