"""The contract of every connector, run on the real system: inherit `Contract`, and give it a `rig`.
It knows no connector. A rig can break its system, and can really log in."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bot.app import build_revocations, build_systems, build_tools
from bot.config.roles.parse import parse_policy
from bot.connectors import KINDS
from bot.connectors.base import Connector, ConnectorDeps, Extends, Lists, Located, ObservedAccess
from bot.connectors.health import UNKNOWN, Health
from bot.core.effects import Queue
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.model import EndReason, Grant, GrantState, ProvisionOrder
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.record_results import record_ended
from bot.operations.grants.release_grant import release_grant
from bot.operations.process.find_unwritten import find_unwritten
from bot.operations.systems.confirm_target import confirm_target
from bot.operations.usage.count_usage import UsageMeter
from bot.worker.dispatcher import Dispatcher
from tests.builders import WORKSPACE
from tests.factories import ANA, CARA, Made, a_person, make_world
from tests.fakes import FakeMessenger, FakePeople
from tests.locks import held
from tests.waiting import until

HOUR = 3600
STEPS = 100
"""More calls than any connector makes for one grant or end; each can break before or after it
arrives."""


@dataclass
class Rig:
    """A real system to test a connector on. `settings` is the content of its `[systems.it]`.
    `works` really logs in as the holder, with the credentials that the connector shows, and returns
    whether that succeeded. `down` is a context in which the system can't be reached. `breaking(n)`
    is a context in which the n-th call of the connector (from 1) and all later ones fail, before or
    after the system did its part; None if everything is one call."""

    settings: str
    actions: Sequence[str]
    works: Callable[[Connector, ProvisionOrder], bool]
    down: Callable[[], AbstractContextManager[None]]
    breaking: Callable[[int], AbstractContextManager[None]] | None = None
    more: str = ""
    """Further tables of roles.toml, like `[people]`."""
    unfit: Sequence[Callable[[ProvisionOrder], ProvisionOrder]] = ()
    """Each turns an order into one that can't be carried out, for a reason about the person."""

    @property
    def roles_toml(self) -> str:
        quoted = [f"'{action}'" for action in self.actions]
        actions, first = ", ".join(quoted), "".join(quoted[:1])
        return (
            f"{WORKSPACE}\n[systems.it]\n{self.settings}\n{self.more}\n[roles.it]\nsystem = 'it'\n"
            f"actions = [{actions}]\nrequesters = ['everyone']\napprovers = ['@db-leads']\n"
            f"[roles.also]\nsystem = 'it'\nactions = [{first}]\nrequesters = ['everyone']\n"
            "approvers = ['@db-leads']\n"
        )


@contextmanager
def well() -> Iterator[None]:
    yield


def it_fails() -> pytest.RaisesExc[SystemUnavailable | SystemRefused]:
    return pytest.raises((SystemUnavailable, SystemRefused))


def without_email(order: ProvisionOrder) -> ProvisionOrder:
    return replace(order, person=a_person(order.person.id, ""), names={})


def unknown_there(order: ProvisionOrder) -> ProvisionOrder:
    return replace(order, person=a_person(order.person.id, "nobody@example.com"), names={})


