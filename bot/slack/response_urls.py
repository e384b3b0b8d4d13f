"""Changes an ephemeral answer through the `response_url` of the interaction that it answered."""

from typing import Any
from urllib.parse import urlsplit

from slack_sdk.webhook import WebhookClient

from bot.core.errors import SystemRefused, SystemUnavailable
from bot.slack.api import sorted_errors

TIMEOUT = 10


def is_slacks(url: str, api: str) -> bool:
    """Whether `url` leads to the Slack whose API is at `api`: to its `hooks` host over https, or to
    the host that replaces it in tests."""
    asked, known = urlsplit(url), urlsplit(api)
    host = (known.hostname or "").removeprefix("www.")
    if asked.scheme == "https" and asked.netloc == f"hooks.{host}":
        return True
    return host != "slack.com" and (asked.scheme, asked.netloc) == (known.scheme, known.netloc)


def replace_answer(url: str, message: dict[str, Any]) -> None:
    """Puts `message` in the place of the answer. Raises SystemUnavailable, OutcomeUnknown and
    SystemRefused."""
    client = WebhookClient(url, timeout=TIMEOUT, retry_handlers=[])
    with sorted_errors("response_url"):
        answer = client.send_dict(
            {"replace_original": True, "response_type": "ephemeral", **message}
        )
    if answer.status_code == 429 or answer.status_code >= 500:
        wait = str(answer.headers.get("Retry-After", answer.headers.get("retry-after", "")))
        raise SystemUnavailable(
            "Slack takes no change of an answer now", int(wait) if wait.isdigit() else None
        )
    if answer.status_code != 200:
        raise SystemRefused("response_url", f"{answer.status_code} {answer.body[:100]}")
