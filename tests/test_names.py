"""Texts take the command and the app's name from the settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.names import use_names
from bot.slack.manifest import manifest
from tests.factories import LEA, make_world
from tests.slack.slack_driver import SlackDriver, make_driver
from tests.slack.views_samples import shown

ROOT = Path(__file__).parent.parent
COMMAND = re.compile(r"(?<![\w/.])/access(?![\w.-])")
ELSEWHERE = ("bot/core/names.py", "bot/config/settings.py")
"""The default, and an example in an error about another value."""
SOURCES = [
    path
    for path in sorted((ROOT / "bot").rglob("*.py"))
    if "sandbox" not in path.parts and str(path.relative_to(ROOT)) not in ELSEWHERE
]


def docstrings(tree: ast.AST) -> set[ast.AST]:
    """Strings that are a statement of their own: nobody but a programmer reads them."""
    return {each.value for each in ast.walk(tree) if isinstance(each, ast.Expr)}


def at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """The expressions that run when the module is imported."""
    todo: list[ast.AST] = [tree]
    while todo:
        for child in ast.iter_child_nodes(todo.pop()):
            if not isinstance(child, ast.FunctionDef | ast.Lambda):
                todo.append(child)
                yield child


def test_no_text_has_the_name_of_the_command_in_it() -> None:
    found = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        skipped = docstrings(tree)
        found += [
            f"{path.relative_to(ROOT)}:{each.lineno}"
            for each in ast.walk(tree)
            if isinstance(each, ast.Constant) and isinstance(each.value, str)
            if each not in skipped and COMMAND.search(each.value)
        ]
    assert found == []


def test_no_text_is_made_before_the_settings_are_read() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{each.lineno}"
        for path in SOURCES
        for each in at_import(ast.parse(path.read_text()))
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
        if each.func.id in ("slash", "app_name")
    ]
    assert found == []


@pytest.fixture
def driver(sqlite_url: str, tmp_path: Path) -> Iterator[SlackDriver]:
    """A bot whose command is /prod and whose name is Prod Keys."""
    made = make_world(tmp_path, sqlite_url)
    use_names("/prod", "Prod Keys")
    yield make_driver(made)
    use_names()
    made.world.db.close()


def test_a_bot_with_another_name_uses_it_everywhere(driver: SlackDriver) -> None:
    answers = [driver.command(text, LEA, command="/prod") for text in ("help", "list", "nonsense")]
    for words in map(shown, answers):
        assert "/prod" in words and "/access" not in words
    made = manifest("socket")
    assert made["features"]["slash_commands"][0]["command"] == "/prod"
    assert made["display_information"]["name"] == "Prod Keys"
    assert "/access" not in str(made)


def test_a_command_that_another_manifest_named_is_refused(driver: SlackDriver) -> None:
    assert "This bot answers to /prod" in driver.command("list", command="/access")["text"]