class Contract:
    """Override `rig`; every test gets a fresh one, or one that it may share with the others."""

    @pytest.fixture
    def rig(self) -> Rig:
        raise LookupError("a connector's tests bring their own rig")

    @pytest.fixture
    def made(self, rig: Rig, tmp_path: Path) -> Iterator[Made]:
        """A `Made` with the machine's clock at first, because the system uses that; it can be
        moved."""
        made = make_world(tmp_path, policy=parse_policy(rig.roles_toml, "roles.toml", {}, KINDS))
        made.clock.at = int(time.time())
        with closing(made.world.db):
            yield made

    @pytest.fixture
    def tools(self, made: Made) -> ConnectorDeps:
        return build_tools(made.world)

    @pytest.fixture
    def it(self, made: Made) -> Connector:
        return build_systems(made.world).of("it", made.world.policy().systems["it"].connector)

    @pytest.fixture
    def order(self, made: Made, rig: Rig) -> Callable[..., ProvisionOrder]:
        """An order for a grant that exists and is starting: gateway access needs its row."""

        def ordered(person: str = ANA, seconds: int = HOUR) -> ProvisionOrder:
            grant = made.a_started(made.a_request("it", person, seconds))
            kind = made.world.policy().systems["it"].connector
            names = {kind: person.lower()} if rig.more else {}
            who = a_person(person)
            return ProvisionOrder(
                grant.id,
                "it",
                kind,
                who,
                "it",
                tuple(rig.actions),
                grant.starts_at,
                grant.ends_at,
                names,
            )

        return ordered

    # --- one access

    def test_access_that_was_made_is_there_and_works(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        asked = order()
        assert not it.read_back(asked)
        it.grant(asked)
        assert it.read_back(asked)
        assert rig.works(it, asked)

    def test_access_that_was_ended_is_gone_and_no_longer_works(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        asked = order()
        it.grant(asked)
        assert rig.works(it, asked)
        it.revoke(asked)
        assert not it.read_back(asked)
        assert not rig.works(it, asked)

    def test_each_call_may_be_repeated(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        asked = order()
        for _ in range(2):
            it.grant(asked)
        assert it.read_back(asked) and rig.works(it, asked)
        for _ in range(2):
            it.revoke(asked)
        assert not it.read_back(asked)

    def test_an_end_before_any_start_is_fine(
        self, it: Connector, order: Callable[..., ProvisionOrder]
    ) -> None:
        asked = order()
        it.revoke(asked)
        assert not it.read_back(asked)

    def test_a_renewal_keeps_the_access(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        asked = order()
        it.grant(asked)
        later = replace(asked, ends_at=asked.ends_at + HOUR)
        it.extend(later) if isinstance(it, Extends) else it.grant(later)
        assert it.read_back(later)
        assert rig.works(it, later)

    # --- more than one

    def test_the_access_of_two_people_is_separate(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        hers, other = order(), order(CARA)
        it.grant(hers)
        it.grant(other)
        it.revoke(hers)
        assert not it.read_back(hers)
        assert it.read_back(other) and rig.works(it, other)

    def test_the_end_of_one_grant_leaves_the_other_grant_of_the_person(
        self, rig: Rig, it: Connector, made: Made, delivery: Dispatcher
    ) -> None:
        first, second = active(made, delivery), active(made, delivery, "also")
        less = replace(order_of(made, second, rig), role="also", actions=tuple(rig.actions[:1]))
        release_grant(made.world, first.id, first.person)
        assert _turned(made, delivery, first) is GrantState.ENDED
        assert it.read_back(less) and rig.works(it, less)
        release_grant(made.world, second.id, second.person)
        assert _turned(made, delivery, second) is GrantState.ENDED
        assert not it.read_back(less) and not rig.works(it, less)

    # --- trouble

    def test_an_unreachable_system_gives_no_answer(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        asked = order()
        with rig.down():
            for call in (it.grant, it.revoke, it.read_back):
                with it_fails():
                    call(asked)
        it.grant(asked)
        assert it.read_back(asked)

    def test_a_reason_about_the_person_goes_to_them_and_not_to_the_system_s_health(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        if not rig.unfit:
            pytest.skip("this system refuses nobody")
        asked, health = order(), Health(lambda: 0)
        for turned in rig.unfit:
            with it_fails() as no, health.watching("it"):
                it.grant(turned(asked))
            assert no.value.to_person.endswith(".") and no.value.to_person[0].isupper(), no.value
        assert health.describe(["it"]) == {"it": UNKNOWN}

    def test_an_outage_is_not_reported_to_the_person_as_their_own_fault(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        with rig.down(), it_fails() as no:
            it.grant(order())
        assert no.value.to_person == ""

    def test_a_start_that_broke_anywhere_can_be_repeated(
        self, it: Connector, rig: Rig, made: Made, order: Callable[..., ProvisionOrder]
    ) -> None:
        for step, breaking in _steps(rig):
            asked = order((ANA, CARA)[step % 2])
            broke = _broken(it.grant, asked, breaking)
            if broke:
                it.grant(asked)
            assert it.read_back(asked) and rig.works(it, asked), step
            it.revoke(asked)
            assert not it.read_back(asked), step
            _forget(made, asked)
            if not broke:
                break

    def test_an_end_that_broke_anywhere_can_be_repeated(
        self, it: Connector, rig: Rig, made: Made, order: Callable[..., ProvisionOrder]
    ) -> None:
        for step, breaking in _steps(rig):
            asked = order((ANA, CARA)[step % 2])
            it.grant(asked)
            broke = _broken(it.revoke, asked, breaking)
            if broke:
                it.revoke(asked)
            assert not it.read_back(asked), step
            _forget(made, asked)
            if not broke:
                break

    def test_a_start_that_broke_half_way_is_removed_completely(
        self, it: Connector, rig: Rig, made: Made, order: Callable[..., ProvisionOrder]
    ) -> None:
        for step, breaking in _steps(rig):
            asked = order((ANA, CARA)[step % 2])
            broke = _broken(it.grant, asked, breaking)
            it.revoke(asked)
            assert not it.read_back(asked), step
            if isinstance(it, Lists):
                assert asked.grant not in {found.grant for found in it.list_active()}, step
            _forget(made, asked)
            if not broke:
                break

    # --- lists of access

    def test_access_that_was_made_is_listed_and_can_be_removed(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        if not isinstance(it, Lists):
            pytest.skip("this connector can't list what it made")
        asked, other = order(), order(CARA)
        it.grant(asked)
        it.grant(other)
        (found,) = [one for one in it.list_active() if _about(one, asked)]
        it.remove(found)
        assert not it.read_back(asked)
        assert it.read_back(other)
        assert not [one for one in it.list_active() if _about(one, asked)]

    # --- with the product around it

    @pytest.fixture
    def delivery(self, made: Made) -> Dispatcher:
        people = FakePeople()
        systems = build_systems(made.world)
        return Dispatcher(made.world, systems, FakeMessenger(), people, UsageMeter(made.world))  # type: ignore[arg-type]

    def test_it_starts_and_it_ends(
        self, rig: Rig, it: Connector, made: Made, delivery: Dispatcher
    ) -> None:
        grant = active(made, delivery)
        assert rig.works(it, order_of(made, grant, rig))
        release_grant(made.world, grant.id, grant.person)
        assert _turned(made, delivery, grant) is GrantState.ENDED
        assert not rig.works(it, order_of(made, grant, rig))

    def test_an_end_during_the_start_leaves_nothing(
        self, rig: Rig, it: Connector, made: Made, delivery: Dispatcher
    ) -> None:
        grant = made.a_started(made.a_request("it"))
        # The system was called, and the result is not recorded yet.
        it.grant(order_of(made, grant, rig))
        release_grant(made.world, grant.id, grant.person)
        assert _turned(made, delivery, grant) is GrantState.ENDED
        assert not it.read_back(order_of(made, grant, rig))

    def test_an_end_on_a_system_that_is_down_is_retried_until_it_is_back(
        self, rig: Rig, it: Connector, made: Made, delivery: Dispatcher
    ) -> None:
        grant = active(made, delivery)
        with rig.down():
            made.clock.at = grant.ends_at + 1
            expire_due(made.world)
            for _ in range(4):
                delivery.drain(Queue.END)
                made.clock.at += 900
            assert made.grant(grant.id).state is GrantState.ENDING
            assert made.events("grant:end:failed")
        assert _turned(made, delivery, grant) is GrantState.ENDED
        assert made.grant(grant.id).end_reason is EndReason.EXPIRED
        assert not it.read_back(order_of(made, grant, rig))

    def test_access_ends_while_nothing_can_be_written(
        self, rig: Rig, it: Connector, made: Made, delivery: Dispatcher
    ) -> None:
        grant, revocations = active(made, delivery), build_revocations(made.world, delivery.health)
        made.clock.at = grant.ends_at + 5
        with held(made.world.db, "grants"):
            revocations.begin(end.order for end in find_unwritten(made.world, 2, asked=False))
            ended_at = until(lambda: made.world.unwritten.at(grant.id, "it"))
            if not build_systems(made.world).in_our_rows(order_of(made, grant, rig).connector):
                assert not rig.works(it, order_of(made, grant, rig))
        expire_due(made.world)
        assert _turned(made, delivery, grant) is GrantState.ENDED
        assert made.grant(grant.id).ended_at == ended_at

    def test_an_end_at_another_address_does_not_count(
        self, rig: Rig, it: Connector, made: Made, delivery: Dispatcher
    ) -> None:
        if not isinstance(it, Located):
            pytest.skip("the settings of this connector don't say which system it is")
        grant = active(made, delivery)
        ((target,),) = made.rows("SELECT target FROM leases WHERE grant_id = ?", grant.id)
        assert target == it.target
        with made.world.db.transaction():
            made.world.db.run("UPDATE leases SET target = 'elsewhere'")
        release_grant(made.world, grant.id, grant.person)
        assert _turned(made, delivery, grant) is GrantState.ENDING
        assert rig.works(it, order_of(made, grant, rig))
        assert any(
            "leads elsewhere" in detail for (detail,) in made.log("grant:end:failed", "detail")
        )
        assert confirm_target(made.world, "os:lea", "it", it.target) == 1
        assert _turned(made, delivery, grant) is GrantState.ENDED
        assert not rig.works(it, order_of(made, grant, rig))

    @pytest.mark.parametrize("skew", [-60, 60])
    def test_a_clock_that_is_a_minute_wrong_prevents_neither_start_nor_end(
        self, rig: Rig, it: Connector, made: Made, delivery: Dispatcher, skew: int
    ) -> None:
        made.clock.at += skew
        grant = active(made, delivery)
        assert rig.works(it, order_of(made, grant, rig))
        made.clock.at = grant.ends_at
        expire_due(made.world)
        assert _turned(made, delivery, grant) is GrantState.ENDED
        assert not rig.works(it, order_of(made, grant, rig))


def _about(found: ObservedAccess, order: ProvisionOrder) -> bool:
    return order.grant in (found.grant, found.name) or order.grant in found.name


def _forget(made: Made, order: ProvisionOrder) -> None:
    """Records that this grant has ended, so that its holder may have another one."""
    release_grant(made.world, order.grant, order.person.id)
    record_ended(made.world, order.grant, order.system)


def _steps(rig: Rig) -> Iterator[tuple[int, AbstractContextManager[None]]]:
    """Yields each step at which a call may break. The test has to stop at the first step that
    breaks nothing."""
    if rig.breaking is None:
        pytest.skip("each call of this connector is one step: it happens whole or not at all")
    for step in range(1, STEPS):
        yield step, rig.breaking(step)
    pytest.fail(
        f"the connector still broke at step {STEPS - 1}: raise STEPS, or find out why it never ends"
    )


def _broken(
    call: Callable[[ProvisionOrder], None],
    order: ProvisionOrder,
    breaking: AbstractContextManager[None],
) -> bool:
    """Whether the call failed while something was broken."""
    with breaking:
        try:
            call(order)
        except (SystemUnavailable, SystemRefused):
            return True
    return False


def active(made: Made, delivery: Dispatcher, role: str = "it") -> Grant:
    grant = made.a_started(made.a_request(role))
    delivery.drain(Queue.START)
    grant = made.grant(grant.id)
    assert grant.state is GrantState.ACTIVE, made.rows(
        "SELECT error FROM outbox WHERE queue = 'start'"
    )
    return grant


def _turned(made: Made, delivery: Dispatcher, grant: Grant) -> GrantState:
    """The state of the grant after all due work was done, however often it had to be retried."""
    for _ in itertools.repeat(None, 20):
        delivery.drain(Queue.END)
        if made.grant(grant.id).state is GrantState.ENDED:
            break
        made.clock.at += 300
    return made.grant(grant.id).state


def order_of(made: Made, grant: Grant, rig: Rig) -> ProvisionOrder:
    kind = made.world.policy().systems["it"].connector
    who = a_person(grant.person)
    names = {kind: who.id.lower()} if rig.more else {}
    return ProvisionOrder(
        grant.id, "it", kind, who, "it", tuple(rig.actions), grant.starts_at, grant.ends_at, names
    )
