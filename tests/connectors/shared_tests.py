"""The contract of every connector with shared access, such as a group membership: inherit
`SharedContract` beside `Contract`."""

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
    """`rig` is that of the contract; `had` gives the first of its actions to the holder of an
    order, as if by hand; `changes` is a part of the stand-in's request that gives or removes
    membership."""

    def had(self, order: ProvisionOrder) -> None:
        raise LookupError("a connector's tests say how somebody had it before")

    def test_earlier_access_of_the_person_is_refused_and_not_removed(
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

    def test_the_end_of_one_grant_removes_only_what_no_other_needs(
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

    def test_two_ends_at_once_remove_the_access(
        self, it: Connector, rig: Rig, order: Callable[..., ProvisionOrder]
    ) -> None:
        one = order()
        other = replace(one, grant="g-other")
        it.grant(one)
        it.grant(other)
        it.revoke(one)
        it.revoke(other)
        assert not rig.works(it, one) and not it.read_back(one) and not it.read_back(other)

    def test_access_of_two_grants_is_listed_for_both_and_stays_when_one_ends(
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

    def test_access_that_was_removed_by_hand_is_no_longer_listed(
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

    def test_partial_access_is_found_reported_and_ended(
        self, it: Connector, rig: Rig, made: Made, delivery: Dispatcher, tools: ConnectorDeps
    ) -> None:
        assert isinstance(it, SharedMembership)
        grant = made.a_started(made.a_request("it"))
        delivery.drain(Queue.START)
        first, *_ = tools.memberships.of_grant("it", grant.id)
        # No order removes only a part.
        it._members.take(first.account, first.thing)  # noqa: SLF001
        inventory = InventoryScan(made.world, build_systems(made.world))
        for _ in range(2):
            (found,) = reconcile(made.world, inventory.scan(), "os:lea")
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
    """The behaviour of every REST connector after a bad answer. `server` is its stand-in."""

    @pytest.fixture
    def server(self) -> StandIn:
        raise LookupError("a connector's tests bring their stand-in")

    def test_after_too_many_calls_the_bot_waits_as_long_as_the_answer_says(
        self, it: Connector, server: StandIn, order: Callable[..., ProvisionOrder]
    ) -> None:
        with server.failing(lambda number: BUSY), pytest.raises(SystemUnavailable) as refused:
            it.grant(order())
        assert refused.value.retry_after in (7, 8)

    def test_a_call_of_a_hanging_system_stops_in_time_with_an_unknown_outcome(
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

    def test_a_lost_answer_is_an_unknown_outcome_and_the_next_try_finds_it_done(
        self, it: Connector, rig: Rig, server: StandIn, order: Callable[..., ProvisionOrder]
    ) -> None:
        asked = order()
        with server.failing(lambda _: _lost(server.seen[-1])), pytest.raises(OutcomeUnknown):
            it.grant(asked)
        it.grant(asked)
        assert rig.works(it, asked)

    def test_refused_credentials_are_reported_without_showing_them(
        self, made: Made, rig: Rig, order: Callable[..., ProvisionOrder], wrong_token: Connector
    ) -> None:
        asked = order(CARA)
        for call in (wrong_token.grant, wrong_token.revoke, wrong_token.read_back):
            with pytest.raises(SystemRefused, match="token_not_accepted") as refused:
                call(asked)
            assert "not-the-token" not in str(refused.value)
