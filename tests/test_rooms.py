"""The rooms of the code: which may import which (docs/architecture.md), and the number of files
outside of folders."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EVERYTHING = frozenset(
    {
        *("app", "process", "clock", "tokens"),
        *("core", "config", "operations", "connectors", "worker", "slack", "web", "cli", "doctor"),
        *("sources", "streams"),
        "storage",
    }
)
MAY_IMPORT = {
    "core": frozenset(),
    "clock": frozenset(),
    "sandbox": frozenset(),
    "config": frozenset({"core"}),
    "storage": frozenset({"core"}),
    "connectors": frozenset({"core"}),
    "sources": frozenset({"core", "connectors"}),
    "streams": frozenset({"core", "connectors"}),
    "tokens": frozenset({"core"}),
    "operations": frozenset({"core", "storage"}),
    "slack": frozenset({"core", "config", "operations"}),
    "web": frozenset({"core", "config", "operations", "tokens"}),
    "worker": frozenset({"core", "operations", "connectors", "sources", "streams", "slack"}),
    "app": EVERYTHING - {"process", "cli", "doctor"},
    "process": EVERYTHING - {"cli", "storage"},
    "doctor": EVERYTHING - {"cli", "storage"},
    "cli": (EVERYTHING | {"sandbox"}) - {"storage"},
    "__main__": frozenset({"cli"}),
}
"""Rooms, and the modules at the top of `bot/`, that each may import. The command line starts the
demo, so it alone knows the sandbox; it and the doctor build the bot through `app`."""


def module(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if parts[0] == "bot" and len(parts) > 1 else parts[0]


FILES = [path for top in ("bot", "storage") for path in sorted((ROOT / top).rglob("*.py"))]
MODULES = {module(path) for path in FILES}


def imports(path: Path, tree: ast.AST) -> Iterator[str]:
    """The modules of ours that a file imports, also those that it imports inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}: relative imports hide the room"
            inner = {f"{node.module}.{name.name}" for name in node.names}
            yield from inner & MODULES or {node.module} & MODULES
        elif isinstance(node, ast.Import):
            yield from {name.name for name in node.names} & MODULES


def body(tree: ast.Module) -> ast.Module:
    """The file without its functions: what is imported when the file is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = []
    return tree


def libraries(path: Path) -> set[str]:
    """The libraries that a file imports: neither ours nor the standard library's."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
    return found - sys.stdlib_module_names - {"bot", "storage"}


GRAPH = {module(path): set(imports(path, ast.parse(path.read_text()))) for path in FILES}


def test_the_table_names_every_room() -> None:
    assert {room(name) for name in MODULES} - {"bot"} == MAY_IMPORT.keys() | {"storage"}


@pytest.mark.parametrize("name", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_it_may(name: str) -> None:
    wrong = {
        (importer, imported)
        for importer, found in GRAPH.items()
        for imported in found
        if room(importer) == name and room(imported) not in MAY_IMPORT[name] | {name}
    }
    assert wrong == set()


@pytest.mark.parametrize("name", ["core", "operations"])
def test_a_room_that_decides_imports_no_library(name: str) -> None:
    own = [path for path in FILES if room(module(path)) == name]
    assert own
    assert {path.name: found for path in own if (found := libraries(path))} == {}


def test_only_storage_imports_peewee() -> None:
    users = {room(module(path)) for path in FILES if libraries(path) & {"peewee", "playhouse"}}
    assert users == {"storage"}


def test_there_is_no_import_cycle() -> None:
    graph = {module(path): set(imports(path, body(ast.parse(path.read_text())))) for path in FILES}
    assert len([*TopologicalSorter(graph).static_order()]) == len(graph)


def test_few_files_are_outside_of_folders() -> None:
    top = {path.stem for path in (ROOT / "bot").glob("*.py")} - {"__init__"}
    loose = {path.stem for path in (ROOT / "bot" / "operations").glob("[!_]*.py")}
    assert len(top) <= 6
    assert len(loose) <= 6
