"""The workflow of docs/policy-changes.md: its parts, and what its scripts do with a GitHub that
remembers comments."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.cli.policy_diff import MARK

PAGE = (Path(__file__).parents[1] / "docs/policy-changes.md").read_text()
TEXT = PAGE.split("```yaml\n")[1].split("```")[0]
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
STEPS = WORKFLOW["jobs"]["compare"]["steps"]
SCRIPTS = {step["name"]: step["run"] for step in STEPS if "run" in step}
COMPARE, COMMENT = (name for name in SCRIPTS if name.startswith(("Compare", "Comment")))
KEYS = {"name", "id", "if", "uses", "with", "env", "run"}

GH = """#!/bin/sh
echo "$@" >> "$FOLDER/calls"
case "$*" in
  *--method\\ POST*) echo 41 > "$FOLDER/comments"; echo 42 >> "$FOLDER/comments" ;;
  *--method*) ;;
  *) cat "$FOLDER/comments" 2>/dev/null || true ;;
esac
"""
GIT = "#!/bin/sh\necho base\n"
BOT = """#!/bin/sh
echo "$@" "$(cat "$ACCESS_ROLES")" >> "$FOLDER/calls"
printf "%s" "$SAYS"
exit $CODE
"""


def test_it_has_the_parts_of_a_workflow() -> None:
    # YAML 1.1 reads the key `on` as true; GitHub does not.
    assert set(WORKFLOW) == {"name", True, "permissions", "concurrency", "jobs"}
    assert WORKFLOW[True] == {"pull_request": {"paths": ["roles.toml"]}}
    assert WORKFLOW["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert set(WORKFLOW["jobs"]["compare"]) == {"if", "runs-on", "timeout-minutes", "steps"}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.get("name", "checkout"))
def test_a_step_is_well_formed(step: dict[str, Any]) -> None:
    assert set(step) <= KEYS
    assert ("uses" in step) != ("run" in step)
    assert all(isinstance(value, str) for value in step.get("env", {}).values())
    if "uses" in step:
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])


def test_no_script_has_an_expression_that_a_pull_request_could_fill() -> None:
    assert not [name for name, script in SCRIPTS.items() if "${{" in script]


def test_an_output_that_is_read_is_written() -> None:
    read = set(re.findall(r"steps\.(\w+)\.outputs\.(\w+)", TEXT))
    ids = {step["id"]: step["run"] for step in STEPS if "id" in step}
    assert read and all(f'echo "{name}=' in ids[step] for step, name in read)


def test_it_finds_its_comment_by_the_first_line_of_the_markdown() -> None:
    assert MARK in SCRIPTS[COMPARE] and f'startswith("{MARK}")' in SCRIPTS[COMMENT]


@pytest.fixture
def runner(tmp_path: Path) -> dict[str, str]:
    """The environment of a runner, with programs in the place of git, gh and access-bot."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("gh", GH), ("git", GIT), ("access-bot", BOT)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "FOLDER": str(tmp_path),
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_REPOSITORY": "shop/policy",
        "NUMBER": "7",
    }


def run(script: str, env: dict[str, str]) -> int:
    """Runs a script as GitHub does."""
    bash = shutil.which("bash")
    assert bash is not None
    return subprocess.run([bash, "-e", "-c", SCRIPTS[script]], env=env, timeout=60).returncode


CODES = {
    "no one gets more": ("0", MARK, "code=0"),
    "somebody would": ("1", MARK, "code=1"),
    "could not be compared": ("2", "", "code=2"),
}


@pytest.mark.parametrize(("code", "says", "expected"), CODES.values(), ids=CODES)
def test_the_comparison_leaves_its_code_and_a_comment(
    runner: dict[str, str], tmp_path: Path, code: str, says: str, expected: str
) -> None:
    assert run(COMPARE, {**runner, "CODE": code, "SAYS": says}) == 0
    assert (tmp_path / "output").read_text().strip() == expected
    assert (tmp_path / "comment.md").read_text().startswith(MARK)
    assert (tmp_path / "calls").read_text() == "policy diff roles.toml --markdown base\n"


def test_it_comments_once_and_updates_its_first_comment(
    runner: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "comment.md").write_text(MARK)
    for _ in range(3):
        assert run(COMMENT, runner) == 0
    calls = (tmp_path / "calls").read_text()
    written = re.findall(r"--method (\w+) (\S+) -F body=@(\S+)", calls)
    comment = str(tmp_path / "comment.md")
    update = ("PATCH", "repos/shop/policy/issues/comments/41", comment)
    assert written == [("POST", "repos/shop/policy/issues/7/comments", comment), update, update]
