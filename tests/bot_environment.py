"""The environment of the bot in tests: exactly the variables that the documents ask an operator to
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
"""The variables that each mode requires. All others are optional, except those that roles.toml
reads."""

ROLE_SECRETS = {"SHOP_ADMIN_SECRET": SHOP, "REPORTS_SECRET": REPORTS}
"""The variables that the example roles.toml reads with ${NAME}."""

OPTIONAL = {
    "DATABASE_URL": "sqlite:///access.db",
    "ACCESS_ROLES": "roles.toml",
    "ACCESS_POLICY_REVISION": "4c1f7a2",
    "ACCESS_COMMAND": "/access",
    "ACCESS_APP_NAME": "Access",
    "LOG_LEVEL": "DEBUG",
    "LOG_FORMAT": "json",
}
"""All other variables, with values that change nothing that a test checks."""


def bot_environment(
    slack: Mapping[str, str], mode: str = "socket", *, all_set: bool = False
) -> dict[str, str]:
    """The required variables of a mode, and with `all_set` every optional one too. `slack` is the
    output of the sandbox. Three variables are there for the tests alone: SLACK_API_URL leads to the
    sandbox, and PORT=0 lets many bots run in parallel, on HOST, which a PORT of the environment
    would otherwise open to the network. PATH and HOME are the machine's; nothing else is set."""
    known = {**slack, "ACCESS_SECRET_KEYS": KEY}
    names = [*MODES[mode], *(["SLACK_SIGNING_SECRET"] if all_set else [])]
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **{name: known[name] for name in names},
        **ROLE_SECRETS,
        **(OPTIONAL if all_set else {}),
        "SLACK_API_URL": slack["SLACK_API_URL"],
        "PORT": "0",
        "HOST": "127.0.0.1",
    }
