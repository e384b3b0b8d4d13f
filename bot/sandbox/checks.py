"""Small checks from which tables of shapes are built, and an inspection that collects problems.

`blocks.py` has the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Inspection:
    """One walk over a message or view: its problems, its total of characters and its counts."""

    surface: str
    problems: list[str] = field(default_factory=list)
    characters: int = 0
    block_ids: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)

    def wrong(self, message: str, path: str) -> None:
        """Records a problem in Slack's own wording of `response_metadata.messages`."""
        self.problems.append(f"[ERROR] {message} [json-pointer:{path}]")


Check = Callable[[Any, str, Inspection], None]


def anything(value: Any, path: str, seen: Inspection) -> None:
    """Accepts every value."""


def boolean(value: Any, path: str, seen: Inspection) -> None:
    """Accepts true and false only."""
    if not isinstance(value, bool):
        seen.wrong("must be a boolean", path)


def number(value: Any, path: str, seen: Inspection) -> None:
    """Accepts a JSON number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        seen.wrong("must be a number", path)


def integer(least: int, most: int | None = None) -> Check:
    """A whole number within both ends."""

    def check(value: Any, path: str, seen: Inspection) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            seen.wrong("must be an integer", path)
        elif value < least or (most is not None and value > most):
            seen.wrong(f"must be between {least} and {most}", path)

    return check


def string(most: int | None = None, least: int = 1) -> Check:
    """A string of `least` to `most` characters."""

    def check(value: Any, path: str, seen: Inspection) -> None:
        if not isinstance(value, str):
            seen.wrong("must be a string", path)
        elif len(value) < least:
            seen.wrong(f"must be more than {least - 1} characters", path)
        elif most is not None and len(value) > most:
            seen.wrong(f"must be less than {most + 1} characters", path)

    return check


def shown(most: int | None = None, least: int = 1) -> Check:
    """A string that people see, so that it counts towards the total of the message."""
    plain = string(most, least)

    def check(value: Any, path: str, seen: Inspection) -> None:
        plain(value, path, seen)
        seen.characters += len(value) if isinstance(value, str) else 0

    return check


def choice(*words: str) -> Check:
    """One of a few words."""

    def check(value: Any, path: str, seen: Inspection) -> None:
        if value not in words:
            seen.wrong(f"must be one of: {', '.join(words)}", path)

    return check


def array(each: Check, most: int | None = None, least: int = 1) -> Check:
    """A list of `least` to `most` items, each checked."""

    def check(value: Any, path: str, seen: Inspection) -> None:
        if not isinstance(value, list):
            seen.wrong("must be an array", path)
            return
        if len(value) < least:
            seen.wrong(f"must have at least {least} items", path)
        if most is not None and len(value) > most:
            seen.wrong(f"no more than {most} items allowed", path)
        for index, item in enumerate(value):
            each(item, f"{path}/{index}", seen)

    return check


def shape(fields: Mapping[str, Check]) -> Check:
    """An object with exactly these fields; a name that ends in `!` is required."""
    known = {name.rstrip("!"): check for name, check in fields.items()}
    required = [name[:-1] for name in fields if name.endswith("!")]

    def check(value: Any, path: str, seen: Inspection) -> None:
        if not isinstance(value, dict):
            seen.wrong("must be an object", path)
            return
        for name in required:
            if name not in value:
                seen.wrong(f"missing required field: {name}", path)
        for name, item in value.items():
            if name not in known:
                seen.wrong(f"invalid additional property: {name}", path)
            else:
                known[name](item, f"{path}/{name}", seen)

    return check


def typed(table: Mapping[str, Check], what: str = "type") -> Check:
    """An object whose `type` chooses its check from a table."""

    def check(value: Any, path: str, seen: Inspection) -> None:
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in table:
            seen.wrong(f"unsupported {what}: {kind}", path)
        else:
            table[kind](value, path, seen)

    return check


def both(*checks: Check) -> Check:
    """Every one of the checks."""

    def check(value: Any, path: str, seen: Inspection) -> None:
        for each in checks:
            each(value, path, seen)

    return check


def at_least_one(*names: str) -> Check:
    """An object that has one of these fields."""

    def check(value: Any, path: str, seen: Inspection) -> None:
        if isinstance(value, dict) and not any(value.get(name) for name in names):
            seen.wrong(f"must provide one of: {', '.join(names)}", path)

    return check


def unique(name: str) -> Check:
    """A list whose objects don't share a value of `name`."""

    def check(value: Any, path: str, seen: Inspection) -> None:
        met: set[str] = set()
        for index, item in enumerate(value if isinstance(value, list) else []):
            key = item.get(name) if isinstance(item, dict) else None
            if isinstance(key, str) and key in met:
                seen.wrong(f"`{name}` {key} already exists", f"{path}/{index}/{name}")
            met.add(str(key))

    return check


def counted(kind: str, most: int, check: Check) -> Check:
    """At most `most` of a kind in one message or view."""

    def limited(value: Any, path: str, seen: Inspection) -> None:
        seen.counts[kind] = seen.counts.get(kind, 0) + 1
        if seen.counts[kind] == most + 1:
            seen.wrong(f"only {most} {kind} allowed", path)
        check(value, path, seen)

    return limited
