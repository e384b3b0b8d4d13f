"""Fake systems, Slack and people: small classes that remember their calls and fail as a test wants.
They know the product's protocols and nothing of how a test checks them."""

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
    """A connected system. `held` has the people with access there, `calls` its calls in order. A
    call `do` of a grant in `hanging` (or of any, for "*") waits until `free`; one in `failing`
    raises the exception there."""

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

    def count_calls(self, do: str, grant: str = "") -> int:
        """The number of calls with that verb, for that grant or for any."""
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
    """A system whose access is only rows in our database, so that many ends may be one call;
    `together` has the number of ends in each."""

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
    """The messenger's side of Slack. `sent` has the sent messages in order. A message whose data
    have a key of `failing` raises the next exception listed there; the health check raises
    `unwell`."""

    sent: list[list[tuple[Kind, Mapping[str, Any]]]] = field(default_factory=list)
    tried: list[list[tuple[Kind, Mapping[str, Any]]]] = field(default_factory=list)
    failing: dict[str, list[Exception]] = field(default_factory=dict)
    unwell: Exception | None = None
    asked: int = 0
    texts: list[str] = field(default_factory=list)

    def answer_text(self, work: Work, text: str) -> None:
        self.texts.append(text)

    def expect_answers(self) -> None:
        self.asked += 1
        if self.unwell is not None:
            raise self.unwell

    def __getattr__(self, name: str) -> Callable[[Work], None]:
        """One method takes every kind of message."""
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda work: self.deliver(work.row.kind, [(row.kind, row.data) for row in work.rows])

    def deliver(self, kind: Kind, work: Sequence[tuple[Kind, Mapping[str, Any]]]) -> None:
        self.tried.append(list(work))
        for name, errors in self.failing.items():
            if errors and any(name in map(str, data.values()) for _, data in work):
                raise errors.pop(0)
        self.sent.append(list(work))

    def notes(self, to: str = "") -> list[str]:
        """The notes that were sent, to one person or channel or to all, in order."""
        return [
            str(data.get("note", kind))
            for message in list(self.sent)
            for kind, data in message
            if to in ("", data.get("person"), data.get("channel"))
        ]

    def attempts(self, to: str) -> int:
        """The number of attempts to send a message to that person or channel."""
        return sum(
            any(to in (d.get("person"), d.get("channel")) for _, d in message)
            for message in list(self.tried)
        )


class FakePeople:
    """Slack's answers about people: full members, unless `unfit` says otherwise."""

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
