"""Nobody gets more than roles.toml and the approvers give, on any detour."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.core.approval import NeedsApproval, Refused
from bot.core.eligibility import Ask
from bot.core.model import Grant
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.panic import panic
from bot.operations.grants.renew_grant import Renewed, Submitted, renew_grant
from bot.operations.people.record_people import people_to_check
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.request_access import request_access
from bot.operations.requests.withdraw_request import withdraw_request
from storage import grants
from storage.database import Database
from tests.factories import ANA, BEN, CARA, LEA, START, Made, a_person, make_world

HOUR = 3600


class TestShortened:
    """An approver gave ten minutes of the requested two hours."""

    def _grant(self, made: Made, role: str = "shop-admin") -> Grant:
        request = made.a_request(role, duration=2 * HOUR)
        granted = approve_request(made.world, request.id, a_person(BEN), duration=600)
        assert isinstance(granted, Granted)
        grant = made.start(granted.grant)
        made.clock.at += 300
        return grant

    def test_a_renewal_does_not_bypass_the_approver(self, made: Made) -> None:
        grant = self._grant(made)
        refused = renew_grant(made.world, grant.id, ANA, duration=4 * HOUR)
        assert isinstance(refused, Refused)
        assert (refused.field, "approved for 10m" in refused.reason) == ("duration", True)
        assert made.grant(grant.id).ends_at == START + 600

    @pytest.mark.parametrize("duration", [None, 600])
    def test_it_is_renewed_for_as_long_as_was_approved(
        self, made: Made, duration: int | None
    ) -> None:
        grant = self._grant(made)
        assert isinstance(renew_grant(made.world, grant.id, ANA, duration=duration), Renewed)
        assert made.grant(grant.id).ends_at == START + 900

    def test_a_renewal_with_approval_may_ask_for_more(self, made: Made) -> None:
        grant = self._grant(made, "reports-read")
        assert isinstance(renew_grant(made.world, grant.id, ANA, duration=HOUR), Submitted)


class TestUnaskedRenewal:
    """Nobody approves it, so it adds at most the approved duration."""

    @pytest.mark.parametrize("asked", [301, HOUR, 4 * HOUR])
    def test_two_approvals_of_five_minutes_do_not_give_hours(self, made: Made, asked: int) -> None:
        made.set_policy(
            shop_deploy='renewal_approval = false\nmax_duration = "4h"\nmax_total = "12h"'
        )
        request = made.a_request("shop-deploy", duration=300)
        made.try_to_approve(request, CARA)
        grant = made.start(made.a_started(request))
        made.clock.at += 200
        refused = renew_grant(made.world, grant.id, ANA, duration=asked)
        assert isinstance(refused, Refused)
        assert (refused.field, "approved for 5m" in refused.reason) == ("duration", True)
        for times in (1, 2):
            made.clock.at += 60
            assert isinstance(renew_grant(made.world, grant.id, ANA, duration=300), Renewed)
            assert made.grant(grant.id).ends_at == START + 200 + times * 60 + 300

    def test_a_renewal_of_a_risky_role_or_of_two_approvals_needs_approval(self, made: Made) -> None:
        request = made.a_request("shop-deploy", duration=300)
        made.try_to_approve(request, CARA)
        grant = made.start(made.a_started(request))
        made.clock.at += 200
        assert isinstance(renew_grant(made.world, grant.id, ANA, duration=HOUR), Submitted)
        assert made.grant(grant.id).ends_at == grant.ends_at


class TestRoleThatGivesLessByNow:
    @pytest.mark.parametrize(
        "lines",
        ['actions = ["orders:read"]', 'system = "reports"'],
        ids=["fewer actions", "another system"],
    )
    @pytest.mark.parametrize("approval", ["false", "true"])
    def test_a_grant_of_a_narrowed_role_is_not_renewed(
        self, made: Made, lines: str, approval: str
    ) -> None:
        grant = made.a_grant(duration=HOUR)
        made.set_policy(shop_admin=f"{lines}\nrenewal_approval = {approval}")
        made.clock.at += 600
        refused = renew_grant(made.world, grant.id, ANA)
        assert isinstance(refused, Refused)
        assert "changed in roles.toml" in refused.reason
        assert made.grant(grant.id).ends_at == grant.ends_at

    def test_a_role_that_gives_more_now_renews_only_the_held_access(self, made: Made) -> None:
        grant = made.a_grant(duration=HOUR)
        made.set_policy(shop_admin='actions = ["orders:read", "orders:refund", "orders:write"]')
        made.clock.at += 600
        assert isinstance(renew_grant(made.world, grant.id, ANA), Renewed)
        assert made.grant(grant.id).actions == grant.actions

    def test_a_duration_above_the_present_maximum_must_be_shortened(self, made: Made) -> None:
        request = made.a_request(duration=4 * HOUR)
        made.set_policy(shop_admin='max_duration = "30m"')
        refused = approve_request(made.world, request.id, a_person(BEN))
        assert isinstance(refused, Refused)
        assert (refused.field, "at most 30m now" in refused.reason) == ("duration", True)
        granted = approve_request(made.world, request.id, a_person(BEN), duration=1800)
        assert isinstance(granted, Granted)
        assert granted.grant.duration == 1800


def test_an_approver_of_two_is_looked_up_until_the_quorum(made: Made) -> None:
    """An approver who is deactivated after the press must not count as one of two for hours."""
    request = made.a_request("shop-deploy")
    assert isinstance(made.try_to_approve(request, CARA), NeedsApproval)
    made.clock.at += 60
    assert sorted(people_to_check(made.world, START, 60)) == [ANA, CARA, LEA]
    made.know(a_person(CARA, deleted=True))
    assert isinstance(made.try_to_approve(request, LEA), NeedsApproval)
    withdraw_request(made.world, request.id, ANA)
    made.clock.at += 60
    assert people_to_check(made.world, START, 60) == [LEA]


def test_an_unanswered_renewal_does_not_block_a_new_request(
    made: Made,
) -> None:
    grant = made.a_grant("reports-read", duration=HOUR)
    made.clock.at += 1800
    asked = renew_grant(made.world, grant.id, ANA)
    assert isinstance(asked, Submitted)
    made.clock.at += 1800
    expire_due(made.world)
    anew = request_access(made.world, Ask(ANA, "reports-read", "still broken", ticket="OPS-1"))
    assert isinstance(anew, Submitted)
    assert made.state("requests", asked.request.id) == "withdrawn"
    assert made.log("request:access:withdrawn", "actor, request") == [("system", asked.request.id)]


def test_requests_that_nobody_can_decide_do_not_flood_the_leads(made: Made) -> None:
    grant = made.a_grant("reports-read")
    made.set_groups(db_leads=[])
    made.forget_work()
    for _ in range(5):
        made.clock.at += 60
        assert isinstance(request_access(made.world, Ask(ANA, "shop-admin", "because")), Refused)
        assert isinstance(renew_grant(made.world, grant.id, ANA), Refused)
    assert made.work() == ["notify_security"] * 2  # one for each of the two roles
    assert made.events("request:action:refused") == 10
    made.clock.at += HOUR
    assert isinstance(request_access(made.world, Ask(ANA, "shop-admin", "because")), Refused)
    assert made.work() == ["notify_security"] * 3


def test_the_command_line_is_never_looked_up_in_slack(made: Made) -> None:
    request = made.a_request("shop-deploy")
    assert isinstance(made.try_to_approve(request, "os:root"), NeedsApproval)
    made.clock.at += 60
    assert people_to_check(made.world, START, 60) == [ANA, LEA]


def test_panic_ends_what_was_started_before_its_switch_could_be_seen(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL nothing waits for a running panic: an approval and a start may be concurrent
    with it."""
    database = Database(postgres_url)
    made = make_world(tmp_path, db=database)
    request = made.a_request()
    look = grants.live

    def look_slowly(*given: Any, **named: Any) -> Sequence[Grant]:
        found = look(*given, **named)
        if made.count("grants") == 0:
            other = threading.Thread(target=lambda: made.start(made.a_started(request)))
            other.start()
            other.join()
        return found

    monkeypatch.setattr(grants, "live", look_slowly)
    try:
        assert panic(made.world, LEA) == 1
        assert made.rows("SELECT state FROM grants") == [("ending",)]
    finally:
        database.close()
