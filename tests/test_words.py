"""Texts and docstrings do without words that have to be read twice."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

WORDS = {
    "anew": "again",
    "tried on": "retried",
    "tries on": "keeps retrying",
    "told of": "notified of, reported",
    "is told": "is notified, is reported",
    "are told": "are notified, are reported",
    "at last": "finally",
    "whoever": "the person, the caller",
    "whomever": "the person",
    "for ever": "indefinitely",
    "stands in": "is in",
    "stand in": "be in",
    "stands behind": "follows",
    "in hand": "active, in progress",
    "all the same": "anyway",
    "by itself": "automatically",
    "by themselves": "automatically",
    "so many": "up to N",
    "goes on": "continues",
    "go on": "continue",
    "by then": "until that time",
    "is so": "holds",
    "hears of": "is notified of",
    "looked at by nobody": "not checked",
    "keeps nobody from": "does not block",
    "is no filter": "unknown filter",
    "for good": "permanently",
    "what is gone": "the access that was removed",
    "has to do with": "is about",
    "any more": "no longer",
    "before your eyes": "while you watch",
    "came of it": "its effects",
    "for want of": "without",
    "hangs up": "closes the connection",
    "has not got": "does not have",
    "hand it on": "pass it on, grant it to others",
    "hand that on": "pass that on",
    "held up": "delayed",
    "holds up": "delays",
    "in the same breath": "in the same step",
    "is still at it": "has not finished",
    "keeps nobody": "blocks nobody",
    "looked after": "watched",
    "no time at all": "zero",
    "on its way out": "closing",
    "put off": "delayed",
    "puts off": "delays",
    "tells nothing": "reveals nothing",
    "to be called once": "call it once",
    "whatever it does": "its work",
    "writes down": "records",
    "written down": "recorded",
}
"""Words that hide a plainer one, which follows."""

FOUND = re.compile(rf"\b(?:{'|'.join(map(re.escape, WORDS))})\b", re.IGNORECASE)

PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / ".env.example",
    ROOT / "roles.toml",
    *sorted((ROOT / "docs").rglob("*.md")),
]
MODULES = sorted(
    path for room in ("bot", "storage", "bench") for path in (ROOT / room).rglob("*.py")
)

HEADLESS = re.compile(r"(?:what|who|whom|which|whose|how|why|where|the same)\b", re.IGNORECASE)
"""A docstring begins with a noun or a verb, not with such a word."""


def text_of(page: Path) -> str:
    """A page on one line, without the marks of its comments, and of a glossary only what is
    used."""
    lines = page.read_text().splitlines()
    if page.name == "glossary.md":
        lines = [line.rpartition(" | ")[0] if line.startswith("| ") else line for line in lines]
    return " ".join(line.strip().removeprefix("#").strip() for line in lines)


@cache
def parsed(module: Path) -> ast.Module:
    return ast.parse(module.read_text())


def texts_in(module: Path) -> Iterator[str]:
    """The strings and docstrings of a module, each on one line."""
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield " ".join(node.value.split())


def docstrings_in(module: Path) -> Iterator[str]:
    """The docstrings of a module, its classes, functions, constants and fields."""
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def hits(text: str) -> list[str]:
    """Every such word of a text, with what is around it."""
    folded = text.lower()
    if not any(word in folded for word in WORDS):  # quicker than the pattern
        return []
    return [text[max(0, at.start() - 40) : at.end() + 30] for at in FOUND.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_a_page_says_it_in_plain_words(page: Path) -> None:
    assert hits(text_of(page)) == []


def test_the_texts_and_docstrings_of_modules_are_in_plain_words() -> None:
    found = [
        f"{module.relative_to(ROOT)}: {hit}"
        for module in MODULES
        for text in texts_in(module)
        for hit in hits(text)
    ]
    assert found == []


def test_no_docstring_begins_without_a_noun_or_a_verb() -> None:
    found = [
        f"{module.relative_to(ROOT)}: {text[:60]}"
        for module in MODULES
        for text in docstrings_in(module)
        if HEADLESS.match(text)
    ]
    assert found == []


def test_such_a_word_is_found_over_a_line_break_and_in_capitals() -> None:
    assert hits(" ".join(["It is Tried", "on until the system confirms."]))
    assert not hits("The bot retries until the system confirms.")


COMMAND = re.compile(r"(?<![\w/.])/access(?![\w.-])")
ELSEWHERE = ("bot/core/names.py", "bot/config/settings.py")
"""The default, and an example in an error about another value."""
READ = [
    path
    for path in sorted((ROOT / "bot").rglob("*.py"))
    if "sandbox" not in path.parts and str(path.relative_to(ROOT)) not in ELSEWHERE
]


def texts_of(module: Path) -> Iterator[ast.Constant]:
    """The strings of a module, without those that are a statement of their own: nobody but a
    programmer reads them."""
    tree = parsed(module)
    own = {each.value for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for each in ast.walk(tree):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and each not in own:
            yield each


def at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """The expressions that run when the module is imported."""
    todo: list[ast.AST] = [tree]
    while todo:
        for child in ast.iter_child_nodes(todo.pop()):
            if not isinstance(child, ast.FunctionDef | ast.Lambda):
                todo.append(child)
                yield child


def test_no_text_has_the_name_of_the_command_in_it() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{each.lineno}"
        for path in READ
        for each in texts_of(path)
        if COMMAND.search(each.value)
    ]
    assert found == []


def test_no_text_names_a_file_that_a_wheel_does_not_have() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {each.value}"
        for path in READ
        for each in texts_of(path)
        if "docs/" in each.value
    ]
    assert found == []


def test_no_text_is_made_before_the_settings_are_read() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{each.lineno}"
        for path in READ
        for each in at_import(ast.parse(path.read_text()))
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
        if each.func.id in ("slash", "app_name")
    ]
    assert found == []
