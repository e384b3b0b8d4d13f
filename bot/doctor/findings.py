"""Defines a finding, and the deployment that every check reads."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from slack_sdk import WebClient

from bot.app import Services
from bot.config.settings import Settings
from bot.core.roles import Policy


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: subject, state, and advice. `exit_code` is the least of the whole
    command. A finding with `is_checked` false is about a check that could not be made."""

    state: State
    subject: str
    text: str
    exit_code: int = 0
    is_checked: bool = True

    def __str__(self) -> str:
        return f"{self.state:<5} {self.subject}: {self.text}"


def ok(subject: str, text: str) -> Finding:
    return Finding(State.OK, subject, text)


def warn(subject: str, text: str) -> Finding:
    return Finding(State.WARN, subject, text)


def fail(subject: str, text: str) -> Finding:
    return Finding(State.FAIL, subject, text, 1)


def unchecked(subject: str, text: str) -> Finding:
    return Finding(State.FAIL, subject, text, 1, is_checked=False)


@dataclass(frozen=True, slots=True)
class Deployment:
    """The facts that checks read; `client` carries the bot's token, `wall` is this machine's
    clock."""

    base: Services
    client: WebClient
    wall: Callable[[], float]

    @property
    def settings(self) -> Settings:
        return self.base.settings

    @property
    def has_database(self) -> bool:
        """Whether there is something to connect to: connecting would create a SQLite file."""
        path = Path(self.settings.database_url.removeprefix("sqlite:///"))
        return not self.base.db.is_sqlite or path.exists()

    @property
    def policy(self) -> Policy:
        return self.base.roles.policy
