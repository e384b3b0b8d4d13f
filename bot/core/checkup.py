"""Compares the problems of an installation with those of the night before."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Comparison:
    """`open` are all problems that are known now, the new ones included."""

    new: tuple[str, ...]
    solved: tuple[str, ...]
    open: tuple[str, ...]


def compare(before: Sequence[str], found: Sequence[str], is_complete: bool) -> Comparison:
    """Compares the problems found now with those known before. Where some checks could not be
    made, no problem counts as solved. A problem that differs in its numbers only, such as a delay
    in seconds, is the same one."""
    old, now = _by_kind(before), _by_kind(found)
    new = tuple(text for kind, text in now.items() if kind not in old)
    gone = tuple(text for kind, text in old.items() if kind not in now)
    if not is_complete:
        return Comparison(new, (), (*now.values(), *gone))
    return Comparison(new, gone, tuple(now.values()))


def _by_kind(problems: Sequence[str]) -> dict[str, str]:
    return {_NUMBER.sub("#", text): text for text in problems}
