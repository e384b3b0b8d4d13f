"""Posts a note of the security channel to Slack directly, for when the outbox can't be written."""

from collections.abc import Mapping

from slack_sdk import WebClient

from bot.slack.api import Caller
from bot.slack.views import security_notes

NOTE = "writing_down"


class DirectPost:
    """`client` must not retry on its own."""

    def __init__(self, client: WebClient) -> None:
        self._call = Caller(client)

    def __call__(self, place: str, facts: Mapping[str, object]) -> None:
        """To a channel or person. Raises SystemUnavailable, OutcomeUnknown and SystemRefused."""
        message = security_notes.render(NOTE, facts)
        self._call(
            "chat.postMessage", channel=place, **message, unfurl_links=False, unfurl_media=False
        )
