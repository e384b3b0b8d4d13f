"""Asks systems for what a holder needs to get in. A few at a time of each system, so that one that hangs keeps nobody
from the others; nothing of what they say is kept or logged.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from bot.connectors import Systems
from bot.connectors.base import Shows
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import Order
from bot.core.reality import Question, Way

log = logging.getLogger(__name__)

THREADS, EACH = 16, 4
"""Systems asked at the same moment, and times that one of them is."""

NOTHING = Way({}, ("There is nothing to copy: you get in there as yourself.",))


class Ways:
    """One for each process that opens windows."""

    def __init__(self, systems: Systems) -> None:
        self._systems = systems
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="credentials")
        self._asked: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    def ask(self, orders: Sequence[Order], given: Mapping[str, str]) -> Future[dict[str, Way | Question | str]]:
        """By system: how to get in, what is asked first, or a sentence on why there is nothing. `given` is what the
        holder answered to the question of a system."""
        return self._pool.submit(
            lambda: {order.system: self._ask(order, given.get(order.system, "")) for order in orders}
        )

    def _ask(self, order: Order, given: str) -> Way | Question | str:
        try:
            with self._one_of_few(order.system):
                connector = self._systems.of(order.system, order.connector)
                return connector.credentials(order, given) if isinstance(connector, Shows) else NOTHING
        except (SystemUnavailable, SystemRefused) as error:
            log.warning("%s made no credentials for %s: %s", order.system, order.grant, error)
            return f"it could not be asked now ({error}). Press Show credentials again in a moment."
        except Exception:
            log.exception("%s made no credentials for %s", order.system, order.grant)
        return "it gave no credentials. Press Show credentials again; if that doesn't help, tell your leads."

    @contextmanager
    def _one_of_few(self, system: str) -> Iterator[None]:
        with self._lock:
            if self._asked[system] >= EACH:
                raise SystemUnavailable("others are waiting for its answer already")
            self._asked[system] += 1
        try:
            yield
        finally:
            with self._lock:
                self._asked[system] -= 1
