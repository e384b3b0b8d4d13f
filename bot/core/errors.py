"""The exceptions of the product, each carrying its facts and building its own sentence.
It does not know who reads that sentence, nor how it is shown.

    AccessBotError
    ├── ConfigError            settings or roles.toml are wrong; every problem at once
    └── BadDuration            a length of time that nobody can mean (durations.py; also a ValueError)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class AccessBotError(Exception):
    """What all exceptions of this product have in common: their text may be shown to a person."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file or in the environment; `line` is 0 and `key` "" where there is none."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place} {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


class ConfigError(AccessBotError):
    """Everything that is wrong with the configuration, so that one round of editing is enough."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
