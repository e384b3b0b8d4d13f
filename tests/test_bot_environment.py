"""Tests start the bot with the environment that the documents describe and the code requires."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.config.settings import NEEDS, VARIABLES, load_settings
from bot.core.errors import ConfigError
from tests.bot_environment import MODES, OPTIONAL, ROLE_SECRETS, bot_environment

ROOT = Path(__file__).parents[1]
SLACK = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "SLACK_SIGNING_SECRET": "s" * 32,
    "SLACK_API_URL": "http://127.0.0.1:9/",
}
IN_MODES = pytest.mark.parametrize("mode", MODES)
TABLE = (ROOT / "docs/running.md").read_text().split("<!-- variables")[1].split("\n\n")[0]
ROWS = re.findall(r"^\| `(\w+)` \| ([\w ]+) \| ([\w ]+) \| (.*) \|$", TABLE, re.M)


def test_the_table_has_every_variable_of_the_code_in_its_order() -> None:
    assert [row[0] for row in ROWS] == list(VARIABLES)
    for name, _, _, text in ROWS:
        assert f"`{VARIABLES[name].default}`" in text or not VARIABLES[name].default, name


@IN_MODES
def test_the_table_marks_as_required_the_variables_of_the_tests(mode: str) -> None:
    column = list(MODES).index(mode) + 1
    assert {row[0] for row in ROWS if row[column] == "required"} == set(MODES[mode])
    left_out = {row[0] for row in ROWS if row[column] == "leave it out"}
    all_set = bot_environment(SLACK, mode, all_set=True)
    assert set(all_set) - {"PATH", "HOME", *ROLE_SECRETS} == set(VARIABLES) - left_out


def test_the_example_roles_file_reads_exactly_the_secrets_of_the_tests() -> None:
    lines = (ROOT / "roles.toml").read_text().splitlines()
    read = re.findall(r"\$\{(\w+)\}", "\n".join(line for line in lines if not line.startswith("#")))
    assert read == list(ROLE_SECRETS)


@IN_MODES
@pytest.mark.parametrize("verb", ["run", "worker", "doctor"])
def test_the_required_variables_are_enough_and_each_is_needed_for_a_start(
    mode: str, verb: str
) -> None:
    enough = {
        name: value for name, value in bot_environment(SLACK, mode).items() if name in MODES[mode]
    }
    assert load_settings(enough, None, NEEDS[verb]).slack_mode == mode
    for name in MODES[mode]:
        with pytest.raises(ConfigError):
            load_settings({**enough, name: ""}, None, NEEDS[verb])


def test_no_variable_is_both_required_and_optional() -> None:
    assert not set(OPTIONAL) & {name for needed in MODES.values() for name in needed}
