"""The only reader of the environment: decides whether what is set there is enough to start, and safe.
It does not know roles.toml, nor whether any of these tokens works; `access-bot doctor` asks that.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from os import environ as process_environ
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values

from bot.core.errors import ConfigError, Problem


class Need(enum.Enum):
    """What a verb can't do without, beyond a database and a roles file, which everything may have."""

    SLACK = "calls Slack: SLACK_BOT_TOKEN"
    EVENTS = "hears from Slack: SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP mode)"
    KEYS = "signs or reads tokens: ACCESS_SECRET_KEYS"


# What each verb of the command line needs. In Socket Mode `web` only checks access tokens, reads the database
# and never speaks to Slack; that it needs a Slack token in HTTP mode is decided by the mode, not here.
NEEDS: Mapping[str, frozenset[Need]] = {
    "run": frozenset(Need),
    "worker": frozenset(Need),
    "doctor": frozenset(Need),
    "web": frozenset({Need.EVENTS, Need.KEYS}),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the environment says, checked. Secrets are left out of the repr; unset texts are ""."""

    slack_bot_token: str = field(repr=False)
    slack_app_token: str = field(repr=False)
    slack_signing_secret: str = field(repr=False)
    slack_api_url: str
    database_url: str = field(repr=False)
    roles_path: str
    secret_keys: tuple[str, ...] = field(repr=False)
    host: str
    port: int
    log_level: str
    log_format: str
    environ: Mapping[str, str] = field(repr=False)

    @property
    def slack_mode(self) -> Literal["socket", "http"]:
        """`socket` when there is an app token, else `http`."""
        return "socket" if self.slack_app_token else "http"


def load_settings(
    environ: Mapping[str, str] | None = None, dotenv: str | None = ".env", need: frozenset[Need] = frozenset()
) -> Settings:
    """Reads the environment."""
    raise NotImplementedError
