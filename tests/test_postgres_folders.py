"""A killed run of the tests does not leave a server behind permanently."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import remove_left_behind

LIVING, GONE = "living", "gone"


def a_process_that_is_gone() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("users", "stays"),
    [
        ([], True),
        ([LIVING], True),
        ([GONE], False),
        ([GONE, LIVING], True),
    ],
    ids=["being removed", "in use", "of a killed run", "shared with a killed run"],
)
def test_the_folder_of_a_server_is_removed_when_all_its_users_are_gone(
    users: list[str], stays: bool, tmp_path: Path
) -> None:
    pids = {LIVING: os.getpid(), GONE: a_process_that_is_gone()}
    folder = tmp_path / "access-bot-postgres-x"
    folder.mkdir()
    (folder / ".handle_pids.json").write_text(json.dumps([pids[user] for user in users]))
    remove_left_behind(tmp_path)
    assert folder.exists() is stays


def test_a_new_folder_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "access-bot-postgres-x").mkdir()
    remove_left_behind(tmp_path)
    assert (tmp_path / "access-bot-postgres-x").exists()
