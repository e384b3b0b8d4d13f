"""Texts take the command and the app's name from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.names import use_names
from bot.slack.manifest import manifest
from tests.factories import LEA, make_world
from tests.slack.slack_driver import SlackDriver, make_driver
from tests.slack.views_samples import shown


@pytest.fixture
def driver(sqlite_url: str, tmp_path: Path) -> Iterator[SlackDriver]:
    """A bot whose command is /prod and whose name is Prod Keys."""
    made = make_world(tmp_path, sqlite_url)
    use_names("/prod", "Prod Keys")
    yield make_driver(made)
    made.world.db.close()


def test_a_bot_with_another_name_uses_it_everywhere(driver: SlackDriver) -> None:
    answers = [driver.command(text, LEA, command="/prod") for text in ("help", "list", "nonsense")]
    for words in map(shown, answers):
        assert "/prod" in words and "/access" not in words
    made = manifest("socket")
    assert made["features"]["slash_commands"][0]["command"] == "/prod"
    assert made["display_information"]["name"] == "Prod Keys"
    assert "/access" not in str(made)


def test_a_command_that_another_manifest_named_is_refused(driver: SlackDriver) -> None:
    assert "This bot answers to /prod" in driver.command("list", command="/access")["text"]
