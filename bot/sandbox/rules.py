"""Slack's rules in one place: token, scope, arguments and rate of each method.

Figures: docs.slack.dev/reference/methods and docs.slack.dev/apis/web-api/rate-limits.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.sandbox.blocks import (
    validate_blocks,
    validate_message,
    validate_suggestions,
    validate_view,
)
from bot.sandbox.mrkdwn_effects import notifications

__all__ = [
    "METHODS",
    "TIERS",
    "Method",
    "missing_arguments",
    "missing_scopes",
    "notifications",
    "validate_blocks",
    "validate_message",
    "validate_suggestions",
    "validate_view",
]


@dataclass(frozen=True)
class Rate:
    """A bucket: `per_minute` tokens flow in, up to `burst` wait."""

    per_minute: float
    burst: int


# Slack states minimums such as "1+ a minute"; the bursts are generous on purpose.
TIERS: dict[str, Rate] = {
    "1": Rate(1, 20),
    "2": Rate(20, 40),
    "3": Rate(50, 100),
    "4": Rate(100, 200),
    "special": Rate(600, 600),
    "channel": Rate(60, 8),
    "none": Rate(60_000, 60_000),
}
RESPONSE_URL_USES = 5
RESPONSE_URL_SECONDS = 30 * 60
TRIGGER_SECONDS = 3.0
ACK_SECONDS = 3.0
MAX_CONNECTIONS = 10
MAX_STACK = 3
# The first retry is at once, then after a minute, then after five: docs.slack.dev/apis/events-api
RETRY_DELAYS = (0.0, 60.0, 300.0)
READ_CHANNELS = {
    "public_channel": "channels:read",
    "private_channel": "groups:read",
    "im": "im:read",
}


@dataclass(frozen=True)
class Method:
    """The requirements of one Web API method. `scopes` are all needed; of a group in `required`,
    one is enough."""

    tier: str
    scopes: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    token: str = "bot"  # noqa: S105 - the kind of token, not a token


METHODS: dict[str, Method] = {
    "api.test": Method("4", token="none"),  # noqa: S106
    "auth.test": Method("special"),
    "apps.connections.open": Method("1", ("connections:write",), token="app"),  # noqa: S106
    "blocks.validate": Method("3", (), ("blocks|view",)),
    "chat.postMessage": Method("channel", ("chat:write",), ("channel",)),
    "chat.update": Method("3", ("chat:write",), ("channel", "ts")),
    "chat.delete": Method("3", ("chat:write",), ("channel", "ts")),
    "chat.postEphemeral": Method("4", ("chat:write",), ("channel", "user")),
    "chat.getPermalink": Method("special", (), ("channel", "message_ts")),
    "conversations.open": Method("3", ("im:write",), ("channel|users",)),
    "conversations.info": Method("3", (), ("channel",)),
    "conversations.list": Method("2"),
    "conversations.members": Method("4", (), ("channel",)),
    "users.info": Method("4", ("users:read",), ("user",)),
    "users.list": Method("2", ("users:read",)),
    "users.lookupByEmail": Method("3", ("users:read.email",), ("email",)),
    "usergroups.list": Method("2", ("usergroups:read",)),
    "usergroups.users.list": Method("2", ("usergroups:read",), ("usergroup",)),
    "views.open": Method("4", (), ("trigger_id|interactivity_pointer", "view")),
    "views.push": Method("4", (), ("trigger_id|interactivity_pointer", "view")),
    "views.update": Method("4", (), ("view_id|external_id", "view")),
    "views.publish": Method("4", (), ("user_id", "view")),
    "files.getUploadURLExternal": Method("4", ("files:write",), ("filename", "length")),
    "files.completeUploadExternal": Method("4", ("files:write",), ("files",)),
}


def missing_arguments(method: str, given: set[str]) -> list[str]:
    """The required arguments of `method` that are not among `given`."""
    return [need for need in METHODS[method].required if not given.intersection(need.split("|"))]


def missing_scopes(method: str, granted: set[str]) -> list[str]:
    """The scopes that `method` needs and the token wasn't granted."""
    return [scope for scope in METHODS[method].scopes if scope not in granted]
