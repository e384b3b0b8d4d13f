"""`init` writes the files of a new bot into an empty folder, and all of them or none."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from bot.config.settings import NEEDS, load_settings
from tests.bot_environment import MODES
from tests.cli.conftest import run

FILES = {".env", "roles.toml", "manifest.json"}


def files() -> set[str]:
    return {path.name for path in Path().iterdir()}


HTTP = ("--mode", "http", "--url", "https://access.example.com")


@pytest.mark.parametrize("mode", MODES)
def test_the_files_are_complete_but_for_slack_s_two_secrets(mode: str) -> None:
    made = run("init", "--yes", *(HTTP if mode == "http" else ()))
    assert made.exit_code == 0, made.stderr
    assert files() == FILES
    assert stat.S_IMODE(Path(".env").stat().st_mode) == 0o600
    values = dotenv_values(".env")
    assert list(values) == [*MODES[mode], "SHOP_ADMIN_SECRET"]
    assert [name for name, text in values.items() if not text] == list(MODES[mode][:2])
    assert len({text for text in values.values() if text}) == 2
    shown = run("check")
    assert shown.exit_code == 0 and "1 role, 1 system" in shown.stdout, shown.stderr
    settings = json.loads(Path("manifest.json").read_text())["settings"]
    assert settings["socket_mode_enabled"] is (mode == "socket")


def test_the_answers_are_in_the_files() -> None:
    made = run(
        *("init", "--yes", "--command", "/prod", "--app-name", "Prod Keys"),
        *("--leads", "@leads, S0PLATFORM", "--timezone", "Europe/Rome"),
    )
    assert made.exit_code == 0, made.stderr
    with Path(".env").open("a") as file:
        file.write("SLACK_BOT_TOKEN=xoxb-1\nSLACK_APP_TOKEN=xapp-1\n")
    settings = load_settings(need=NEEDS["run"])
    assert (settings.command, settings.app_name) == ("/prod", "Prod Keys")
    text = Path("roles.toml").read_text()
    assert text.count('s = ["@leads", "S0PLATFORM"]') == 2, "leads, and approvers by default"
    assert '"Europe/Rome"' in text
    manifest = json.loads(Path("manifest.json").read_text())
    assert manifest["features"]["slash_commands"][0]["command"] == "/prod"


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_that_is_there_is_kept_and_nothing_is_written(name: str) -> None:
    Path(name).write_text("mine")
    made = run("init", "--yes")
    assert made.exit_code == 2 and made.stderr.startswith(f"{name}: already there")
    assert files() == {name} and Path(name).read_text() == "mine"


def test_a_failure_leaves_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def no_room(path: Any, *more: Any, **how: Any) -> int:
        if path == ".env":
            raise OSError(28, "No space left on device")
        return opened(path, *more, **how)

    monkeypatch.setattr(os, "open", no_room)
    made = run("init", "--yes")
    assert made.exit_code == 2 and "No space left on device" in made.stderr
    assert files() == set()


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--approvers", "everyone", "anybody could decide"),
        ("--security", "ops", "is not a channel"),
        ("--command", "Prod", "must be a slash"),
        ("--url", "http://access.example.com", "public address"),
    ],
)
def test_a_wrong_answer_is_reported_with_its_option(option: str, value: str, problem: str) -> None:
    made = run("init", "--yes", "--mode", "http", option, value)
    assert made.exit_code == 2 and made.stderr.startswith(f"{option}: "), made.stderr
    assert problem in made.stderr and files() == set()
