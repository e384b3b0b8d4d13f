"""`access-bot demo` and `access-bot sandbox` without the extra `sandbox`: uv starts the command
again with it, and everybody else gets the command that installs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FILE = {"url": "file:///x/access_bot-1.2.3-py3-none-any.whl", "archive_info": {}}
GIT = {"url": "https://h.example/bot", "vcs_info": {"vcs": "git", "commit_id": "0a1b"}}
EDITABLE = {"url": "file:///x", "dir_info": {"editable": True}}
PIP = "The sandbox needs more packages: pip install 'access-bot[sandbox]'\n"


class Installation:
    """Version 1.2.3 without the extra. `uv` is the program that its environment names."""

    def __init__(self, at: Path) -> None:
        self.at, self.uv = at, at / "uv"
        self.info = at / "access_bot-1.2.3.dist-info"
        self.info.mkdir()
        (self.info / "METADATA").write_text("Name: access-bot\nVersion: 1.2.3\n")
        self.program = at / "access-bot"
        self.program.write_text(
            f"#!{sys.executable}\nimport sys\nsys.modules['websockets'] = None\n"
            f"sys.prefix = {str(at)!r}\nfrom bot.cli import main\nmain()\n"
        )
        self.program.chmod(0o700)

    def came_from(self, origin: dict[str, Any] | None) -> None:
        if origin:
            (self.info / "direct_url.json").write_text(json.dumps(origin))

    def uv_does(self, line: str) -> None:
        self.uv.write_text(f"#!/bin/sh\n{line}\n")
        self.uv.chmod(0o700)

    def run(self, *words: str, by_uv: bool = True) -> subprocess.CompletedProcess[str]:
        root = str(Path(__file__).parents[2])
        environ = {"PYTHONPATH": f"{self.at}:{root}"} | ({"UV": str(self.uv)} if by_uv else {})
        return subprocess.run([self.program, *words], env=environ, capture_output=True, text=True)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        (None, "access-bot[sandbox]==1.2.3"),
        (FILE, f"access-bot[sandbox] @ {FILE['url']}"),
        (GIT, "access-bot[sandbox] @ git+https://h.example/bot@0a1b"),
    ],
)
def test_uv_starts_the_same_command_again_with_the_extra(
    origin: dict[str, Any] | None, requirement: str, installation: Installation
) -> None:
    installation.came_from(origin)
    installation.uv_does("printf '%s\\n' \"$@\"; exit 7")
    shown = installation.run("demo", "--port", "80", "--exit")
    python = f"--python\n{sys.executable}"
    again = f"tool\nrun\n{python}\n--from\n{requirement}\naccess-bot\ndemo\n--port\n80\n--exit\n"
    assert (shown.returncode, shown.stdout) == (7, again)
    line = f"The sandbox needs more packages: starting again with '{requirement}'\n"
    assert shown.stderr == line


def test_uv_starts_it_again_only_once(installation: Installation) -> None:
    installation.uv_does(f"exec {installation.program} sandbox")
    shown = installation.run("sandbox")
    assert shown.returncode == 2
    assert [line.count("starting again") for line in shown.stderr.splitlines()] == [1, 0]


def test_a_uv_that_is_gone_is_named_with_another_way(installation: Installation) -> None:
    shown = installation.run("demo")
    assert shown.returncode == 2
    assert shown.stderr.splitlines()[1] == (
        f"{installation.uv} does not start: No such file or directory."
        " Instead: pip install 'access-bot[sandbox]'"
    )


def test_uv_makes_no_copy_of_an_editable_installation(installation: Installation) -> None:
    installation.came_from(EDITABLE)
    installation.uv_does("exit 7")
    shown = installation.run("demo")
    assert (shown.returncode, shown.stderr) == (2, PIP)


@pytest.mark.parametrize("verb", ["demo", "sandbox"])
def test_without_uv_it_says_how_to_install_the_extra(verb: str, installation: Installation) -> None:
    shown = installation.run(verb, by_uv=False)
    assert (shown.returncode, shown.stdout, shown.stderr) == (2, "", PIP)


@pytest.mark.parametrize(
    ("record", "command"),
    [("pipx_metadata.json", "pipx install --force"), ("uv-receipt.toml", "uv tool install")],
)
def test_the_command_is_that_of_the_installer(
    record: str, command: str, installation: Installation
) -> None:
    (installation.at / record).touch()
    installation.came_from(FILE)
    shown = installation.run("demo", by_uv=False)
    requirement = f"'access-bot[sandbox] @ {FILE['url']}'"
    assert shown.stderr == f"The sandbox needs more packages: {command} {requirement}\n"
