"""`access-bot systems drift`: its findings, its exit codes, and that it removes only after a
confirmation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Shop, run


@pytest.fixture
def shop(folder_shop: Shop) -> Shop:
    return folder_shop


def test_no_drift_is_exit_code_0_and_recorded(shop: Shop) -> None:
    shown = run("systems", "drift")
    assert (shown.exit_code, shown.stdout) == (0, "No drift on 1 system.\n"), shown.output
    assert shop.recorded("system:access:verified")


def test_drift_is_exit_code_1_and_nothing_is_removed(shop: Shop, files: Path) -> None:
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


def test_an_unreachable_system_is_exit_code_2_and_named(shop: Shop, files: Path) -> None:
    (files / ".down").touch()
    shown = run("systems", "drift")
    assert shown.exit_code == 2
    assert shown.stderr == "files: not checked, or not in full: the folder is locked\n"
    assert shown.stdout == "No drift on 0 systems.\n"


def test_each_removal_needs_a_confirmation(
    shop: Shop, files: Path, at_terminal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.cli.systems.on_terminal", lambda: True)
    for name in ("access-one", "access-two"):
        (files / name).write_text("eve")
    shown = run("systems", "drift", "--remove", typed="n\ny\n")
    assert shown.exit_code == 1
    assert "Removed: access-two on files." in shown.stdout
    assert [file.name for file in files.iterdir()] == ["access-one"]
    assert shop.recorded("system:removal:asked", "system:access:removed")


def test_yes_skips_the_questions_and_all_removed_is_exit_code_0(shop: Shop, files: Path) -> None:
    (files / "access-one").write_text("eve")
    assert run("systems", "drift", "--remove").exit_code == 2  # no terminal for the question
    assert (files / "access-one").exists()
    shown = run("systems", "drift", "--remove", "--yes")
    assert (shown.exit_code, list(files.iterdir())) == (0, []), shown.output


def test_a_failed_removal_is_reported_and_exit_code_1(shop: Shop, files: Path) -> None:
    (files / "access-one").write_text("eve")
    (files / ".keeps").touch()
    shown = run("systems", "drift", "--remove", "--yes")
    assert shown.exit_code == 1
    assert shown.stderr == "access-one on files could not be removed: files still has it\n"
    assert not shop.recorded("system:access:removed")


def test_help_explains_the_exit_codes() -> None:
    assert "Exit code 0: no drift" in run("systems", "drift", "--help").stdout
