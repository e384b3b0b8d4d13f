"""Finds the position of keys and values in a TOML text that `tomllib` has accepted."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Generator, Iterator, Mapping
from typing import NamedTuple

Path = tuple[str | int, ...]

_STRINGS = r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'"
_TOKEN = re.compile(rf"{_STRINGS}|#[^\n]*|[\[\]{{}}\n]", re.DOTALL)
_KEY = re.compile(r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'|[A-Za-z0-9_-]+")
_KEYS = re.compile(rf"\s*(\[\[?)?\s*((?:{_KEY.pattern})(?:[ \t]*\.[ \t]*(?:{_KEY.pattern}))*)")
_HEADER = re.compile(rf"\[\[?\s*(?:{_KEYS.pattern})\s*\]\]?")
_ASSIGN = re.compile(rf"{_KEYS.pattern}[ \t]*=[ \t]*")
_SPACE = re.compile(r"(?:\s|#[^\n]*)*")
_SCALAR = re.compile(rf"{_STRINGS}|[^\s,\]}}#]+(?: \d[^\s,\]}}#]*)?", re.DOTALL)
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}


def key_lines(text: str) -> Mapping[Path, int]:
    """Every table and key of the text with the line, counted from 1, where it is first written.

    A table in an array of tables has its index in the path: `("roles", "a", "auto_approve", 0,
    "name")`.
    """
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for line, statement in _statements(text):
        match = _KEYS.match(statement)
        if match is None:
            continue
        brackets, keys = match.group(1), _split(match.group(2))
        if brackets:
            table = _enter((), keys, counts, new=brackets == "[[")
        path = table if brackets else _enter(table, keys, counts)
        for end in range(1, len(path) + 1):
            lines.setdefault(path[:end], line)
    return lines


def line_of(path: Path, lines: Mapping[Path, int]) -> int:
    """The line of the key, or of the nearest table around it in the file; 1 if there is none."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 1


class Scalar(NamedTuple):
    """A value that is neither a list nor a table; `start` and `end` are its offsets in the text."""

    path: Path
    start: int
    end: int


def scalars(text: str) -> Iterator[Scalar]:
    """Every scalar in the order of the text; an entry of a list has its index in the path."""
    counts: dict[Path, int] = {}
    table: Path = ()
    at = _after_space(text, 0)
    while at < len(text):
        if text[at] == "[":
            header = _HEADER.match(text, at)
            assert header is not None
            table = _enter((), _split(header.group(2)), counts, new=text.startswith("[[", at))
            at = header.end()
        else:
            keys, at = _assigned(text, at)
            at = yield from _scalars_of(text, at, _enter(table, keys, counts))
        at = _after_space(text, at)


def comments(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every comment."""
    for token in _TOKEN.finditer(text):
        if token.group().startswith("#"):
            yield token.span()


def _scalars_of(text: str, at: int, path: Path) -> Generator[Scalar, None, int]:
    """The scalars of the value that begins at `at`; returns where it ends."""
    if text[at] not in "[{":
        scalar = _SCALAR.match(text, at)
        assert scalar is not None
        yield Scalar(path, at, scalar.end())
        return scalar.end()
    is_list, place = text[at] == "[", 0
    at = _after_space(text, at + 1)
    while text[at] not in "]}":
        keys: list[str | int] = [place]
        if not is_list:
            keys, at = _assigned(text, at)  # type: ignore[assignment]
        at = yield from _scalars_of(text, at, (*path, *keys))
        at = _after_space(text, at)
        if text[at] == ",":
            at, place = _after_space(text, at + 1), place + 1
    return at + 1


def _assigned(text: str, at: int) -> tuple[list[str], int]:
    """The keys before an equals sign, and where their value begins."""
    match = _ASSIGN.match(text, at)
    assert match is not None
    return _split(match.group(2)), match.end()


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each `[header]` or `key = value`, with the number of its first line."""
    start = line = 1
    depth = begin = 0
    for token in _TOKEN.finditer(text):
        found = token.group()
        line += found.count("\n")
        depth += _DEPTH.get(found, 0)
        if found == "\n" and depth == 0:
            yield start, text[begin : token.start()]
            start, begin = line, token.end()
    yield start, text[begin:]


def _split(dotted: str) -> list[str]:
    return [_unquoted(key) for key in _KEY.findall(dotted)]


def _unquoted(key: str) -> str:
    return str(tomllib.loads(f"key = {key}")["key"]) if key[0] in "\"'" else key


def _enter(base: Path, keys: list[str], counts: dict[Path, int], *, new: bool = False) -> Path:
    """`base` and the keys as a path, with the current index after each array of tables."""
    path = base
    for position, key in enumerate(keys, start=1):
        path = (*path, key)
        if new and position == len(keys):
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path
