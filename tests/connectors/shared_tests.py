"""What every connector keeps whose access is one thing for a person, whatever the system: inherit
`SharedContract` beside `Contract`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.app import build_systems
from bot.connectors.base import Connector, ConnectorDeps, Lists
from bot.connectors.membership import SharedMembership
from bot.connectors.transport import rest
from bot.core.drift import What
from bot.core.effects import Queue
from bot.core.errors import OutcomeUnknown, SystemRefused, SystemUnavailable
from bot.core.model import ProvisionOrder
from bot.operations.grants.record_results import order_for
from bot.operations.systems.reconcile import reconcile
from bot.worker.dispatcher import Dispatcher
from bot.worker.inventory import InventoryScan
from tests.connectors.contract import Rig
from tests.connectors.standins.server import BUSY, HANG, LOST, StandIn
from tests.factories import CARA, Made


class SharedContract:
    """`rig` of the contract; `had` gives the first of its actions to the holder of an order, as if
    by hand; `changes` is a part of what the stand-in is asked when somebody is given or loses
    something."""

    def had(self, order: ProvisionOrder) -> None:
        raise LookupError("a connector's tests say how somebody had it before")

    def test_what_the_person_had_before_is_refused_and_not_taken_away(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        asked = order()
        less = replace(asked, actions=asked.actions[:1])
        self.had(asked)
        with pytest.raises(SystemRefused, match="already, and not by a grant"):
            it.grant(asked)
        it.revoke(asked)
        assert not it.read_back(asked)
        assert rig.works(it, less)

    def test_the_end_of_one_grant_takes_only_what_no_other_needs(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        both, first, second = order(), rig.actions[:1], rig.actions[1:]
        other = replace(both, grant="g-other", actions=tuple(first))
        it.grant(both)
        it.grant(other)
        it.revoke(replace(both, kept=tuple(first)))
        assert not it.read_back(both)
        assert rig.works(it, other) and not rig.works(it, replace(both, actions=tuple(second)))
        it.revoke(other)
        assert not rig.works(it, other) and not it.read_back(other)

    def test_of_two_ends_at_once_none_leaves_it_to_the_other(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        one = order()
        other = replace(one, grant="g-other")
        it.grant(one)
        it.grant(other)
        it.revoke(one)
        it.revoke(other)
        assert not rig.works(it, one) and not it.read_back(one) and not it.read_back(other)

    def test_what_two_grants_gave_is_listed_for_both_and_stays_when_one_is_cleared_up(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        assert isinstance(it, Lists)
        one = order()
        other = replace(one, grant="g-other")
        it.grant(one)
        it.grant(other)
        found = {each.grant: each for each in it.list_active()}
        assert set(found) == {one.grant, "g-other"}
        assert all(action in found["g-other"].detail for action in rig.actions)
        it.remove(found["g-other"])
        assert rig.works(it, one) and [each.grant for each in it.list_active()] == [one.grant]

    def test_what_somebody_took_away_by_hand_is_not_listed_any_more(
        self, it: Connector, order: Callable[..., ProvisionOrder], tools: ConnectorDeps
    ) -> None:
        assert isinstance(it, Lists)
        asked = order()
        it.grant(asked)
        memberships = tools.memberships.of_grant("it", asked.grant)
        it.revoke(asked)
        for membership in memberships:
            tools.memberships.note(membership)
        assert list(it.list_active()) == [] and not it.read_back(asked)

    def test_what_is_there_in_part_only_is_found_told_and_ended(
        self, it: Connector, rig: Rig, made: Made, delivery: Dispatcher, tools: ConnectorDeps
    ) -> None:
        assert isinstance(it, SharedMembership)
        grant = made.a_started(made.a_request("it"))
        delivery.drain(Queue.START)
        first, *_ = tools.memberships.of_grant("it", grant.id)
        # As no order takes away only a part.
        it._members.take(first.account, first.thing)  # noqa: SLF001
        survey = InventoryScan(made.world, build_systems(made.world))
        for _ in range(2):
            (found,) = reconcile(made.world, survey.look(), "os:lea")
            assert (found.what, found.grant) == (What.MISSING, grant.id)
            assert found.detail == f"missing: {first.action}"
        assert made.events("grant:access:missing") == 1
        order = order_for(made.world, grant.id, "it")
        assert order is not None and it.read_back(order)
        it.revoke(order)
        assert not it.read_back(order) and not list(it.list_active())


def _lost(call: str) -> str | None:
    return LOST if call.split()[0] in ("PUT", "POST") else None


class RestContract:
    """How every REST connector takes an answer that is none. `server` is its stand-in."""

    @pytest.fixture
    def server(self) -> StandIn:
        raise LookupError("a connector's tests bring their stand-in")

    def test_too_many_calls_are_waited_for_as_long_as_it_says(
        self, it: Connector, server: StandIn, order: Callable[..., ProvisionOrder]
    ) -> None:
        with server.failing(lambda number: BUSY), pytest.raises(SystemUnavailable) as refused:
            it.grant(order())
        assert refused.value.retry_after in (7, 8)

    def test_a_hanging_system_ends_in_time_and_nobody_knows_the_outcome(
        self,
        it: Connector,
        server: StandIn,
        order: Callable[..., ProvisionOrder],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(rest, "TIMEOUT", 0.2)
        with (
            server.failing(lambda number: HANG),
            pytest.raises(OutcomeUnknown, match="the time was over"),
        ):
            it.grant(order())

    def test_a_lost_answer_is_no_answer_and_the_next_try_finds_it_done(
        self, it: Connector, rig: Rig, server: StandIn, order: Callable[..., ProvisionOrder]
    ) -> None:
        asked = order()
        with server.failing(lambda _: _lost(server.seen[-1])), pytest.raises(OutcomeUnknown):
            it.grant(asked)
        it.grant(asked)
        assert rig.works(it, asked)

    def test_credentials_that_are_not_accepted_are_said_and_nothing_of_them_is_shown(
        self, made: Made, rig: Rig, order: Callable[..., ProvisionOrder], wrong_token: Connector
    ) -> None:
        asked = order(CARA)
        for call in (wrong_token.grant, wrong_token.revoke, wrong_token.read_back):
            with pytest.raises(SystemRefused, match="token_not_accepted") as refused:
                call(asked)
            assert "not-the-token" not in str(refused.value)
