"""A start repeats the checks of the approval, whatever changed in the role and its people since."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.core.model import Grant
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.panic import panic
from bot.operations.grants.record_results import record_ended
from bot.operations.grants.start_due import start_due
from bot.operations.policy.record_policy import record_loaded
from tests.factories import ANA, BEN, LEA, START, Made, a_person

HOUR = 3600
ONLY_ENGINEERS = 'requesters = ["@engineers"]'


def without_role(made: Made) -> None:
    policy = made.world.policy()
    kept = {name: role for name, role in policy.roles.items() if name != "shop-admin"}
    made.policies.append(replace(policy, roles=kept, digest="another"))


CHANGES: dict[str, tuple[Callable[[Made], object], str]] = {
    "the role is gone": (without_role, "no longer in roles.toml"),
    "the maximum fell": (
        lambda made: made.set_policy(shop_admin='max_duration = "10m"'),
        "at most 10m now",
    ),
    "it gives more": (
        lambda made: made.set_policy(shop_admin='actions = ["orders:*"]'),
        "was changed",
    ),
    "it is another system": (
        lambda made: made.set_policy(shop_admin='system = "reports"'),
        "was changed",
    ),
    "more must agree": (lambda made: made.set_policy(shop_admin="approvals = 2"), "was changed"),
    "another ticket is asked for": (
        lambda made: made.set_policy(shop_admin="ticket = '^INC-[0-9]+$'"),
        "this request has “OPS-1”",
    ),
    "others may ask": (
        lambda made: made.set_policy(shop_admin='requesters = ["@sre"]'),
        "only for @sre now",
    ),
}


@pytest.mark.parametrize(("change", "why"), CHANGES.values(), ids=CHANGES)
class TestChangedRole:
    def test_a_scheduled_grant_ends_at_the_reload(
        self, made: Made, change: Callable[[Made], object], why: str
    ) -> None:
        grant = _scheduled(made)
        record_loaded(made.world, made.world.policy())
        made.forget_work()
        change(made)
        record_loaded(made.world, made.world.policy())
        _ended_before_it_began(made, grant, why)

    def test_a_due_grant_does_not_start(
        self, made: Made, change: Callable[[Made], object], why: str
    ) -> None:
        grant = _scheduled(made)
        made.clock.at = grant.starts_at
        assert start_due(made.world) == 1
        made.forget_work()
        change(made)
        assert begin_attempt(made.world, grant.id) == []
        _ended_before_it_began(made, grant, why)

    def test_a_start_that_is_retried_ends(
        self, made: Made, change: Callable[[Made], object], why: str
    ) -> None:
        grant = made.a_started(made.a_request())
        assert begin_attempt(made.world, grant.id) != []
        made.forget_work()
        change(made)
        assert begin_attempt(made.world, grant.id) == []
        _ended_before_it_began(made, grant, why)


def _scheduled(made: Made) -> Grant:
    return made.a_started(made.a_request(start_at=START + 2 * HOUR))


def _ended_before_it_began(made: Made, grant: Grant, why: str) -> None:
    found = made.grant(grant.id)
    assert (found.state, found.end_reason, found.end_by, found.started_at) == (
        "ending",
        "revoked",
        "system",
        None,
    )
    (detail,) = made.log("grant:end:asked", "detail")[0]
    assert why in json.loads(detail)["because"]
    told = [
        json.loads(data)
        for (data,) in made.rows("SELECT data FROM outbox WHERE kind = 'notify_person'")
    ]
    assert [(each["note"], why in each["why"]) for each in told] == [("not_started", True)]
    assert {"end_lease", "thread_note"} <= set(made.work())
    record_ended(made.world, grant.id, grant.systems[0])
    assert made.state("grants", grant.id) == "ended"
    assert made.events("grant:access:started") == 0


class TestGroups:
    def test_a_person_who_left_the_group_loses_scheduled_access(self, made: Made) -> None:
        made.set_policy(shop_admin=ONLY_ENGINEERS)
        grant = _scheduled(made)
        made.forget_work()
        made.set_groups(engineers=[BEN])
        _ended_before_it_began(made, grant, "only for @engineers now")

    def test_a_person_who_left_between_two_tries_gets_no_start(self, made: Made) -> None:
        made.set_policy(shop_admin=ONLY_ENGINEERS)
        grant = made.a_started(made.a_request())
        begin_attempt(made.world, grant.id)
        made.forget_work()
        made.set_groups(engineers=[BEN])
        assert begin_attempt(made.world, grant.id) == []
        _ended_before_it_began(made, grant, "only for @engineers now")

    def test_a_person_who_stays_gets_the_start(self, made: Made) -> None:
        made.set_policy(shop_admin=ONLY_ENGINEERS)
        grant = _scheduled(made)
        made.set_groups(engineers=[ANA])
        record_loaded(made.world, made.world.policy())
        made.clock.at = grant.starts_at
        start_due(made.world)
        assert made.start(grant).state == "active"

    def test_a_group_that_was_not_looked_up_ends_nothing(self, made: Made) -> None:
        grant = _scheduled(made)
        made.reload(shop_admin='requesters = ["@newcomers"]')
        record_loaded(made.world, made.world.policy())
        assert made.state("grants", grant.id) == "scheduled"


def test_a_change_without_effect_on_the_grant_lets_it_start(made: Made) -> None:
    grant = _scheduled(made)
    made.set_policy(
        shop_admin='title = "Shop"\nmax_duration = "2h"\nmax_renewals = 0\napprovers = ["@sre"]'
    )
    record_loaded(made.world, made.world.policy())
    made.clock.at = grant.starts_at
    start_due(made.world)
    assert made.start(grant).state == "active"


def test_an_active_grant_is_not_changed(made: Made) -> None:
    grant = made.a_grant()
    without_role(made)
    record_loaded(made.world, made.world.policy())
    assert made.state("grants", grant.id) == "active"


def test_a_panic_stops_a_start_that_waits_for_its_next_try(made: Made) -> None:
    grant = made.a_started(made.a_request())
    begin_attempt(made.world, grant.id)
    panic(made.world, LEA)
    assert (begin_attempt(made.world, grant.id), made.state("grants", grant.id)) == ([], "ending")


def test_an_account_that_is_a_guest_now_starts_nothing(made: Made) -> None:
    grant = _scheduled(made)
    made.know(replace(a_person(ANA), guest=True, checked_at=START + 1))
    assert made.state("grants", grant.id) == "ending"
