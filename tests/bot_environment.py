"""The environment of the bot in tests: exactly the variables that the documents tell an operator to
set."""

from __future__ import annotations

import os
from collections.abc import Mapping

KEY = "a-signing-key-of-forty-characters-0000001"
SHOP, REPORTS = "shop-system-secret-0123456789", "reports-system-secret-0123456789"

MODES: Mapping[str, tuple[str, ...]] = {
    "socket": ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "ACCESS_SECRET_KEYS"),
    "http": ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "ACCESS_SECRET_KEYS"),
}
"""What each mode requires. Everything else is optional, except what roles.toml itself reads."""

ROLE_SECRETS = {"SHOP_ADMIN_SECRET": SHOP, "REPORTS_SECRET": REPORTS}
"""What the example roles.toml reads with ${NAME}."""

OPTIONAL = {
    "DATABASE_URL": "sqlite:///access.db",
    "ACCESS_ROLES": "roles.toml",
    "ACCESS_POLICY_REVISION": "4c1f7a2",
    "HOST": "127.0.0.1",
    "LOG_LEVEL": "DEBUG",
    "LOG_FORMAT": "json",
}
"""All the rest, set to something that changes nothing of what a test looks at."""


def bot_environment(
    slack: Mapping[str, str], mode: str = "socket", *, all_set: bool = False
) -> dict[str, str]:
    """The required variables of a mode, and with `all_set` every optional one too.

    `slack` is what the stand-in prints. Two variables are there because of the tests alone:
    SLACK_API_URL leads to the stand-in, and PORT=0 lets many bots run side by side. PATH and HOME
    are the machine's; nothing else is.
    """
    known = {**slack, "ACCESS_SECRET_KEYS": KEY}
    names = [*MODES[mode], *(["SLACK_SIGNING_SECRET"] if all_set else [])]
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **{name: known[name] for name in names},
        **ROLE_SECRETS,
        **(OPTIONAL if all_set else {}),
        "SLACK_API_URL": slack["SLACK_API_URL"],
        "PORT": "0",
    }
