"""Every library that the code imports is named in pyproject.toml, so that both ends of its range
can be tested."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = {"pydantic-core": "pydantic", "botocore": "boto3"}
"""Libraries whose version another one fixes."""


def imported() -> set[str]:
    found = set()
    for path in (path for room in ("bot", "storage") for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
    return found - sys.stdlib_module_names - {"bot", "storage"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_library_that_the_code_imports_is_a_dependency_of_its_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    declared = {normal(re.split(r"[\[<>=]", each)[0]) for each in named}
    owners = packages_distributions()
    needed = {normal(owner) for library in imported() for owner in owners[library][:1]}
    assert {PARTS.get(name, name) for name in needed} <= declared


def test_every_dependency_has_a_lowest_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    assert [each for each in named if ">=" not in each] == []
