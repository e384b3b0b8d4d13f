"""Only addresses of Slack's own are called to change an answer, and none gets into the log."""

from __future__ import annotations

import pytest

from bot.config.logging import redact
from bot.slack.response_urls import is_slacks

SLACK = "https://slack.com/api/"


@pytest.mark.parametrize(
    ("url", "api", "is_right"),
    [
        ("https://hooks.slack.com/commands/T1/1/x", SLACK, True),
        ("https://hooks.slack.com/actions/T1/1/x", "https://www.slack.com/api/", True),
        ("https://hooks.slack-gov.com/commands/T1/1/x", "https://slack-gov.com/api/", True),
        ("http://127.0.0.1:8080/response/T1/1/x", "http://127.0.0.1:8080/api/", True),
        ("http://127.0.0.1:8081/response/T1/1/x", "http://127.0.0.1:8080/api/", False),
        ("http://hooks.slack.com/commands/T1/1/x", SLACK, False),
        ("https://slack.com/commands/T1/1/x", SLACK, False),
        ("https://hooks.slack.com.example.com/x", SLACK, False),
        ("https://hooks.slack.com@example.com/x", SLACK, False),
        ("https://hooks.slack.com:8443/x", SLACK, False),
        ("https://example.com/hooks.slack.com", SLACK, False),
        ("file:///etc/passwd", SLACK, False),
        ("", SLACK, False),
    ],
)
def test_only_an_address_of_slack_is_called(url: str, api: str, is_right: bool) -> None:
    assert is_slacks(url, api) is is_right


def test_an_address_never_gets_into_the_log() -> None:
    assert "Zm9vYmFy" not in redact(
        "no answer from https://hooks.slack.com/commands/T012AB/345/Zm9vYmFy"
    )
