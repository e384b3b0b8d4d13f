"""Revokes due access on its system while the database takes no writes, so that a full disk does not
keep access open.

Each end is safe to repeat. The ordinary end repeats it when writing works again, and records it.
"""

import logging
import threading
import time
from collections.abc import Iterable, Sequence

from bot.connectors import Systems, for_order
from bot.connectors.base import Connector, Memberships
from bot.connectors.health import Health
from bot.core.backoff import Backoff
from bot.core.errors import AccessBotError, StorageUnavailable, SystemUnavailable
from bot.core.model import Membership, ProvisionOrder
from bot.operations._unit_of_work import Context
from bot.operations._unwritten import UnwrittenEnds
from bot.worker.concurrency import ConcurrencyLimits

log = logging.getLogger(__name__)

BACKOFF = Backoff(first=1, longest=60)
"""Seconds between attempts of one end."""

CHECK_AGAIN = 300
"""Seconds after which an end is repeated, because a start that was running may have finished after
it."""


_UNDER_WAY = float("inf")


class UnwrittenMemberships:
    """Memberships that can be read but not written: a forgotten one is hidden here until it was
    read back. The ordinary end deletes it later."""

    def __init__(self, stored: Memberships) -> None:
        self._stored = stored
        self._hidden: set[Membership] = set()

    def note(self, membership: Membership) -> None:
        self._stored.note(membership)

    def forget(self, membership: Membership) -> None:
        self._hidden.add(membership)

    def show(self, system: str, grant: str) -> None:
        """Stops hiding memberships of this grant there."""
        for membership in [
            each for each in self._hidden.copy() if (each.system, each.grant) == (system, grant)
        ]:
            self._hidden.discard(membership)

    def of_grant(self, system: str, grant: str) -> Sequence[Membership]:
        return self._left(self._stored.of_grant(system, grant))

    def of_thing(self, system: str, account: str, thing: str) -> Sequence[Membership]:
        return self._left(self._stored.of_thing(system, account, thing))

    def of_system(self, system: str) -> Sequence[Membership]:
        return self._left(self._stored.of_system(system))

    def _left(self, memberships: Iterable[Membership]) -> list[Membership]:
        return [each for each in memberships if each not in self._hidden]


class UnwrittenRevocations:
    """`systems` has connectors that use `memberships`. No call waits for a system: each has its own
    thread, which does not keep the process from ending."""

    def __init__(
        self, world: Context, systems: Systems, memberships: UnwrittenMemberships, health: Health
    ) -> None:
        self._world, self._systems, self._health = world, systems, health
        self._memberships = memberships
        self._limits, self._lock = ConcurrencyLimits(), threading.Lock()
        self._tried: dict[tuple[str, str], int] = {}
        self._next_try: dict[tuple[str, str], float] = {}

    def begin(self, orders: Iterable[ProvisionOrder]) -> None:
        """Starts the ends that neither run nor wait for their next attempt."""
        for order in orders:
            pair = order.grant, order.system
            if self._systems.in_our_rows(order.connector):
                if (
                    self._systems.ends_together(order.connector)
                    or order.ends_at <= self._world.now()
                ):
                    self._world.unwritten.note(*pair, self._world.now())
            elif self._next_try.get(pair, 0.0) <= time.monotonic() and self._limits.enter(
                [order.system]
            ):
                self._next_try[pair] = _UNDER_WAY
                threading.Thread(
                    target=self._revoke, args=(order,), name="unwritten-end", daemon=True
                ).start()

    def _revoke(self, order: ProvisionOrder) -> None:
        pair, failed = (order.grant, order.system), True
        try:
            self._end(order)
            failed = False
        except AccessBotError as error:
            log.warning("access %s is due and still on %s: %s", *pair, error)
        except Exception:
            log.exception("access %s is due and could not be ended on %s", *pair)
        finally:
            self._memberships.show(order.system, order.grant)
            self._limits.leave([order.system], [order.system] if failed else [])
            self._settle(pair, failed)

    def _end(self, order: ProvisionOrder) -> None:
        """Raises SystemUnavailable, SystemRefused and StorageUnavailable unless it is gone."""
        with self._health.watching(order.system):
            connector = for_order(self._systems, order)
            forget_if_back(self._world.unwritten, connector, order)
            try:
                connector.revoke(order)
            except StorageUnavailable as error:
                # It may have called its system before the failure; the read-back shows that.
                log.info(
                    "the end of %s on %s will be recorded later: %s",
                    order.grant,
                    order.system,
                    error,
                )
            if connector.read_back(order):
                raise SystemUnavailable(f"{order.system} still has the access")

    def _settle(self, pair: tuple[str, str], failed: bool) -> None:
        with self._lock:
            tried = self._tried[pair] = self._tried.get(pair, 0) + 1 if failed else 0
            pause = BACKOFF.pause(tried) if failed else CHECK_AGAIN
            self._next_try[pair] = time.monotonic() + pause
        if not failed:
            self._world.unwritten.note(*pair, self._world.now())
            log.warning("access %s has ended on %s, which can't be recorded yet", *pair)

    def reset(self) -> None:
        """Resets the pauses at the end of an outage."""
        with self._lock:
            self._tried.clear()
            self._next_try = {pair: at for pair, at in self._next_try.items() if at == _UNDER_WAY}


def forget_if_back(unwritten: UnwrittenEnds, connector: Connector, order: ProvisionOrder) -> None:
    """Drops a noted end if the access exists again. Raises the errors of the connector."""
    if unwritten.at(order.grant, order.system) is not None and connector.read_back(order):
        unwritten.forget(order.grant, order.system)
