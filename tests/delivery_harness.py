"""A dispatcher on a real database for tests; everything outside is a fake that remembers its
calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.clock import Clock
from bot.core import effects
from bot.core.effects import Queue
from bot.core.model import Grant, GrantState
from bot.operations._unit_of_work import unit
from bot.operations.grants.release_grant import Ending, release_grant
from bot.operations.people.record_people import record_people
from bot.operations.usage.count_usage import UsageMeter
from bot.worker.dispatcher import Dispatcher
from bot.worker.ticker import Ticker
from tests.factories import ANA, Made, a_person, make_world
from tests.fakes import FakeMessenger, FakePeople, FakeSystem, FakeSystems


@dataclass
class DeliveryHarness:
    """A dispatcher on a real database, with fakes for everything outside."""

    made: Made
    system: FakeSystem
    slack: FakeMessenger
    people: FakePeople
    delivery: Dispatcher
    watch: Ticker = field(init=False)

    def another(self) -> Dispatcher:
        """A second process on the same database and the same systems."""
        meter = UsageMeter(self.made.world)
        return Dispatcher(self.made.world, FakeSystems(self.system), self.slack, self.people, meter)  # type: ignore[arg-type]

    def start(self) -> None:
        """Starts its threads, and a ticker for the checks that no commit triggers."""
        checks = {"rows": self.delivery.find_due, "what is due": self.delivery.wake_due}
        self.watch = Ticker(Clock().exact, checks)
        self.delivery.start()
        self.watch.start()

    def stop(self) -> None:
        self.watch.stop()
        self.delivery.stop()

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self.made.world.db.reading():
            return self.made.world.db.rows(sql, *values)

    def state(self, grant: Grant) -> GrantState:
        return self.made.grant(grant.id).state

    def starting(self, person: str = ANA, role: str = "shop-admin") -> Grant:
        """A grant that was approved and is about to start."""
        record_people(self.made.world, [a_person(person)])
        return self.made.a_started(self.made.a_request(role, person))

    def active(self, person: str = ANA, role: str = "shop-admin") -> Grant:
        record_people(self.made.world, [a_person(person)])
        with self.made.world.db.transaction():  # a running worker never sees the work of its start
            grant = self.made.a_grant(role, person)
            self.system.held.add(grant.id)
            self.made.world.db.run("DELETE FROM outbox")
        return grant

    def release(self, grant: Grant) -> None:
        assert isinstance(release_grant(self.made.world, grant.id, grant.person), Ending)
        self.delivery.wake(list(Queue))

    def say(self, person: str, note: str) -> None:
        """Queues a message to a person."""
        with unit(self.made.world) as u:
            u.do(effects.answer(person, "", note))
        self.delivery.wake(list(Queue))

    def waiting(self, queue: Queue) -> list[tuple[str, int, int, str | None]]:
        """Kind, due time, attempts with an unknown outcome, and owner of the rows left in a
        queue."""
        columns = "kind, due_at, outcome_unknown, claimed_by"
        sql = f"SELECT {columns} FROM outbox WHERE queue = ? ORDER BY id"
        return self.rows(sql, queue)  # type: ignore[return-value]

    def turn(self, queue: Queue, times: int = 1) -> None:
        """Does what is due in this thread, then moves the clock to the next due time,
        repeatedly."""
        for _ in range(times):
            self.delivery.drain(queue)
            due = [at for _, at, _, _ in self.waiting(queue)]
            self.made.clock.at = max(self.made.clock.at, *due) if due else self.made.clock.at


@contextmanager
def a_harness(tmp_path: Path) -> Iterator[DeliveryHarness]:
    """A harness with an empty outbox, without threads."""
    made = make_world(tmp_path)
    system, slack, people = FakeSystem(), FakeMessenger(), FakePeople()
    delivery = Dispatcher(made.world, FakeSystems(system), slack, people, UsageMeter(made.world))  # type: ignore[arg-type]
    made.forget_work()
    yield DeliveryHarness(made, system, slack, people, delivery)
    system.free()
    made.world.db.close()
