"""A connector is one file or folder and one line in the table of kinds; no other place knows it by
name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from bot.connectors import KINDS, OURS
from bot.connectors.base import ConnectorKind
from bot.core.roles import Abilities, System, no_policy
from tests.builders import a_policy

ROOT = Path(__file__).parents[2]
REGISTRY = ROOT / "bot/connectors/__init__.py"
PLAIN_WORDS = {"command", "github", "postgres", "webhook"}
"""Kinds whose names are also other things, such as a slash command or a ticket system: only a
comparison of a connector counts."""

HOME = {
    name: module.removesuffix(".kind").removesuffix("_kind").replace(".", "/")
    for name, module in OURS.items()
}
"""The file without its suffix, or the folder, of each kind."""


def written() -> Iterator[Path]:
    """The files of the product. The sandbox does not import the rest."""
    for room in ("bot", "storage"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if "sandbox" not in path.parts and path != REGISTRY:
                yield path


def named(path: Path) -> Iterator[tuple[int, str]]:
    """The places where a file outside a kind's home names the kind."""
    here = str(path.relative_to(ROOT))
    strange = {
        kind
        for kind in OURS
        if not here.startswith((f"{HOME[kind]}.py", f"{HOME[kind]}/", f"{HOME[kind]}_"))
    }
    for node in ast.walk(ast.parse(path.read_text())):
        texts = {
            each.value
            for each in ast.walk(node)
            if isinstance(each, ast.Constant) and isinstance(each.value, str)
        }
        if isinstance(node, ast.Constant) and texts & (strange - PLAIN_WORDS):
            yield node.lineno, str(node.value)
        elif isinstance(node, ast.Compare) and texts & strange and "connector" in ast.unparse(node):
            yield node.lineno, ast.unparse(node)


def test_no_other_file_knows_a_kind_of_system_by_its_name() -> None:
    assert [f"{path}:{line}: {what}" for path in written() for line, what in named(path)] == []


@pytest.mark.parametrize(
    "code",
    [
        'x = "gateway"',
        'if lease.connector == "ssh": pass',
        'match x:\n    case "aws": pass',
        'y = order.connector != "command"',
    ],
)
def test_a_file_that_names_a_kind_is_found(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "x.py").write_text(code)
    assert [*named(tmp_path / "x.py")]


@pytest.mark.parametrize("name", OURS)
def test_each_kind_of_ours_is_one_value(name: str) -> None:
    assert isinstance(KINDS[name], ConnectorKind)


def test_an_unknown_kind_can_do_nothing() -> None:
    assert (
        a_policy().abilities("laboratory")
        == no_policy("roles.toml").abilities("gateway")
        == Abilities()
    )
    assert a_policy().abilities("gateway").checks_tokens


def test_an_ability_that_is_used_is_described() -> None:
    lines = (ROOT / "bot/core/roles.py").read_text().partition("class Abilities")[2].splitlines()
    for field in fields(Abilities):
        place = lines.index(f"    {field.name}: bool = False")
        assert lines[place + 1].strip().startswith('"""')


def test_only_a_used_connector_imports_its_library(tmp_path: Path) -> None:
    from tests.connectors.example import python

    program = (
        "import sys\nfrom bot.connectors import KINDS\n[*KINDS.values()]\n"
        "print({'boto3', 'psycopg', 'cryptography'} & {*sys.modules})\n"
    )
    assert python("-c", program).stdout == "set()\n"


def test_a_system_whose_settings_are_wrong_is_refused_with_its_name() -> None:
    from bot.connectors import make
    from bot.core.errors import SystemUnavailable

    with pytest.raises(SystemUnavailable, match="hook can't be used: timeout must be at most 5m"):
        make(
            System("hook", "webhook", {"url": "https://x", "secret": "s" * 16, "timeout": 301}),
            None,
        )  # type: ignore[arg-type]
