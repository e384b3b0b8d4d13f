"""Systems, Slack and people that remember what they were told and fail as a test wants them to:
small classes. They know the product's protocols and nothing of how a test checks them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core.effects import Kind
from bot.core.model import Person, ProvisionOrder
from bot.operations.claim_work import Work
from tests.factories import a_person


@dataclass
class FakeSystem:
    """A connected system. `held` is who has access there, `calls` what it was told, in order. A
    call `do` of a grant that is in `hanging` (or of any, for "*") waits until `free`; one in
    `failing` raises what stands there."""

    held: set[str] = field(default_factory=set)
    calls: list[tuple[str, str]] = field(default_factory=list)
    failing: dict[str, Exception] = field(default_factory=dict)
    hanging: set[tuple[str, str]] = field(default_factory=set)
    inside: int = 0
    _freed: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def grant(self, order: ProvisionOrder) -> None:
        self._call("grant", order.grant)
        self.held.add(order.grant)

    def revoke(self, order: ProvisionOrder) -> None:
        self._call("revoke", order.grant)
        self.held.discard(order.grant)

    def read_back(self, order: ProvisionOrder) -> bool:
        return order.grant in self.held

    def hang(self, do: str, grant: str = "*") -> None:
        self._freed.clear()
        self.hanging.add((do, grant))

    def free(self) -> None:
        self.hanging.clear()
        self._freed.set()

    def told(self, do: str, grant: str = "") -> int:
        """How often it was told to do that, to that grant or to any."""
        return sum(did == do and grant in ("", to) for did, to in list(self.calls))

    def _call(self, do: str, grant: str) -> None:
        with self._lock:
            self.calls.append((do, grant))
            self.inside += 1
        try:
            if self.hanging & {(do, grant), (do, "*")}:
                assert self._freed.wait(30), "nobody freed the system"
            if do in self.failing:
                raise self.failing[do]
        finally:
            with self._lock:
                self.inside -= 1


class OurSystem(FakeSystem):
    """One whose access is nothing but rows of ours, so that many ends may be one; `together` says
    how many were."""

    def __init__(self) -> None:
        super().__init__()
        self.together: list[int] = []

    def revoke_all(self, orders: Sequence[ProvisionOrder]) -> None:
        self.together.append(len(orders))
        for order in orders:
            self.revoke(order)


@dataclass
class FakeSystems:
    """All systems are this one."""

    system: FakeSystem

    def of(self, name: str, kind: str) -> FakeSystem:
        return self.system

    def ends_together(self, kind: str) -> bool:
        return isinstance(self.system, OurSystem)

    def is_changed(self, order: ProvisionOrder) -> bool:
        return False

    def in_our_rows(self, kind: str) -> bool:
        return isinstance(self.system, OurSystem)


@dataclass
class SeveralSystems:
    """Each system by its name."""

    known: dict[str, FakeSystem] = field(
        default_factory=lambda: {"shop-admin": FakeSystem(), "reports": FakeSystem()}
    )

    def of(self, name: str, kind: str) -> FakeSystem:
        return self.known[name]

    def ends_together(self, kind: str) -> bool:
        return False

    def is_changed(self, order: ProvisionOrder) -> bool:
        return False

    def in_our_rows(self, kind: str) -> bool:
        return False

    def free(self) -> None:
        for system in self.known.values():
            system.free()


@dataclass
class FakeMessenger:
    """Slack's side of delivery. `said` is what was taken, one entry for each message. A message
    whose data hold a key of `failing` raises the next exception that stands there; `unwell` is
    raised when it is asked how it is."""

    said: list[list[tuple[Kind, Mapping[str, Any]]]] = field(default_factory=list)
    tried: list[list[tuple[Kind, Mapping[str, Any]]]] = field(default_factory=list)
    failing: dict[str, list[Exception]] = field(default_factory=dict)
    unwell: Exception | None = None
    asked: int = 0

    def expect_answers(self) -> None:
        self.asked += 1
        if self.unwell is not None:
            raise self.unwell

    def __getattr__(self, name: str) -> Callable[[Work], None]:
        """Every kind of message is taken by the same method."""
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda work: self.deliver(work.row.kind, [(row.kind, row.data) for row in work.rows])

    def deliver(self, kind: Kind, work: Sequence[tuple[Kind, Mapping[str, Any]]]) -> None:
        self.tried.append(list(work))
        for name, errors in self.failing.items():
            if errors and any(name in map(str, data.values()) for _, data in work):
                raise errors.pop(0)
        self.said.append(list(work))

    def notes(self, to: str = "") -> list[str]:
        """The notes that were taken, of one person or channel or of all, in order."""
        return [
            str(data.get("note", kind))
            for message in list(self.said)
            for kind, data in message
            if to in ("", data.get("person"), data.get("channel"))
        ]

    def attempts(self, to: str) -> int:
        """How often something was tried to be said to that person or channel."""
        return sum(
            any(to in (d.get("person"), d.get("channel")) for _, d in message)
            for message in list(self.tried)
        )


class FakePeople:
    """Slack's word on who somebody is: a full member, unless `unfit` says otherwise."""

    def __init__(self, unfit: Mapping[str, Mapping[str, object]] | None = None) -> None:
        self.unfit = dict(unfit or {})
        self.asked: list[str] = []

    def look_up(self, person: str) -> Person:
        self.asked.append(person)
        return a_person(person, **dict(self.unfit.get(person, {})))

    def confirm(self, person: str, groups: bool) -> Person:
        self.asked += ["groups"] * groups
        return self.look_up(person)

    def resolve(self, refs: Sequence[str]) -> None:
        self.asked += refs

    def refresh_groups(self) -> None:
        self.asked.append("groups")

    def refresh_people(self) -> None:
        self.asked.append("people")
