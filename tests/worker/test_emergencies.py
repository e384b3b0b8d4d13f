"""An emergency while something else is broken: access starts anyway, and everybody is notified when
Slack is back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.core.effects import Queue
from bot.core.errors import StorageUnavailable, SystemUnavailable
from bot.core.model import GrantState
from bot.operations.emergencies.start_emergency import (
    Call,
    NeedsPress,
    Outcome,
    Started,
    start_emergency,
)
from storage.database import Database
from tests import locks
from tests.delivery_harness import DeliveryHarness
from tests.factories import BEN, CARA, LEA, Made, make_world

TABLE = 'max_duration = "4h"\n[roles.{}.emergency]\nmembers = ["@sre"]\nmax_duration = "1h"'
CALL = Call(CARA, "shop-admin", "the till is down")
SECURITY, APPROVALS = "#access-security", "#access-approvals"
TOLD = {SECURITY, APPROVALS, LEA, BEN, CARA}


def with_tables(made: Made) -> None:
    made.set_policy(shop_admin=TABLE.format("shop-admin"), shop_deploy=TABLE.format("shop-deploy"))
    made.forget_work()


@pytest.fixture
def work(harness: DeliveryHarness) -> DeliveryHarness:
    with_tables(harness.made)
    return harness


def recipients(work: DeliveryHarness) -> set[str]:
    """The channels and people to whom something was sent."""
    return {
        str(data.get("channel") or data.get("person"))
        for message in work.slack.sent
        for kind, data in message
        if kind in ("post_approval", "notify_person")
    }


def test_access_starts_before_anything_is_said(work: DeliveryHarness) -> None:
    outcome = start_emergency(work.made.world, CALL)
    assert isinstance(outcome, Started)
    work.delivery.drain(Queue.START)
    assert work.state(outcome.grant) is GrantState.ACTIVE and work.slack.sent == []
    work.turn(Queue.SLACK, 3)
    assert recipients(work) == TOLD


def test_while_slack_is_down_access_starts_and_all_are_notified_when_it_is_back(
    work: DeliveryHarness,
) -> None:
    down = SystemUnavailable("Slack does not answer")
    work.slack.failing = {name: [down] * 4 for name in TOLD}
    outcome = start_emergency(work.made.world, CALL)
    assert isinstance(outcome, Started)
    work.delivery.drain(Queue.START)
    assert work.state(outcome.grant) is GrantState.ACTIVE
    work.turn(Queue.SLACK, 2)
    assert recipients(work) == set()
    work.turn(Queue.SLACK, 40)
    assert recipients(work) == TOLD
    posts = [data["channel"] for said in work.slack.sent for kind, data in said
             if kind == "post_approval"]  # fmt: skip
    assert sorted(posts) == sorted([SECURITY, APPROVALS, LEA]), "each once"


def test_a_system_that_is_down_has_its_time_from_when_it_is_back(work: DeliveryHarness) -> None:
    work.system.failing["grant"] = SystemUnavailable("the system is down")
    outcome = start_emergency(work.made.world, CALL)
    assert isinstance(outcome, Started)
    work.delivery.drain(Queue.START)
    assert work.state(outcome.grant) is GrantState.STARTING
    work.system.failing.clear()
    work.made.clock.at += 60
    work.delivery.drain(Queue.START)
    grant = work.made.grant(outcome.grant.id)
    assert (grant.state, grant.ends_at) == (GrantState.ACTIVE, work.made.clock.at + 3600)


@pytest.fixture
def impatient(database_url: str, tmp_path: Path) -> Iterator[Made]:
    """A world whose database gives up soon."""
    with closing(Database(database_url, wait=1)) as database:
        made = make_world(tmp_path, db=database)
        with_tables(made)
        yield made


def test_while_the_database_is_locked_nothing_is_half_done(impatient: Made) -> None:
    def call(role: str) -> Outcome:
        return start_emergency(impatient.world, Call(CARA, role, "down"))

    with locks.held(impatient.world.db, "requests"), pytest.raises(StorageUnavailable):
        call("shop-admin")
    assert impatient.count("grants") == impatient.count("emergencies") == 0
    assert isinstance(call("shop-admin"), Started)
    assert isinstance(call("shop-deploy"), NeedsPress)
