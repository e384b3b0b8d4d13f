"""A start that some systems did, or may have done: its end stands from the first of them, and holds
for all."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
    """A grant that is starting, the systems that it is for, and whoever does the work."""

    made: Made
    systems: SeveralSystems
    slack: FakeMessenger
    delivery: Dispatcher
    grant: Grant

    def work(self, queue: Queue = Queue.START) -> None:
        self.delivery.drain(queue)

    def later(self, seconds: int) -> None:
        """Time passes, and all that is due is done, ends first."""
        self.made.clock.at += seconds
        expire_due(self.made.world)
        self.work(Queue.END)
        self.work(Queue.START)
        self.work(Queue.END)

    def now(self) -> Grant:
        return self.made.grant(self.grant.id)

    def held(self) -> set[str]:
        return {name for name, system in self.systems.known.items() if self.grant.id in system.held}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'access.db'}"
    db = Database(request.getfixturevalue("postgres_url") if request.param == "postgresql" else url)
    yield db
    db.close()


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
    """It does what it is told, and can't say so."""

    def grant(order: ProvisionOrder) -> None:
        system.held.add(order.grant)
        raise error

    system.grant = grant  # type: ignore[method-assign]


class TestOneOfTwo:
    def test_its_record_and_its_end_are_there_while_the_other_is_tried(self, both: Half) -> None:
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

    def test_at_that_end_it_is_taken_back_everywhere(self, both: Half) -> None:
        both.systems.known["shop-admin"].failing["grant"] = SystemUnavailable("try again")
        both.work()
        both.later(DURATION)
        assert (both.held(), both.now().state, both.now().end_reason) == (set(), "ended", "expired")
        assert both.made.verdict().broken is None

    def test_the_other_gets_it_for_what_is_left(self, both: Half) -> None:
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

    def test_a_crash_after_the_first_moves_no_end(self, both: Half) -> None:
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

    def test_given_back_while_the_other_is_tried_it_is_gone(self, both: Half) -> None:
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
    def test_what_may_be_there_ends_in_its_time(self, one: Half, error: Exception) -> None:
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

    def test_an_end_that_is_not_confirmed_is_tried_for_ever(
        self, one: Half, error: Exception
    ) -> None:
        mute(one.systems.known["shop-admin"], error)
        one.systems.known["shop-admin"].failing["revoke"] = SystemUnavailable("down")
        one.work()
        for _ in range(20):
            one.later(60)
        assert (one.now().state, one.made.events("grant:end:failed")) == ("ending", 1)
        one.systems.known["shop-admin"].failing.clear()
        one.later(3600)
        assert (one.held(), one.now().state) == (set(), "ended")


def test_a_system_that_made_it_and_is_gone_when_it_is_read_back_may_have_it(one: Half) -> None:
    """The read-back sent nothing, which says nothing of the call before it."""
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
def test_what_surely_made_nothing_leaves_the_whole_time(one: Half, error: Exception) -> None:
    one.systems.known["shop-admin"].failing["grant"] = error
    one.work()
    one.later(DURATION + 10)
    assert one.now().state is GrantState.STARTING
    one.systems.known["shop-admin"].failing.clear()
    one.later(60)
    assert (one.now().state, one.now().ends_at) == ("active", one.made.clock.at + DURATION)
    assert one.made.events("grant:start:unsure") == 0


def test_a_try_that_was_cut_off_before_its_record_ends_at_its_first_possible_end(one: Half) -> None:
    """As by kill -9 between the call and the record: the next process finds the claim run out."""
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


def test_a_role_that_changes_between_two_tries_takes_back_what_was_made(both: Half) -> None:
    both.systems.known["shop-admin"].failing["grant"] = SystemUnavailable("try again")
    both.work()
    assert both.held() == {"reports"}
    both.made.policies.append(replace(both.made.world.policy(), roles={}, digest="another"))
    both.later(10)
    both.later(10)
    assert (both.held(), both.now().state, both.now().end_reason) == (set(), "ended", "revoked")
