"""The wheel's metadata for a package index."""

from __future__ import annotations

import os
import subprocess
import sys
from email import message_from_string
from pathlib import Path

import pytest

from tests.readme import ROOT

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
