"""Holds the faults that a test or a demo sets for a method, each with the number of calls that it
still affects.

`api.py` applies them.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from typing import Any

KINDS = (
    "latency",
    "rate_limited",
    "http",
    "internal_error",
    "hang",
    "reset",
    "lost_answer",
    "invalid_auth",
)
SOCKET_KINDS = ("silent", "duplicate", "reorder", "refuse")


@dataclass
class Fault:
    """One kind of trouble; `value` is seconds or a status, `count` how often (None: until
    cleared)."""

    kind: str
    value: float = 0
    count: int | None = None


@dataclass
class Faults:
    """Faults of each method (`*`: all), and those of the sockets."""

    methods: dict[str, list[Fault]] = field(default_factory=dict)
    sockets: set[str] = field(default_factory=set)
    cleared: asyncio.Event = field(default_factory=asyncio.Event)
    hanging: int = 0

    def set(self, method: str, fault: Fault) -> None:
        """Adds a fault. Raises ValueError when its kind is unknown."""
        if fault.kind not in KINDS:
            raise ValueError(f"unknown fault {fault.kind}, known: {', '.join(KINDS)}")
        self.methods.setdefault(method, []).append(fault)

    def clear(self, method: str | None = None) -> None:
        """Removes the faults of a method, or all, and lets hanging calls end."""
        if method is None:
            self.methods.clear()
            self.sockets.clear()
        self.methods.pop(method or "", None)
        self.cleared.set()
        self.cleared = asyncio.Event()

    def take(self, method: str) -> dict[str, float]:
        """The faults of this call, {kind: value}: latency, and the first of the other kinds."""
        struck: dict[str, float] = {}
        for name in (method, "*"):
            for fault in list(self.methods.get(name, [])):
                if fault.kind == "latency" or not struck.keys() - {"latency"}:
                    struck[fault.kind] = fault.value
                    self._spend(name, fault)
        return struck

    def _spend(self, name: str, fault: Fault) -> None:
        if fault.count is not None:
            fault.count -= 1
            if fault.count <= 0:
                self.methods[name].remove(fault)

    def shown(self) -> dict[str, Any]:
        """All faults, for the inspector."""
        return {
            "methods": {
                name: [asdict(fault) for fault in faults] for name, faults in self.methods.items()
            },
            "sockets": sorted(self.sockets),
            "hanging": self.hanging,
        }
