"""A start that some systems did, or may have done: its end stands from the first of them, and
applies to all."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bot.core.effects import Queue
from bot.core.errors import NotCalled, OutcomeUnknown, SystemUnavailable
from bot.core.model import Grant, GrantState, ProvisionOrder
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.release_grant import release_grant
from bot.operations.process.next_due import next_due
from bot.operations.usage.count_usage import UsageMeter
from bot.worker.dispatcher import Dispatcher
from storage.database import Database
from tests.factories import ANA, START, Made, make_world
from tests.fakes import FakeMessenger, FakePeople, FakeSystem, SeveralSystems

BOTH = (
    'systems = ["shop-admin", "reports"]\nactions = ["a"]\nrequesters = ["everyone"]\napprovers ='
    ' ["@db-leads"]'
)
DURATION = 60


@dataclass
class Half:
    """A grant that is starting, its systems, and the harness that does the work."""

    made: Made
    systems: SeveralSystems
    slack: FakeMessenger
    delivery: Dispatcher
    grant: Grant

    def work(self, queue: Queue = Queue.START) -> None:
        self.delivery.drain(queue)

    def later(self, seconds: int) -> None:
        """Time passes, and all due work is done, ends first."""
        self.made.clock.at += seconds
        expire_due(self.made.world)
        self.work(Queue.END)
        self.work(Queue.START)
        self.work(Queue.END)

    def now(self) -> Grant:
        return self.made.grant(self.grant.id)

    def held(self) -> set[str]:
        return {name for name, system in self.systems.known.items() if self.grant.id in system.held}


def half(tmp_path: Path, database: Database, role: str) -> Half:
    made = make_world(tmp_path, db=database)
    made.set_policy(both=BOTH)
    systems, slack, world = SeveralSystems(), FakeMessenger(), made.world
    delivery = Dispatcher(world, systems, slack, FakePeople(), UsageMeter(world))  # type: ignore[arg-type]
    return Half(
        made, systems, slack, delivery, made.a_started(made.a_request(role, duration=DURATION))
    )


@pytest.fixture
def both(tmp_path: Path, database: Database) -> Half:
    return half(tmp_path, database, "both")


@pytest.fixture
def one(tmp_path: Path, database: Database) -> Half:
    return half(tmp_path, database, "shop-admin")


def mute(system: FakeSystem, error: Exception) -> None:
    """It acts, and gives no answer."""

    def grant(order: ProvisionOrder) -> None:
        system.held.add(order.grant)
        raise error

    system.grant = grant  # type: ignore[method-assign]


class TestOneOfTwo:
    def test_a_half_start_has_its_record_and_end_while_the_other_system_is_retried(
        self, both: Half
    ) -> None:
        both.systems.known["shop-admin"].failing["grant"] = SystemUnavailable("try again")
        both.work()
        assert both.held() == {"reports"}
        assert both.made.log("grant:access:started", "system") == [("reports",)]
        assert (both.now().state, both.now().started_at, both.now().ends_at) == (
            "starting",
            START,
            START + DURATION,
        )
        assert next_due(both.made.world) == START + DURATION
        for _ in range(5):
            both.later(5)
            assert both.now().ends_at == START + DURATION
        assert both.made.events("grant:access:started") == 1

    def test_a_half_start_is_removed_everywhere_at_its_end(self, both: Half) -> None:
        both.systems.known["shop-admin"].failing["grant"] = SystemUnavailable("try again")
        both.work()
        both.later(DURATION)
        assert (both.held(), both.now().state, both.now().end_reason) == (set(), "ended", "expired")
        assert both.made.verdict().broken is None

    def test_the_other_system_gets_the_access_for_the_time_left(self, both: Half) -> None:
        both.systems.known["shop-admin"].failing["grant"] = SystemUnavailable("try again")
        both.work()
        both.systems.known["shop-admin"].failing.clear()
        both.later(30)
        assert (both.held(), both.now().state) == ({"shop-admin", "reports"}, "active")
        assert (both.now().started_at, both.now().ends_at) == (START, START + DURATION)
        assert sorted(both.made.log("grant:access:started", "system")) == [
            ("reports",),
            ("shop-admin",),
        ]
        assert both.made.verdict().broken is None

    def test_a_crash_after_the_first_system_does_not_move_the_end(self, both: Half) -> None:
        class Killed(BaseException):
            pass

        def kill(order: ProvisionOrder) -> None:
            raise Killed

        both.systems.known["shop-admin"].grant = kill  # type: ignore[method-assign]
        with pytest.raises(Killed):
            both.work()
        del both.systems.known["shop-admin"].grant
        both.later(DURATION - 1)
        assert both.now().ends_at == START + DURATION
        both.later(1)
        both.later(30)
        assert (both.held(), both.now().state) == (set(), "ended")

    def test_a_half_start_that_is_given_back_is_removed(self, both: Half) -> None:
        both.systems.known["shop-admin"].failing["grant"] = SystemUnavailable("try again")
        both.work()
        release_grant(both.made.world, both.grant.id, ANA)
        both.later(0)
        assert (both.held(), both.now().state) == (set(), "ended")


UNSURE = {
    "no answer": OutcomeUnknown("it gave no whole answer"),
    "try again, and it has it": SystemUnavailable("answered 503"),
}


@pytest.mark.parametrize("error", UNSURE.values(), ids=UNSURE)
class TestMaybe:
    def test_access_that_may_exist_ends_on_time(self, one: Half, error: Exception) -> None:
        mute(one.systems.known["shop-admin"], error)
        one.work()
        ((detail,),) = one.made.log("grant:start:unsure", "detail")
        assert json.loads(detail)["ends_at"] == START + DURATION
        for _ in range(3):
            one.later(15)
            assert (one.now().ends_at, one.now().state) == (START + DURATION, "starting")
        one.later(15)
        assert (one.held(), one.now().state, one.made.events("grant:access:ended")) == (
            set(),
            "ended",
            1,
        )
        assert one.made.events("grant:start:unsure") == 1
        assert one.made.verdict().broken is None

    def test_an_unconfirmed_end_is_retried_indefinitely(self, one: Half, error: Exception) -> None:
        mute(one.systems.known["shop-admin"], error)
        one.systems.known["shop-admin"].failing["revoke"] = SystemUnavailable("down")
        one.work()
        for _ in range(20):
            one.later(60)
        assert (one.now().state, one.made.events("grant:end:failed")) == ("ending", 1)
        one.systems.known["shop-admin"].failing.clear()
        one.later(3600)
        assert (one.held(), one.now().state) == (set(), "ended")


def test_a_system_that_fails_at_the_read_back_may_have_the_access(one: Half) -> None:
    """The read-back was not sent, which says nothing about the call before it."""
    system = one.systems.known["shop-admin"]

    def read_back(order: ProvisionOrder) -> bool:
        raise NotCalled("can't be reached")

    system.read_back = read_back  # type: ignore[method-assign]
    one.work()
    one.later(15)
    assert (one.now().ends_at, one.made.events("grant:start:unsure")) == (START + DURATION, 1)
    del system.read_back  # type: ignore[method-assign]
    one.later(DURATION)
    assert (one.held(), one.now().state) == (set(), "ended")


SURE = {
    "not called": NotCalled("can't be reached"),
    "try again, and it does not have it": SystemUnavailable("answered 503"),
}


@pytest.mark.parametrize("error", SURE.values(), ids=SURE)
def test_a_try_without_effect_does_not_start_the_time(one: Half, error: Exception) -> None:
    one.systems.known["shop-admin"].failing["grant"] = error
    one.work()
    one.later(DURATION + 10)
    assert one.now().state is GrantState.STARTING
    one.systems.known["shop-admin"].failing.clear()
    one.later(60)
    assert (one.now().state, one.now().ends_at) == ("active", one.made.clock.at + DURATION)
    assert one.made.events("grant:start:unsure") == 0


def test_a_try_that_was_killed_before_its_record_ends_at_its_first_possible_end(one: Half) -> None:
    """As after kill -9 between the call and the record: the next process finds an expired claim."""
    system = one.systems.known["shop-admin"]

    class Killed(BaseException):
        pass

    def kill(order: ProvisionOrder) -> None:
        system.held.add(order.grant)
        raise Killed

    system.grant = kill  # type: ignore[method-assign]
    with pytest.raises(Killed):
        one.work()
    del system.grant
    assert one.held() == {"shop-admin"}
    one.later(DURATION)
    one.later(30)
    assert (one.held(), one.now().state) == (set(), "ended")


def test_a_role_change_between_two_tries_removes_the_access(both: Half) -> None:
    both.systems.known["shop-admin"].failing["grant"] = SystemUnavailable("try again")
    both.work()
    assert both.held() == {"reports"}
    both.made.policies.append(replace(both.made.world.policy(), roles={}, digest="another"))
    both.later(10)
    both.later(10)
    assert (both.held(), both.now().state, both.now().end_reason) == (set(), "ended", "revoked")
