"""Finds the line of a key in a TOML text that `tomllib` has already accepted, for problems with a place.
It does not know what the keys mean, and it checks nothing itself.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping

Path = tuple[str | int, ...]

_STRINGS = r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'"
_TOKEN = re.compile(rf"{_STRINGS}|#[^\n]*|[\[\]{{}}\n]", re.DOTALL)
_KEY = re.compile(r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'|[A-Za-z0-9_-]+")
_KEYS = re.compile(rf"\s*(\[\[?)?\s*((?:{_KEY.pattern})(?:[ \t]*\.[ \t]*(?:{_KEY.pattern}))*)")
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}


def key_lines(text: str) -> Mapping[Path, int]:
    """Every table and key of the text with the line, counted from 1, where it is first written.

    A table in an array of tables has its index in the path: `("roles", "a", "auto_approve", 0, "name")`.
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
    """The line of the key, or of the nearest table around it that is written down; 1 when nothing is."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 1


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each `[header]` or `key = value`, however many lines it takes, with its first line."""
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
