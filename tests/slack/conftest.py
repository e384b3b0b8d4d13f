"""The bot as Slack sees it: on SQLite for words and routes, and on both databases for commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from storage.database import Database
from tests.factories import Made, make_world
from tests.slack.slack_driver import SlackDriver, make_driver


@pytest.fixture
def driver(sqlite_url: str, tmp_path: Path) -> Iterator[SlackDriver]:
    with closing(Database(sqlite_url)) as database:
        yield make_driver(make_world(tmp_path, db=database))


@pytest.fixture
def stored(made: Made) -> SlackDriver:
    """The driver on each of the two databases."""
    return make_driver(made)
