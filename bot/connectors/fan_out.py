"""Calls several systems in parallel, each on its own thread, with a time limit."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import Generic, TypeVar

from bot.core.errors import AccessBotError, StorageUnavailable, SystemRefused, SystemUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

GLANCE = 0.1
"""Seconds between two checks whether to stop waiting."""


class _Call(threading.Thread, Generic[T]):
    """One call. Its thread is a daemon, so that a call that hangs does not prevent the process from
    ending."""

    def __init__(self, system: str, ask: Callable[[], T]) -> None:
        super().__init__(name=f"ask-{system}", daemon=True)
        self._system, self._ask, self._carried = system, ask, copy_context()
        self.answer: T | AccessBotError = SystemUnavailable("it has not answered")

    def run(self) -> None:
        try:
            self.answer = self._carried.run(self._ask)
        except (SystemUnavailable, SystemRefused, StorageUnavailable) as error:
            self.answer = error
        except Exception as error:
            log.exception("asking %s failed unexpectedly", self._system)
            self.answer = SystemUnavailable(f"unexpected {type(error).__name__}, see the log")

    def wait(self, until: float, patience: float, stopping: threading.Event) -> T | AccessBotError:
        """Waits for the answer until the deadline. Raises SystemUnavailable if the wait is
        stopped."""
        while self.is_alive() and (left := until - time.monotonic()) > 0:
            self.join(min(left, GLANCE))
            if stopping.is_set() and self.is_alive():
                raise SystemUnavailable("the process is stopping, so it stopped waiting")
        return (
            SystemUnavailable(f"it has not answered within {patience:g} s")
            if self.is_alive()
            else self.answer
        )


class FanOut:
    """A system is not called again while a call to it is open, so at most one thread per system
    hangs."""

    def __init__(self) -> None:
        self._under_way: dict[str, threading.Thread] = {}
        self._lock, self._stopping = threading.Lock(), threading.Event()

    def stop(self) -> None:
        """Ends the wait for answers."""
        self._stopping.set()

    def ask(
        self, questions: Mapping[str, Callable[[], T]], patience: float
    ) -> dict[str, T | AccessBotError]:
        """Each system's answer or error, after at most `patience` seconds. Raises SystemUnavailable
        if it is stopped meanwhile."""
        until, owed = (
            time.monotonic() + patience,
            SystemUnavailable("it has not answered an earlier call yet"),
        )
        calls = [(system, self._begun(system, question)) for system, question in questions.items()]
        return {
            system: call.wait(until, patience, self._stopping) if call else owed
            for system, call in calls
        }

    def _begun(self, system: str, question: Callable[[], T]) -> _Call[T] | None:
        with self._lock:
            before = self._under_way.get(system)
            if before is not None and before.is_alive():
                return None
            call = _Call(system, question)
            self._under_way[system] = call
            call.start()
            return call
