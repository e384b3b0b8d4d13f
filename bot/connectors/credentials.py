"""Asks systems for a holder's credentials, a few calls at a time for each system, so that one that
hangs does not block the others. Credentials are neither kept nor logged.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from bot.connectors import Systems, for_more
from bot.connectors.base import Shows
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.observed import AccessInstructions, CredentialAnswer

log = logging.getLogger(__name__)

THREADS, EACH = 16, 4
"""The most systems that are called at the same time, and the most calls to one system."""

NOTHING = AccessInstructions({}, ("There is nothing to copy: sign in there as yourself.",))


@dataclass(frozen=True, slots=True)
class _Asked:
    order: ProvisionOrder
    given: str
    answer: Future[CredentialAnswer] = field(default_factory=Future)


class CredentialService:
    """The credentials for the windows of one process."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="credentials")
        self._asked: dict[str, int] = defaultdict(int)
        self._next: dict[tuple[str, str], _Asked | None] = {}
        self._lock = threading.Lock()

    def ask(
        self, orders: Sequence[ProvisionOrder], given: Mapping[str, str]
    ) -> dict[str, Future[CredentialAnswer]]:
        """By system: instructions, a question, or a sentence that says why there is neither.
        `given` has the holder's answers to the questions of systems.

        A new password replaces the one before, so a system gets one call at a time for a grant. Of
        several presses meanwhile only the last one counts, because its window must show the valid
        password. The others are cancelled.
        """
        return {
            order.system: self._line_up(_Asked(order, given.get(order.system, "")))
            for order in orders
        }

    def _line_up(self, asked: _Asked) -> Future[CredentialAnswer]:
        place = _place(asked)
        with self._lock:
            under_way = place in self._next
            overtaken = self._next.get(place)
            self._next[place] = asked if under_way else None
        if overtaken is not None:
            self._pool.submit(overtaken.answer.cancel)
        if not under_way:
            self._pool.submit(self._work, asked)
        return asked.answer

    def _work(self, asked: _Asked) -> None:
        answer = self._ask(asked.order, asked.given)
        place = _place(asked)
        with self._lock:
            newest = self._next[place]
            if newest is None:
                del self._next[place]
            else:
                self._next[place] = None
        if newest is None:
            asked.answer.set_result(answer)
        else:
            self._pool.submit(self._work, newest)
            asked.answer.cancel()

    def _ask(self, order: ProvisionOrder, given: str) -> CredentialAnswer:
        try:
            with self._one_of_few(order.system):
                connector = for_more(self._systems, order)
                return (
                    connector.credentials(order, given) if isinstance(connector, Shows) else NOTHING
                )
        except (SystemUnavailable, SystemRefused) as error:
            log.warning("%s made no credentials for %s: %s", order.system, order.grant, error)
            return f"it can't be reached now ({error}). Press Show credentials again in a moment."
        except Exception:
            log.exception("%s made no credentials for %s", order.system, order.grant)
        return (
            "it gave no credentials. Press Show credentials again; if that doesn't help, tell your"
            " leads."
        )

    @contextmanager
    def _one_of_few(self, system: str) -> Iterator[None]:
        with self._lock:
            if self._asked[system] >= EACH:
                raise SystemUnavailable("too many others are waiting for its answer")
            self._asked[system] += 1
        try:
            yield
        finally:
            with self._lock:
                self._asked[system] -= 1


def _place(asked: _Asked) -> tuple[str, str]:
    return asked.order.grant, asked.order.system
