"""Two hosts have different files for a while, or permanently: the one that was loaded last decides,
on every host."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from bot.core.approval import Refused
from bot.core.effects import Queue
from bot.core.eligibility import Ask
from bot.core.errors import Outdated
from bot.core.model import Grant, GrantState
from bot.operations._judge_start import judge_scheduled
from bot.operations._unit_of_work import OUTDATED, Context, unit
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.grants.start_due import start_due
from bot.operations.people.record_people import record_groups
from bot.operations.policy.record_policy import is_outdated, record_loaded
from bot.operations.process.count_state import count_state
from bot.operations.requests.accept_vote import Press, Taken, submit_vote
from bot.operations.requests.approve_request import approve_request
from bot.operations.requests.check_decision import check_decision
from bot.operations.requests.deny_request import deny_request
from bot.operations.requests.request_access import Waiting, request_access
from bot.operations.usage.count_usage import UsageMeter
from bot.worker.dispatcher import Dispatcher
from bot.worker.lookups import PRESS_PATIENCE
from bot.worker.provisioning import START_PATIENCE
from bot.worker.roles_watch import UNREPORTED, RolesWatch
from tests.builders import a_policy
from tests.delivery_harness import DeliveryHarness
from tests.factories import ANA, BEN, CARA, START, Made, a_person
from tests.fakes import FakeSystems

HOUR = 3600
OLDER = a_policy(shop_admin='max_duration = "10m"')
NEWER = a_policy()
ELSEWHERE = a_policy(shop_admin='actions = ["orders:*"]')
"""Files whose role refuses the request below, accepts it, or gives something else."""


@dataclass
class Two:
    """One database, a host with the newer file, on which the tests request and approve, and one
    with the older."""

    made: Made
    older: Context

    def asked(self) -> object:
        return request_access(self.older, Ask(ANA, "shop-admin", "because", 600))


@pytest.fixture
def two(made: Made) -> Two:
    older = replace(made.world, policy=lambda: OLDER)
    record_loaded(older, OLDER)
    record_loaded(made.world, NEWER)
    return Two(made, older)


def _scheduled(made: Made) -> Grant:
    return made.a_started(made.a_request(start_at=START + 2 * HOUR))


def test_an_older_file_ends_no_scheduled_access(two: Two) -> None:
    grant = _scheduled(two.made)
    with unit(two.older) as u:
        judge_scheduled(u)
    assert two.made.state("grants", grant.id) == "scheduled"


def test_changes_of_groups_are_left_to_a_process_with_the_newer_file(
    two: Two,
) -> None:
    older = replace(two.older, policy=lambda: replace(OLDER, roles={}, digest="another"))
    groups = [("S0DB-LEADS", "db-leads", [BEN, CARA])]
    two.made.clock.at += 60
    record_groups(older, groups, two.made.clock.at)
    assert two.made.events("policy:group:changed") == 0
    record_groups(two.made.world, groups, two.made.clock.at)
    assert two.made.events("policy:group:changed") >= 1


def test_an_older_file_starts_no_due_grant_and_does_not_end_it(two: Two) -> None:
    grant = _scheduled(two.made)
    two.made.clock.at = grant.starts_at
    start_due(two.older)
    with pytest.raises(Outdated):
        begin_attempt(two.older, grant.id)
    assert two.made.state("grants", grant.id) == "starting"
    assert begin_attempt(two.made.world, grant.id) != []


DECISIONS: dict[str, Callable[[Context, str], object]] = {
    "approve": lambda world, request: approve_request(world, request, a_person(BEN)),
    "deny": lambda world, request: deny_request(world, request, a_person(BEN), "no"),
}


@pytest.mark.parametrize("decide", DECISIONS.values(), ids=DECISIONS)
def test_an_older_file_decides_nothing(two: Two, decide: Callable[[Context, str], object]) -> None:
    request = two.made.a_request()
    assert decide(two.older, request.id) is OUTDATED
    assert two.made.state("requests", request.id) == "pending"
    assert check_decision(two.older, request.id, BEN, "deny") is None
    assert not isinstance(decide(two.made.world, request.id), Refused)


def test_a_press_by_an_approver_of_the_newer_file_is_accepted(two: Two) -> None:
    older = a_policy(shop_admin='approvers = ["@platform-leads"]')
    request = two.made.a_request()
    press = Press(request.id, a_person(BEN), True, channel="C1", ts="1")
    assert isinstance(submit_vote(replace(two.older, policy=lambda: older), press), Taken)


def test_a_request_and_a_renewal_wait_for_a_process_with_the_newer_file(two: Two) -> None:
    assert two.asked() == Waiting("shop-admin")
    grant = two.made.a_grant()
    outcome = renew_grant(two.older, grant.id, ANA, duration=600)
    assert outcome == Waiting(grant.role)
    assert two.made.work().count("ask") == 2


def test_a_role_that_only_the_newer_file_has_is_not_called_unknown(two: Two) -> None:
    older = replace(two.older, policy=lambda: replace(OLDER, roles={}, digest="another"))
    assert request_access(older, Ask(ANA, "shop-admin", "because", 600)) is OUTDATED


def test_the_file_that_was_loaded_last_decides_even_by_a_restart(two: Two) -> None:
    assert (is_outdated(two.older), is_outdated(two.made.world)) == (True, False)
    record_loaded(two.older, OLDER)
    assert (is_outdated(two.older), is_outdated(two.made.world)) == (False, True)


def test_the_same_file_with_other_addresses_in_the_environment_is_another(two: Two) -> None:
    system = replace(NEWER.systems["shop-admin"], reach="elsewhere")
    other = replace(NEWER, systems={**NEWER.systems, "shop-admin": system})
    assert is_outdated(replace(two.made.world, policy=lambda: other))


def test_before_any_file_was_recorded_and_without_one_nothing_is_outdated(made: Made) -> None:
    assert not is_outdated(made.world)
    record_loaded(made.world, NEWER)
    assert not is_outdated(replace(made.world, policy=lambda: replace(NEWER, digest="")))


class TestTwoWorkers:
    def _older(self, harness: DeliveryHarness, policy: object = ELSEWHERE) -> Dispatcher:
        world = self._older_world(harness, policy)
        record_loaded(world, ELSEWHERE)
        record_loaded(harness.made.world, NEWER)
        meter = UsageMeter(world)
        return Dispatcher(world, FakeSystems(harness.system), harness.slack, harness.people, meter)  # type: ignore[arg-type]

    def _older_world(self, harness: DeliveryHarness, policy: object = ELSEWHERE) -> Context:
        return replace(harness.made.world, policy=lambda: policy)  # type: ignore[arg-type,return-value]

    def test_a_start_is_left_silently_to_the_other_process(self, harness: DeliveryHarness) -> None:
        older = self._older(harness)
        grant = harness.starting()
        older.drain(Queue.START)
        assert (harness.state(grant), harness.system.calls) == (GrantState.STARTING, [])
        harness.made.clock.at += 1
        harness.delivery.drain(Queue.START)
        harness.delivery.drain(Queue.SLACK)
        assert harness.state(grant) is GrantState.ACTIVE
        assert harness.slack.notes(ANA) == ["active"]

    def test_a_start_that_no_other_worker_takes_fails_and_is_reported(
        self, harness: DeliveryHarness
    ) -> None:
        older = self._older(harness)
        grant = harness.starting()
        harness.made.clock.at += START_PATIENCE
        older.drain(Queue.START)
        assert (harness.state(grant), harness.system.calls) == (GrantState.FAILED, [])

    def test_a_vote_that_no_other_worker_takes_decides_nothing_and_says_why(
        self, harness: DeliveryHarness
    ) -> None:
        older = self._older(harness)
        request = harness.made.a_request()
        harness.made.forget_work()
        press = Press(request.id, a_person(BEN), True, channel="C1", ts="1")
        assert isinstance(submit_vote(harness.made.world, press), Taken)
        older.drain(Queue.DECIDE)
        assert (
            harness.waiting(Queue.DECIDE)[0][0],
            harness.made.state("requests", request.id),
        ) == (
            "decide",
            "pending",
        )
        harness.made.clock.at += PRESS_PATIENCE
        older.drain(Queue.DECIDE)
        ((data,),) = harness.made.rows("SELECT data FROM outbox WHERE kind = 'answer'")
        assert "not the one that was loaded last, so nothing was decided" in json.loads(data)["why"]

    def test_a_request_waits_for_the_other(self, harness: DeliveryHarness) -> None:
        older, world = self._older(harness), self._older_world(harness)
        harness.made.a_request()
        assert request_access(world, Ask(CARA, "shop-admin", "because", 600)) == Waiting(
            "shop-admin"
        )
        older.drain(Queue.DECIDE)
        assert harness.made.count("requests") == 1
        harness.made.clock.at += 1
        harness.delivery.drain(Queue.DECIDE)
        assert harness.made.count("requests") == 2


def test_files_that_differ_for_a_minute_are_reported_once(
    two: Two, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    two.made.forget_work()
    watches = [RolesWatch(two.older, two.made.clock) for _ in range(2)]
    for _ in range(3):
        for watch in watches:
            watch.check()
        two.made.clock.at += UNREPORTED - 1
    assert [json.loads(data)["note"] for (data,) in two.made.rows("SELECT data FROM outbox")] == [
        "policy_outdated"
    ]
    assert "nothing is decided or started here" in caplog.text
    assert count_state(two.older).outdated and not count_state(two.made.world).outdated
    record_loaded(two.older, OLDER)
    watches[0].check()
    assert "in force again" in caplog.text
