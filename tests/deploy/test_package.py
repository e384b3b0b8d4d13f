"""The wheel: its metadata for a package index, and its first use with uv."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from email import message_from_string
from pathlib import Path

import pytest

from tests.readme import NO_INDEX, ROOT, an_empty_folder

HOME = "https://github.example/acme/access-bot"
RUNNER = {"GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "acme/access-bot"}
URLS = [
    f"Homepage, {HOME}",
    f"Documentation, {HOME}/tree/HEAD/docs",
    f"Changelog, {HOME}/blob/HEAD/CHANGELOG.md",
    f"Issues, {HOME}/issues",
]
BACKEND = (
    "import sys; from hatchling.build import prepare_metadata_for_build_wheel as prepare;"
    " print(prepare(sys.argv[1]))"
)


@pytest.mark.parametrize(("variables", "urls"), [(RUNNER, URLS), ({}, None)])
def test_the_metadata_has_the_urls_of_the_repository_that_builds_it(
    variables: dict[str, str], urls: list[str] | None, tmp_path: Path
) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables}
    done = subprocess.run(
        [sys.executable, "-c", BACKEND, tmp_path],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    (written,) = tmp_path.glob("*.dist-info/METADATA")
    assert written.parent.name == done.stdout.splitlines()[-1]
    metadata = message_from_string(written.read_text())
    assert metadata["Name"] == "access-bot"
    assert metadata.get_all("Project-URL") == urls


def test_uvx_plays_the_demo_in_an_empty_folder(tmp_path: Path) -> None:
    """uv installs the dependencies from a package index, with this environment's settings."""
    folder, _ = an_empty_folder(tmp_path, wheel=True)
    (wheel,) = folder.at.iterdir()
    (empty := tmp_path / "empty").mkdir()
    config = os.environ.get("XDG_CONFIG_HOME", str(Path.home() / ".config"))
    settings = {
        name: value
        for name, value in os.environ.items()
        if re.match(r"UV_|SSL_CERT_|\w+_PROXY$", name, re.I)
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("uvx"), "--from", wheel, "access-bot", "demo", "--exit"],
        cwd=empty,
        env={**folder.environ, **settings, "XDG_CONFIG_HOME": config},
        capture_output=True,
        text=True,
        timeout=170,
    )
    if "error: Failed to fetch" in done.stderr:
        pytest.skip(NO_INDEX)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert "starting again with" in done.stderr
    assert [*empty.iterdir()] == []
