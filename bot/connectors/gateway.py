"""Systems behind a gateway that checks our tokens: access is an open gate, kept where the check reads it.

It doesn't know who checks the gate, nor anything of tokens.
"""

from typing import Protocol

from bot.core.model import Order


class Gates(Protocol):
    """Where the token check looks; `until` is None for a gate that is not there."""

    def open(self, grant: str, system: str, until: int) -> None: ...

    def close(self, grant: str, system: str) -> None: ...

    def until(self, grant: str, system: str) -> int | None: ...


class Gateway:
    """A grant's gate at one system. Nothing is told to the system: it asks at every request."""

    def __init__(self, gates: Gates) -> None:
        self._gates = gates

    def grant(self, order: Order) -> None:
        self._gates.open(order.grant, order.system, order.ends_at)

    def revoke(self, order: Order) -> None:
        self._gates.close(order.grant, order.system)

    def read_back(self, order: Order) -> bool:
        return self._gates.until(order.grant, order.system) is not None
