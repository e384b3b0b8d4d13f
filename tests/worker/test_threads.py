"""Threads of the bot keep off the private names of Python's own threads, in every version."""

from __future__ import annotations

import ast
import threading
from pathlib import Path

BOT = Path(__file__).parents[2] / "bot"

NEWER = {"_after_fork", "_context", "_handle", "_os_thread_handle"}
"""Private names that Thread has from Python 3.13 or 3.14 on."""


def private_names(node: ast.ClassDef) -> set[str]:
    """The private attributes and methods that a class sets."""
    methods = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
    stored = {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)
    }
    return {name for name in methods | stored if name.startswith("_") and name[1] != "_"}


def test_no_thread_overrides_a_private_name_of_python() -> None:
    classes = [
        node
        for path in BOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(ast.unparse(base) in ("Thread", "threading.Thread") for base in node.bases)
    ]
    taken = {*vars(threading.Thread()), *dir(threading.Thread), *NEWER}
    assert len(classes) >= 4
    assert {node.name: found for node in classes if (found := private_names(node) & taken)} == {}
