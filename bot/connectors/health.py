"""Keeps the last known health of every system in memory, so that reading it never blocks."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from bot.connectors import Systems
from bot.connectors.base import Checks
from bot.connectors.fan_out import FanOut
from bot.core.audit import rfc3339
from bot.core.errors import AccessBotError, StorageUnavailable, SystemRefused, SystemUnavailable
from bot.core.roles import System

log = logging.getLogger(__name__)

PATIENCE = 20.0
"""Seconds to wait for the answer to a health check."""

HANGS = 30.0
"""Seconds without an answer after which a system counts as hanging."""

UNKNOWN, WELL = "not asked yet", "well"


@dataclass(frozen=True, slots=True)
class _State:
    """`problem` is "" for a healthy system; `since` is UTC seconds."""

    problem: str
    since: int


class Health:
    """The health of the systems that one process calls. `now` is UTC seconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._states: dict[str, _State] = {}
        self._calls: dict[int, tuple[str, float]] = {}
        self._numbers, self._lock, self._fan_out = itertools.count(), threading.Lock(), FanOut()

    @contextmanager
    def watching(self, system: str) -> Iterator[None]:
        """Watches a call to a system: its outcome is the system's health."""
        number = next(self._numbers)
        self._calls[number] = (system, time.monotonic())
        try:
            yield
        except (SystemRefused, StorageUnavailable):
            raise  # it answered, or it was not called at all
        except Exception as error:
            if isinstance(error, SystemUnavailable) and error.to_person:
                raise  # it answered, and the person must act
            self.note(
                system, str(error) if isinstance(error, SystemUnavailable) else type(error).__name__
            )
            raise
        else:
            self.note(system, "")
        finally:
            del self._calls[number]

    def stop(self) -> None:
        """Ends the wait for a system's answer."""
        self._fan_out.stop()

    def note(self, system: str, problem: str) -> None:
        """`problem` is "" for a healthy system."""
        with self._lock:
            known = self._states.get(system)
            if known is not None and bool(known.problem) == bool(problem):
                return
            self._states[system] = _State(problem, self._now())
        if problem:
            log.warning("the system %s is unwell: %s", system, problem)
        elif known is not None:
            log.info("the system %s is well again", system)

    def describe(self, systems: Iterable[str]) -> dict[str, str]:
        """The health of each system, in words that name neither hosts nor accounts. Never
        blocks."""
        calls = list(self._calls.values())  # one copy, because other threads change it
        began = dict(sorted(calls, key=lambda call: -call[1]))  # the oldest call of each system
        return {system: self._words(system, began.get(system)) for system in systems}

    def _words(self, system: str, began: float | None) -> str:
        state = self._states.get(system)
        if began is not None and time.monotonic() - began > HANGS:
            return f"unwell: it has not answered for {time.monotonic() - began:.0f} s"
        if state is None:
            return UNKNOWN
        since = f"unwell since {rfc3339(state.since)}: see the log, or access-bot doctor"
        return since if state.problem else WELL

    def ask(
        self, systems: Systems, known: Mapping[str, System], patience: float = PATIENCE
    ) -> None:
        """Asks every one of these systems that can be asked how it is, all at once; takes
        `patience` seconds at most."""
        for name, answer in check_all(systems, known, patience, self._fan_out).items():
            if isinstance(answer, AccessBotError):
                self.note(name, str(answer))
            elif answer is not None:
                self.note(name, "; ".join(answer))


def check_all(
    systems: Systems, known: Mapping[str, System], patience: float, fan_out: FanOut
) -> dict[str, list[str] | AccessBotError | None]:
    """Checks these systems in parallel, for `patience` seconds at most. Returns the problems of
    each, None where there is no live check, and the error of a check that failed."""
    questions = {name: partial(problems_of, systems, system) for name, system in known.items()}
    return fan_out.ask(questions, patience)


def problems_of(
    systems: Systems, system: System, roles: Mapping[str, Sequence[str]] | None = None
) -> list[str] | None:
    """Returns the problems of a system and of the actions of `roles` on it; None if its connector
    has no live check."""
    connector = systems.of(system.name, system.connector)
    return [*connector.check(roles or {})] if isinstance(connector, Checks) else None
