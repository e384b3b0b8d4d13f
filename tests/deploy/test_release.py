"""A release takes its notes from the changelog, which says what an upgrade needs."""

from __future__ import annotations

import importlib.util
import re

import pytest

from tests.deploy.processes import ROOT, read_yaml

SPEC = importlib.util.spec_from_file_location("release_notes", ROOT / ".ci/release_notes.py")
assert SPEC and SPEC.loader
release_notes = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(release_notes)

CHANGES = """# Changelog

## 1.2.3 – 2026-12-01

### Upgrading

- Manifest: unchanged.
- Scopes: unchanged.

### Fixed

- One.

## 1.2.2

### Fixed
"""


def test_the_notes_are_the_section_of_the_version() -> None:
    found = release_notes.notes(CHANGES, "1.2.3")
    assert found.startswith("### Upgrading") and found.endswith("- One.\n")


@pytest.mark.parametrize(
    ("version", "problem"),
    [("1.2", "no section 1.2"), ("1.2.2", "1.2.2: Upgrading in CHANGELOG.md needs .*Manifest")],
)
def test_a_version_without_notes_is_not_released(version: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        release_notes.notes(CHANGES, version)


def test_every_section_of_the_changelog_can_be_released() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (\S+)", text, re.M)
    assert versions and all(release_notes.notes(text, version) for version in versions)


WORKFLOWS = ("ci.yml", "release.yml")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_pins_its_actions_and_has_no_rights_of_its_own(name: str) -> None:
    workflow = read_yaml(f".github/workflows/{name}")
    assert workflow["permissions"] == {}
    jobs = workflow["jobs"].values()
    used = [job["uses"] for job in jobs if "uses" in job]
    used += [step["uses"] for job in jobs for step in job.get("steps", []) if "uses" in step]
    assert (
        used
        and [action for action in used if not re.fullmatch(r"\./.+|[\w/-]+@[0-9a-f]{40}", action)]
        == []
    )


def test_a_job_that_signs_or_publishes_runs_no_package_without_a_hash() -> None:
    jobs = read_yaml(".github/workflows/release.yml")["jobs"]
    signs = [job for job in jobs.values() if "write" in job.get("permissions", {}).values()]
    steps = [step.get("run", "") for job in signs for step in job["steps"]]
    lines = [line for step in steps for line in step.splitlines() if "pip install" in line]
    assert len(signs) >= 3 and [line for line in lines if "--require-hashes" not in line] == []


def test_the_tests_run_on_every_python_that_the_package_permits_with_both_sets_of_versions() -> (
    None
):
    matrix = read_yaml(".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    makefile = (ROOT / "Makefile").read_text()
    assert [re.search(rf"^{name}:", makefile, re.M) is None for name in matrix["target"]] == [
        False
    ] * 2
