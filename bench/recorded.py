"""Runs the real bot with a record of the time of each call of a system, and of the seconds in which
Slack looked up the person of a press: `python -m bench.recorded VERB`. BENCH_RECORD names the file;
BENCH_HANG makes every call of a system take this number of seconds. With BENCH_SLOW the systems are
not in our database: each call takes this number of seconds, and a call of `archive` hangs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bot import connectors
from bot.cli import main
from bot.connectors.base import Connector
from bot.core.errors import SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.core.roles import System
from bot.slack.people import SlackPeople

_file = Path(os.environ["BENCH_RECORD"]).open("a", buffering=1)  # noqa: SIM115 - kept for the life of the process
_hang = float(os.environ.get("BENCH_HANG", "0"))
_slow = float(os.environ.get("BENCH_SLOW", "0"))
HANGS = 10.0


def _note(what: str, who: str, began: float) -> None:
    _file.write(json.dumps([what, who, began, time.time()]) + "\n")


class Elsewhere:
    """A system that keeps nothing in our database: access is there until it is revoked."""

    def __init__(self) -> None:
        self._revoked: set[str] = set()

    def grant(self, order: ProvisionOrder) -> None:
        pass

    def revoke(self, order: ProvisionOrder) -> None:
        self._revoked.add(order.grant)

    def read_back(self, order: ProvisionOrder) -> bool:
        return order.grant not in self._revoked


class Recorded:
    """A connector that notes every call that makes or ends access."""

    def __init__(self, inner: Connector, hangs: bool) -> None:
        self._inner, self._hangs = inner, hangs

    def grant(self, order: ProvisionOrder) -> None:
        self._called("grant", order, _hang)
        self._inner.grant(order)

    def revoke(self, order: ProvisionOrder) -> None:
        self._called("revoke", order, _hang)
        self._inner.revoke(order)

    def read_back(self, order: ProvisionOrder) -> bool:
        time.sleep(_slow)
        return self._inner.read_back(order)

    def _called(self, what: str, order: ProvisionOrder, hang: float) -> None:
        _note(what, order.grant, time.time())
        time.sleep(hang or _slow)
        if self._hangs:
            time.sleep(HANGS)
            raise SystemUnavailable("it hung")

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return partial(self._revoke_all, found) if name == "revoke_all" else found

    def _revoke_all(
        self,
        revoke_all: Callable[[Sequence[ProvisionOrder]], None],
        orders: Sequence[ProvisionOrder],
    ) -> None:
        for order in orders:
            _note("revoke", order.grant, time.time())
        revoke_all(orders)


def _recorded(make: Callable[..., Connector]) -> Callable[..., Connector]:
    def recorded(system: System, *others: Any) -> Connector:
        inner = Elsewhere() if _slow else make(system, *others)
        return Recorded(inner, bool(_slow) and system.name == "archive")

    return recorded


def _timed(ask: Callable[..., Any]) -> Callable[..., Any]:
    def timed(self: SlackPeople, person: str = "") -> Any:
        began = time.time()
        found = ask(self, *([person] if person else []))
        _note("look up", person, began)
        return found

    return timed


def record() -> None:
    connectors.make = _recorded(connectors.make)
    if _slow:
        connectors.Systems.ends_together = lambda self, kind: False  # type: ignore[method-assign]
    SlackPeople.look_up = _timed(SlackPeople.look_up)  # type: ignore[method-assign]
    SlackPeople.refresh_groups = _timed(SlackPeople.refresh_groups)  # type: ignore[method-assign]


if __name__ == "__main__":
    record()
    main()
