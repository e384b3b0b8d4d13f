"""The exceptions of the product, each carrying its facts and building its own sentence.
It does not know who reads that sentence, nor how it is shown.

    AccessBotError ├── ConfigError            settings or roles.toml are wrong; every problem at
    once ├── BadDuration            a length of time that nobody can mean (durations.py; also a
    ValueError) ├── IllegalMove            a state that can't follow the present one; a bug wherever
    it is seen ├── StorageUnavailable     the database can't be reached, is locked for too long, or
    its disk is full ├── SystemUnavailable      a connected system or Slack did not do it now; a
    later try may get it
    │   ├── OutcomeUnknown     nobody knows whether it did it: the answer was lost
    │   └── NotCalled          it could not be called, so it did nothing
    │       └── Outdated       another process loaded another roles.toml since; that one will do it
    ├── SystemRefused          it said no, and would say no again
    ├── ClockBehind            the machine's clock is far behind the newest record
    └── SchemaMismatch         the database's schema is older or newer than this code
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


class AccessBotError(Exception):
    """What all exceptions of this product have in common: their text may be shown to a person."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file or in the environment; `line` is 0 and `key` "" where there is
    none."""

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


class IllegalMove(AccessBotError):
    """The lifecycle table has no such pair; nothing was moved."""

    def __init__(self, state: str, move: str) -> None:
        self.state, self.move = state, move
        super().__init__(f"'{move}' is not possible in the state '{state}'")


class StorageUnavailable(AccessBotError):
    """The database did not do what it was asked; the transaction it happened in changed nothing."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(
            "The database does not answer"
            f" ({cause.strip().splitlines()[0] if cause.strip() else '?'})"
        )


class SchemaMismatch(AccessBotError):
    """Names the migrations that are missing in the database, or those that only a newer version
    knows."""

    def __init__(self, behind: Sequence[str] = (), newer: Sequence[str] = ()) -> None:
        self.behind, self.newer = tuple(behind), tuple(newer)
        if self.newer:
            text = (
                f"The database is newer than this version (it has {', '.join(newer)}): run the"
                " newer version"
            )
        else:
            text = (
                f"The database is behind (it lacks {', '.join(behind)}): run `access-bot migrate`"
                " first"
            )
        super().__init__(text)


class ClockBehind(AccessBotError):
    """The machine's clock is so far behind the newest record that nobody knows what time it is."""

    def __init__(self, behind: str) -> None:
        super().__init__(
            f"This machine's clock is {behind} behind the newest record in the database, so access"
            " would last too long: set the clock, turn NTP on, and start again. If the clock is"
            " right and the records are not, stop every process and start `run` or `worker` once"
            " with --accept-clock, which ends all access"
        )


class SystemUnavailable(AccessBotError):
    """A passing failure of another system. `retry_after` is how many seconds it asked us to wait,
    or None; `system` is its name in roles.toml, where it is one of those. `to_person` is "", or a
    sentence for the person whose access it is: then it waits for them, and the system is well."""

    system = ""

    def __init__(self, what: str, retry_after: int | None = None, to_person: str = "") -> None:
        self.what, self.retry_after, self.to_person = what, retry_after, to_person
        super().__init__(what)


class OutcomeUnknown(SystemUnavailable):
    """The connection broke after the call was sent: it may have happened."""


class NotCalled(SystemUnavailable):
    """Nothing was sent: it can't be reached, or is not to be called as roles.toml is."""


class Outdated(NotCalled):
    """Another process has loaded another roles.toml since, so this one decides nothing."""

    def __init__(self) -> None:
        super().__init__(
            "the roles.toml of this process is not the one that was loaded last", retry_after=1
        )


@contextmanager
def already_called() -> Iterator[None]:
    """For a step after one that may have made access: that nothing was sent in this step proves
    nothing."""
    try:
        yield
    except NotCalled as error:
        raise SystemUnavailable(error.what, error.retry_after, error.to_person) from error


class SystemRefused(AccessBotError):
    """A final answer. `code` is the other system's own word for it, which stands behind the
    sentence. `to_person` is "", or a sentence for the person whose access it is: then it is about
    them."""

    def __init__(self, code: str, hint: str = "", to_person: str = "") -> None:
        self.code, self.hint, self.to_person = code, hint, to_person
        super().__init__(f"{hint} ({code})" if hint else code)
