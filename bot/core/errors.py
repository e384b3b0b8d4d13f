"""The exceptions of the product. Each has its facts and builds its own sentence.

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
    """The base of all exceptions of this product. Their text may be shown to a person."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a file or in the environment; `line` is 0 and `key` "" if there is none."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place} {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


class ConfigError(AccessBotError):
    """All problems of the configuration, so that one round of editing fixes them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class IllegalMove(AccessBotError):
    """The lifecycle table does not have this move; nothing has changed."""

    def __init__(self, state: str, move: str) -> None:
        self.state, self.move = state, move
        super().__init__(f"'{move}' is not possible in the state '{state}'")


class StorageUnavailable(AccessBotError):
    """The database failed; its transaction changed nothing."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(
            "The database does not answer"
            f" ({cause.strip().splitlines()[0] if cause.strip() else '?'})"
        )


class SchemaMismatch(AccessBotError):
    """Names the migrations that the database lacks, or that only a newer version has."""

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


class DatabaseIsCopy(AccessBotError):
    """The database is a copy that was not put back with `restore`."""

    def __init__(self, copied_at: str) -> None:
        super().__init__(
            f"The database is a copy of {copied_at}, and access in it may have ended since. Put it"
            " back with `access-bot restore FILE`, which ends that access"
        )


class ClockBehind(AccessBotError):
    """The machine's clock is too far behind the newest record."""

    def __init__(self, behind: str) -> None:
        super().__init__(
            f"This machine's clock is {behind} behind the newest record in the database, so access"
            " would last too long: set the clock, turn NTP on, and start again. If the clock is"
            " right and the records are not, stop every process and start `run` or `worker` once"
            " with --accept-clock, which ends all access"
        )


class SystemUnavailable(AccessBotError):
    """A temporary failure of another system. `retry_after` is the seconds that it asked us to wait,
    or None; `system` is its name in roles.toml, if it has one. `to_person` is "", or a sentence for
    the holder, who must act; the system is then healthy."""

    system = ""

    def __init__(self, what: str, retry_after: int | None = None, to_person: str = "") -> None:
        self.what, self.retry_after, self.to_person = what, retry_after, to_person
        super().__init__(what)


class OutcomeUnknown(SystemUnavailable):
    """The connection broke after the call was sent, so the call may have taken effect."""


class NotCalled(SystemUnavailable):
    """Nothing was sent: the system can't be reached, or roles.toml does not allow the call."""


class Outdated(NotCalled):
    """Another process has loaded a different roles.toml later, so this one decides nothing."""

    def __init__(self) -> None:
        super().__init__(
            "the roles.toml of this process is not the one that was loaded last", retry_after=1
        )


@contextmanager
def already_called() -> Iterator[None]:
    """A NotCalled as an error with unknown outcome, for a step after one that may have created
    access."""
    try:
        yield
    except NotCalled as error:
        raise SystemUnavailable(error.what, error.retry_after, error.to_person) from error


class SystemRefused(AccessBotError):
    """A final refusal. `code` is the other system's own error, which follows the sentence.
    `to_person` is "", or a sentence for the holder."""

    def __init__(self, code: str, hint: str = "", to_person: str = "") -> None:
        self.code, self.hint, self.to_person = code, hint, to_person
        super().__init__(f"{hint} ({code})" if hint else code)
