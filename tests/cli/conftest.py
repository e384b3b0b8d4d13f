"""A shop with a real SQLite database and a roles.toml, and the command line in its directory."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import bot.connectors
from bot.cli import cli
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.core.eligibility import Ask
from bot.core.model import Request
from bot.operations.requests.request_access import Submitted, request_access
from storage import audit, requests
from storage.database import Database
from tests.builders import ENVIRON, WORKSPACE, policy_text
from tests.connectors import folder
from tests.factories import ANA, KEYS, Made, make_world

OURS = ("SLACK_", "ACCESS_", "DATABASE_URL", "LOG_", "HOST", "PORT")


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty directory, an environment without the bot's variables, and the log levels as they
    were."""
    import os

    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    root, levels = logging.getLogger(), {}
    handlers, level = root.handlers[:], root.level
    levels = {
        name: logger.level
        for name, logger in root.manager.loggerDict.items()
        if hasattr(logger, "level")
    }
    yield
    root.handlers[:], root.level = handlers, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good roles.toml and all that the commands without Slack need, but no database."""
    (tmp_path / "roles.toml").write_text(policy_text())
    for name, value in {**ENVIRON, "ACCESS_SECRET_KEYS": ",".join(KEYS)}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@dataclass
class Shop:
    """A bot's database, as a running bot would leave it."""

    made: Made

    def ask(self, role: str = "shop-admin", reason: str = "refund order 7") -> Request:
        asked = request_access(
            self.made.world, Ask(ANA, role, reason, duration=3600, ticket="OPS-1")
        )
        assert isinstance(asked, Submitted), asked
        return asked.request

    def request(self, id: str) -> Request:
        with self.made.world.db.reading():
            found = requests.get(self.made.world.db, id)
        assert found is not None
        return found

    def events(self) -> list[tuple[str, str, str]]:
        """Event, actor and detail of every audit record, oldest first."""
        return [(row[2], row[3], row[10]) for row in audit.walk(self.made.world.db)]

    def recorded(self, *events: str) -> bool:
        """Whether an operator on the command line caused each of these events."""
        ours = {
            event
            for event, actor, detail in self.events()
            if actor.startswith("os:") and '"cli"' in detail
        }
        return ours.issuperset(events)


@pytest.fixture
def shop(configured: Path) -> Iterator[Shop]:
    made = make_world(configured)
    made.clock.at = int(time.time())
    with closing(made.world.db):
        yield Shop(made)


@pytest.fixture
def shop_on_postgresql(
    configured: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    with closing(Database(postgres_url)) as database:
        made = make_world(configured, db=database)
        made.clock.at = int(time.time())
        yield Shop(made)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The folder that is the system of `folder_shop`."""
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


@pytest.fixture
def folder_shop(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A database, and a roles.toml with one system: a folder, whose connector an installed package
    brings."""
    text = WORKSPACE + folder.settings("files", files)
    (tmp_path / "roles.toml").write_text(text)
    folder.install(tmp_path / "packages")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.setenv("ACCESS_SECRET_KEYS", ",".join(KEYS))
    bot.connectors.installed.cache_clear()
    made = make_world(
        tmp_path, policy=parse_policy(text, "roles.toml", {}, {**KINDS, **folder.KINDS})
    )
    made.clock.at = int(time.time())
    with closing(made.world.db):
        yield Shop(made)
    monkeypatch.undo()
    bot.connectors.installed.cache_clear()


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulates a terminal, with a person who can be asked."""
    for module in ("bot.cli.common", "bot.cli.requests"):
        monkeypatch.setattr(f"{module}.on_terminal", lambda: True)


def run(*words: str, typed: str | None = None) -> Result:
    """Runs one command in this process."""
    return CliRunner().invoke(cli, list(words), input=typed)


def run_process(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs one command as in production."""
    return subprocess.run(
        [sys.executable, "-m", "bot", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=env,
    )
