"""`access-bot systems drift`: what it finds, its exit codes, and that it removes only what somebody
confirms."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import bot.connectors
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from tests.builders import WORKSPACE
from tests.cli.conftest import Shop, run
from tests.connectors import folder
from tests.factories import KEYS, make_world


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The folder that is the system."""
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


@pytest.fixture
def shop(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A database, and a roles.toml with that system, whose connector an installed package
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


def test_nothing_found_is_exit_code_0_and_on_record(shop: Shop) -> None:
    shown = run("systems", "drift")
    assert (shown.exit_code, shown.stdout) == (0, "No drift on 1 system.\n"), shown.output
    assert shop.said("system:access:verified")


def test_something_found_is_exit_code_1_and_nothing_is_removed(shop: Shop, files: Path) -> None:
    (files / "access-by-hand").write_text("eve")
    shown = run("systems", "drift")
    assert shown.exit_code == 1
    assert shown.stdout.splitlines()[1].split() == [
        "files",
        "stray",
        "access-by-hand",
        "–",
        "of",
        "eve",
    ]
    (line,) = run("systems", "drift", "--json").stdout.splitlines()
    assert json.loads(line)["what"] == "stray"
    assert (files / "access-by-hand").exists()


def test_a_system_that_can_not_be_asked_is_exit_code_2_and_named(shop: Shop, files: Path) -> None:
    (files / ".down").touch()
    shown = run("systems", "drift")
    assert shown.exit_code == 2
    assert shown.stderr == "files: not checked, or not in full: the folder is locked\n"
    assert shown.stdout == "No drift on 0 systems.\n"


def test_each_removal_is_asked_for(
    shop: Shop, files: Path, at_terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.cli.systems.on_terminal", lambda: True)
    for name in ("access-one", "access-two"):
        (files / name).write_text("eve")
    shown = run("systems", "drift", "--remove", typed="n\ny\n")
    assert shown.exit_code == 1
    assert "Removed: access-two on files." in shown.stdout
    assert [file.name for file in files.iterdir()] == ["access-one"]
    assert shop.said("system:removal:asked", "system:access:removed")


def test_yes_skips_the_questions_and_all_removed_is_exit_code_0(shop: Shop, files: Path) -> None:
    (files / "access-one").write_text("eve")
    assert run("systems", "drift", "--remove").exit_code == 2  # nobody to ask
    assert (files / "access-one").exists()
    shown = run("systems", "drift", "--remove", "--yes")
    assert (shown.exit_code, list(files.iterdir())) == (0, []), shown.output


def test_what_could_not_be_removed_is_told_and_exit_code_1(shop: Shop, files: Path) -> None:
    (files / "access-one").write_text("eve")
    (files / ".keeps").touch()
    shown = run("systems", "drift", "--remove", "--yes")
    assert shown.exit_code == 1
    assert shown.stderr == "access-one on files could not be removed: files still has it\n"
    assert not shop.said("system:access:removed")


def test_help_tells_the_exit_codes() -> None:
    assert "Exit code 0: no drift" in run("systems", "drift", "--help").stdout
