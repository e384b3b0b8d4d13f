"""A grant's life: it starts when its system has it, is renewed within its limits, and ends visibly
for everybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.core.approval import Refused
from bot.core.model import EndReason, Grant
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.panic import panic, resume
from bot.operations.grants.record_results import (
    order_for,
    record_end_failed,
    record_ended,
    record_not_made,
    record_start_delayed,
    record_start_failed,
    record_started,
)
from bot.operations.grants.release_grant import Ending, release_grant
from bot.operations.grants.remind_due import remind_due
from bot.operations.grants.renew_grant import Outcome, Renewed, renew_grant
from bot.operations.grants.revoke_grant import revoke_grant
from bot.operations.grants.start_due import start_due
from bot.operations.idempotency import Repeated, do_once
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.request_access import AlreadyPending, Submitted
from bot.operations.tokens.introspect_token import TokenInactive
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, LEA, START, Made, a_person

HOUR = 3600


def _renew(made: Made, grant: Grant, duration: int | None = None, **more: str) -> Outcome:
    return renew_grant(made.world, grant.id, grant.person, duration=duration, **more)


class TestStart:
    def test_the_end_is_stored_before_a_system_is_called_and_moved_while_none_can_have_access(
        self, made: Made
    ) -> None:
        grant = made.a_started(made.a_request(duration=HOUR))
        made.clock.at += 100
        assert [order.ends_at for order in begin_attempt(made.world, grant.id)] == [
            START + 100 + HOUR
        ]
        record_not_made(made.world, grant.id, "shop-admin", "can't be reached", surely=True)
        made.clock.at += 50
        assert [order.ends_at for order in begin_attempt(made.world, grant.id)] == [
            START + 150 + HOUR
        ]
        made.clock.at += 20
        record_started(made.world, grant.id)
        active = made.grant(grant.id)
        assert (active.state, active.started_at, active.ends_at) == (
            "active",
            START + 170,
            START + 150 + HOUR,
        )
        assert begin_attempt(made.world, grant.id) == []

    def test_a_start_is_announced_once_however_often_it_is_recorded(self, made: Made) -> None:
        grant = made.a_grant()
        made.forget_work()
        record_started(made.world, grant.id)
        assert (made.events("grant:access:started"), made.work()) == (1, [])

    def test_a_start_that_answers_after_the_end_was_requested_starts_nothing(
        self, made: Made
    ) -> None:
        grant = made.a_started(made.a_request())
        begin_attempt(made.world, grant.id)
        release_grant(made.world, grant.id, ANA)
        record_started(made.world, grant.id)
        assert made.state("grants", grant.id) == "ending"
        assert made.events("grant:access:started") == 0

    def test_access_that_a_start_made_after_the_confirmed_end_is_removed(self, made: Made) -> None:
        grant = made.a_started(made.a_request())
        begin_attempt(made.world, grant.id)
        release_grant(made.world, grant.id, ANA)
        record_ended(made.world, grant.id, "shop-admin")
        made.forget_work()
        record_started(made.world, grant.id)
        assert (made.state("grants", grant.id), made.work()) == ("ended", ["end_lease"])
        record_ended(made.world, grant.id, "shop-admin")
        assert made.events("grant:access:ended") == 1

    def test_a_slow_start_is_announced_and_continues(self, made: Made) -> None:
        grant = made.a_started(made.a_request())
        made.forget_work()
        record_start_delayed(made.world, grant.id)
        assert "notify_person" in made.work()
        assert made.start(grant).state == "active"

    def test_a_failed_start_was_never_active_and_is_undone(self, made: Made) -> None:
        grant = made.a_started(made.a_request())
        made.forget_work()
        for _ in range(2):
            record_start_failed(made.world, grant.id, "no such table")
        assert made.state("grants", grant.id) == "failed"
        assert made.log("grant:access:failed", 'actor, subject, "grant"') == [
            ("system", ANA, grant.id)
        ]
        assert sorted(made.work()) == [
            "end_lease",
            "notify_person",
            "notify_security",
            "update_approval",
        ]
        for _ in range(2):
            record_ended(made.world, grant.id, "shop-admin")
        assert made.state("grants", grant.id) == "failed"
        assert made.log("grant:start:undone", 'system, "grant"') == [("shop-admin", grant.id)]
        assert made.events("grant:access:ended") == 0

    def test_every_system_of_a_role_is_ordered_and_recorded(self, made: Made) -> None:
        made.set_policy(
            both='systems = ["shop-admin", "reports"]\nactions = ["a"]\nrequesters = ["everyone"]\n'
            'approvers = ["@db-leads"]\n'
        )
        grant = made.a_grant("both")
        assert [system for (system,) in made.log("grant:access:started", "system")] == [
            "shop-admin",
            "reports",
        ]
        release_grant(made.world, grant.id, ANA)
        record_ended(made.world, grant.id, "reports")
        assert made.state("grants", grant.id) == "ending"
        record_ended(made.world, grant.id, "reports")
        record_ended(made.world, grant.id, "shop-admin")
        assert made.state("grants", grant.id) == "ended"
        assert made.log("grant:access:ended", "system") == [("reports",), ("shop-admin",)]


class TestScheduled:
    def _scheduled(self, made: Made) -> Grant:
        return made.a_started(made.a_request(start_at=START + 7200))

    def test_a_later_start_waits_for_its_time(self, made: Made) -> None:
        grant = self._scheduled(made)
        assert (grant.state, grant.starts_at, grant.ends_at) == (
            "scheduled",
            START + 7200,
            START + 7200 + HOUR,
        )
        made.clock.at = START + 7199
        assert (start_due(made.world), begin_attempt(made.world, grant.id)) == (0, [])
        made.clock.at = START + 7200
        assert (start_due(made.world), start_due(made.world)) == (1, 0)
        assert made.start(grant).state == "active"

    def test_it_sets_the_clock(self, made: Made) -> None:
        self._scheduled(made)
        assert made.wakes[-1][1] == START + 7200

    def test_a_late_start_lasts_as_long(self, made: Made) -> None:
        grant = self._scheduled(made)
        made.clock.at = START + 86400
        start_due(made.world)
        assert made.start(grant).ends_at == START + 86400 + HOUR

    @pytest.mark.parametrize("pending_for", [0, 7199, 7200, 9000])
    def test_an_approval_after_the_start_begins_at_once(self, made: Made, pending_for: int) -> None:
        request = made.a_request(start_at=START + 7200)
        made.clock.at += pending_for
        assert made.a_started(request).state == ("scheduled" if pending_for < 7200 else "starting")

    def test_it_can_be_given_back_before_it_begins(self, made: Made) -> None:
        grant = self._scheduled(made)
        assert isinstance(release_grant(made.world, grant.id, ANA), Ending)
        made.clock.at = START + 7200
        assert start_due(made.world) == 0


class TestRenewal:
    def test_ends_at_now_plus_the_duration(self, made: Made) -> None:
        grant = made.a_grant(duration=2 * HOUR)
        made.clock.at += 1800
        renewed = _renew(made, grant, 2 * HOUR, reason="still at it")
        assert isinstance(renewed, Renewed)
        assert renewed.grant == made.grant(grant.id)
        assert renewed.grant.ends_at == START + 1800 + 2 * HOUR
        assert made.log("grant:access:renewed") == [(ANA, "still at it")]
        assert made.work()[-4:] == [
            "extend_lease",
            "notify_person",
            "thread_note",
            "refresh_messages",
        ]

    def test_never_ends_earlier_than_before(self, made: Made) -> None:
        grant = made.a_grant(duration=HOUR)
        assert isinstance(_renew(made, grant, 600), Refused)
        assert made.grant(grant.id).ends_at == grant.ends_at

    def test_never_passes_the_longest_total(self, made: Made) -> None:
        made.set_policy(shop_admin='max_total = "5h"\nmax_renewals = 9')
        grant = made.a_grant(duration=4 * HOUR)
        made.clock.at += 3 * HOUR
        assert isinstance(_renew(made, grant, 4 * HOUR), Renewed)
        assert made.grant(grant.id).ends_at == START + 5 * HOUR
        refused = _renew(made, grant, 4 * HOUR)
        assert isinstance(refused, Refused)
        assert "lasts up to 5h" in refused.reason

    @pytest.mark.parametrize("allowed", [0, 1, 3])
    def test_needs_nobody_as_often_as_the_role_says(self, made: Made, allowed: int) -> None:
        made.set_policy(shop_admin=f"max_renewals = {allowed}")
        grant = made.a_grant(duration=HOUR)
        for _ in range(allowed):
            made.clock.at += 600
            assert isinstance(_renew(made, grant), Renewed)
        made.clock.at += 600
        assert isinstance(_renew(made, grant), Submitted if allowed else Refused)

    def test_pressed_many_times_at_once_counts_once(self, made: Made) -> None:
        grant = made.a_grant(duration=HOUR)
        made.clock.at += 600

        def act() -> object:
            return do_once(made.world, "envelope", lambda world: renew_grant(world, grant.id, ANA))

        found = together(made.world.db, [act] * 6)
        assert sorted(type(outcome).__name__ for outcome in found) == ["Renewed"] + ["Repeated"] * 5
        assert isinstance(act(), Repeated)
        assert made.grant(grant.id).renewals == 1

    @pytest.mark.parametrize("after", [HOUR, HOUR + 1, 2 * HOUR])
    def test_of_ended_access_is_refused_even_before_the_clock_noticed(
        self, made: Made, after: int
    ) -> None:
        grant = made.a_grant(duration=HOUR)
        made.clock.at += after
        assert isinstance(_renew(made, grant), Refused)

    def test_of_ending_access_is_refused(self, made: Made) -> None:
        grant = made.a_grant()
        release_grant(made.world, grant.id, ANA)
        assert isinstance(_renew(made, grant), Refused)

    @pytest.mark.parametrize("duration", [-1, 0, 5 * HOUR])
    def test_of_an_impossible_length_is_refused(self, made: Made, duration: int) -> None:
        outcome = _renew(made, made.a_grant(), duration)
        assert isinstance(outcome, Refused)
        assert outcome.field == "duration"

    def test_is_for_the_holder_alone(self, made: Made) -> None:
        grant = made.a_grant()
        assert isinstance(renew_grant(made.world, grant.id, BEN), Refused)

    def test_is_refused_to_a_holder_who_may_no_longer_request(self, made: Made) -> None:
        grant = made.a_grant()
        made.set_policy(shop_admin='requesters = ["@sre"]')
        made.clock.at += 600
        assert isinstance(_renew(made, grant), Refused)


class TestRenewalByApproval:
    ROLE = "reports-read"

    def _asked(self, made: Made) -> tuple[Grant, Submitted]:
        grant = made.a_grant(self.ROLE)
        made.clock.at += 1800
        asked = _renew(made, grant, 2 * HOUR)
        assert isinstance(asked, Submitted)
        return grant, asked

    def test_asks_with_the_first_reason_and_ticket(self, made: Made) -> None:
        grant, asked = self._asked(made)
        assert (asked.request.renews, asked.request.reason, asked.request.ticket) == (
            grant.id,
            "because",
            "OPS-1",
        )
        assert made.grant(grant.id).ends_at == grant.ends_at
        assert isinstance(_renew(made, grant, 2 * HOUR), AlreadyPending)

    def test_extends_the_same_grant(self, made: Made) -> None:
        grant, asked = self._asked(made)
        made.clock.at += 60
        outcome = approve_request(made.world, asked.request.id, a_person(BEN))
        assert isinstance(outcome, Granted)
        assert (outcome.grant.id, outcome.grant.ends_at) == (grant.id, START + 1860 + 2 * HOUR)
        assert made.count("grants") == 1

    def test_is_not_decided_by_the_holder(self, made: Made) -> None:
        made.set_groups(db_leads=[ANA, BEN])
        _, asked = self._asked(made)
        assert isinstance(approve_request(made.world, asked.request.id, a_person(ANA)), Refused)

    def test_keeps_all_actions(self, made: Made) -> None:
        made.set_policy(reports_read='actions = ["a", "b"]')
        _, asked = self._asked(made)
        refused = approve_request(made.world, asked.request.id, a_person(BEN), actions=("a",))
        assert isinstance(refused, Refused)
        assert refused.field == "actions"

    @pytest.mark.parametrize(
        "over",
        [
            lambda made, grant: release_grant(made.world, grant.id, ANA),
            lambda made, grant: setattr(made.clock, "at", grant.ends_at),
        ],
        ids=["given back", "past its end"],
    )
    def test_of_ended_access_is_refused(
        self, made: Made, over: Callable[[Made, Grant], object]
    ) -> None:
        grant, asked = self._asked(made)
        over(made, grant)
        refused = approve_request(made.world, asked.request.id, a_person(BEN))
        assert isinstance(refused, Refused)
        assert made.grant(grant.id).ends_at == grant.ends_at

    def test_of_a_role_that_is_never_renewed_by_now_is_refused(self, made: Made) -> None:
        _, asked = self._asked(made)
        made.set_policy(reports_read="max_renewals = 0")
        assert isinstance(approve_request(made.world, asked.request.id, a_person(BEN)), Refused)


ENDS: dict[str, tuple[Callable[[Made, Grant], object], EndReason, str]] = {
    "its time is up": (
        lambda made, grant: (setattr(made.clock, "at", grant.ends_at), expire_due(made.world)),
        EndReason.EXPIRED,
        "system",
    ),
    "the holder is done": (
        lambda made, grant: release_grant(made.world, grant.id, ANA),
        EndReason.RELEASED,
        ANA,
    ),
    "a lead revokes it": (
        lambda made, grant: revoke_grant(made.world, LEA, grant=grant.id),
        EndReason.REVOKED,
        LEA,
    ),
    "the command line revokes it": (
        lambda made, grant: revoke_grant(made.world, "os:root", person=ANA, role="shop-admin"),
        EndReason.REVOKED,
        "os:root",
    ),
    "panic": (lambda made, grant: panic(made.world, LEA), EndReason.REVOKED, LEA),
    "the account is deactivated": (
        lambda made, grant: made.know(replace(a_person(ANA), deleted=True, checked_at=START + 1)),
        EndReason.OFFBOARDED,
        "system",
    ),
}


class TestEnd:
    @pytest.mark.parametrize("name", ENDS)
    def test_closes_every_gate_at_once_and_stays_until_the_system_confirms(
        self, made: Made, name: str
    ) -> None:
        end, why, by = ENDS[name]
        grant = made.a_grant()
        token = made.a_token(grant)
        end(made, grant)
        ending = made.grant(grant.id)
        assert (ending.state, ending.end_reason, ending.end_by) == ("ending", why, by)
        assert isinstance(made.check(token), TokenInactive)
        assert made.log("grant:end:asked", 'actor, subject, "grant"') == [(by, ANA, grant.id)]
        assert made.work().count("end_lease") == 1
        made.close_gates(grant)
        assert made.grant(grant.id).state == "ended"
        assert made.log("grant:access:ended", "system") == [("shop-admin",)]
        assert {"sum_usage", "thread_note", "notify_person"} <= set(made.work())

    @pytest.mark.parametrize("name", ENDS)
    def test_is_requested_once(self, made: Made, name: str) -> None:
        grant = made.a_grant()
        release_grant(made.world, grant.id, ANA)
        ENDS[name][0](made, grant)
        assert made.grant(grant.id).end_reason is EndReason.RELEASED
        assert made.events("grant:end:asked") == 1

    def test_comes_at_its_second_and_not_before(self, made: Made) -> None:
        grant = made.a_grant()
        made.clock.at = grant.ends_at - 1
        assert expire_due(made.world) == 0
        made.clock.at = grant.ends_at
        assert (expire_due(made.world), expire_due(made.world)) == (1, 0)

    def test_is_requested_once_by_many_clocks_at_once(self, made: Made) -> None:
        people = [f"U0N{n}" for n in range(24)]
        made.know(*(a_person(id) for id in people))
        for person in people:
            made.a_grant(person=person)
        made.clock.at += 5 * HOUR
        assert sum(together(made.world.db, [lambda: expire_due(made.world)] * 4)) == 24
        assert made.events("grant:end:asked") == 24
        assert made.work().count("end_lease") == 24

    def test_of_a_renewal_at_the_last_moment_exactly_one_wins(self, made: Made) -> None:
        grant = made.a_grant()
        made.clock.at = grant.ends_at - 1

        def end() -> object:
            return release_grant(made.world, grant.id, ANA)

        found = together(made.world.db, [lambda: _renew(made, grant), end])
        assert isinstance(found[1], Ending)
        assert made.state("grants", grant.id) == "ending"

    @pytest.mark.parametrize(
        "by", [ANA, BEN, "U0NOBODY"], ids=["the holder", "an approver", "a stranger"]
    )
    def test_only_leads_revoke(self, made: Made, by: str) -> None:
        grant = made.a_grant()
        assert isinstance(revoke_grant(made.world, by, grant=grant.id), Refused)
        made.clock.at += 60
        assert isinstance(revoke_grant(made.world, by, person=ANA), Refused)
        assert made.state("grants", grant.id) == "active"
        assert made.events("request:action:refused") == 2

    def test_revoking_without_a_grant_says_so(self, made: Made) -> None:
        for chosen in ({"person": ANA}, {"grant": "g0"}, {}):
            assert isinstance(revoke_grant(made.world, LEA, **chosen), Refused)

    def test_revoking_a_person_ends_all_or_one_role(self, made: Made) -> None:
        one, other = made.a_grant(), made.a_grant("reports-read")
        revoke_grant(made.world, LEA, person=ANA, role="reports-read")
        assert (made.state("grants", one.id), made.state("grants", other.id)) == (
            "active",
            "ending",
        )
        revoke_grant(made.world, LEA, person=ANA)
        assert made.state("grants", one.id) == "ending"

    def test_only_the_holder_gives_it_back(self, made: Made) -> None:
        grant = made.a_grant()
        assert isinstance(release_grant(made.world, grant.id, LEA), Refused)

    def test_that_fails_stays_and_is_alerted_at_once_and_then_by_the_clock(
        self, made: Made
    ) -> None:
        grant = made.a_grant()
        release_grant(made.world, grant.id, ANA)
        made.forget_work()
        for attempts in range(1, 20):
            record_end_failed(made.world, grant.id, "shop-admin", "no route to host", attempts)
        assert made.state("grants", grant.id) == "ending"
        assert made.rows("SELECT state, error FROM leases") == [("ending", "no route to host")]
        assert made.events("grant:end:failed") == 1
        assert made.work() == ["alert", "notify_person", "refresh_messages"]

    def test_a_failure_reported_after_another_worker_succeeded_changes_nothing(
        self, made: Made
    ) -> None:
        grant = made.a_grant()
        release_grant(made.world, grant.id, ANA)
        made.close_gates(grant)
        record_end_failed(made.world, grant.id, "shop-admin", "too late", 1)
        assert (made.state("grants", grant.id), made.events("grant:end:failed")) == ("ended", 0)
        made.close_gates(grant)
        assert made.events("grant:access:ended") == 1

    def test_a_waiting_start_is_dropped(self, made: Made) -> None:
        grant = made.a_started(made.a_request())
        release_grant(made.world, grant.id, ANA)
        assert "start_grant" not in made.work()
        assert begin_attempt(made.world, grant.id) == []
        assert order_for(made.world, grant.id, "shop-admin", still_active=True) is None
        assert order_for(made.world, grant.id, "shop-admin") is not None


class TestOverlap:
    @pytest.fixture
    def both(self, made: Made) -> tuple[Grant, Grant]:
        """Two roles of one person on one system, each with its token."""
        made.set_policy(shop_deploy="approvals = 1")
        one = made.a_grant(duration=HOUR)
        return one, made.start(
            made.a_started(made.a_request("shop-deploy", duration=2 * HOUR), by=CARA)
        )

    @pytest.mark.parametrize("first", [0, 1], ids=["the shorter", "the longer"])
    def test_the_end_of_one_leaves_the_other_complete(
        self, made: Made, both: tuple[Grant, Grant], first: int
    ) -> None:
        tokens = [made.a_token(grant) for grant in both]
        release_grant(made.world, both[first].id, ANA)
        made.close_gates(both[first])
        assert isinstance(made.check(tokens[first]), TokenInactive)
        assert made.opens(tokens[1 - first])
        assert made.state("grants", both[1 - first].id) == "active"

    def test_each_ends_at_its_own_time(self, made: Made, both: tuple[Grant, Grant]) -> None:
        tokens = [made.a_token(grant) for grant in both]
        made.clock.at = both[0].ends_at
        assert expire_due(made.world) == 1
        assert (made.opens(tokens[0]), made.opens(tokens[1])) == (False, True)


class TestOffboarding:
    def test_ends_pending_requests_and_all_access(self, made: Made) -> None:
        grant = made.a_grant()
        request = made.a_request("reports-read")
        scheduled = made.a_request("shop-deploy", start_at=START + HOUR)
        made.know(replace(a_person(ANA), guest=True, checked_at=START + 1))
        assert made.state("grants", grant.id) == "ending"
        assert {made.state("requests", r.id) for r in (request, scheduled)} == {"withdrawn"}
        made.try_to_approve(request)
        assert made.count("grants") == 1

    def test_leaves_a_full_member_alone(self, made: Made) -> None:
        grant = made.a_grant()
        made.know(replace(a_person(ANA), checked_at=START + 1))
        assert made.state("grants", grant.id) == "active"

    def test_an_old_fact_about_a_returned_person_ends_nothing(self, made: Made) -> None:
        grant = made.a_grant()
        made.know(replace(a_person(ANA), deleted=True, checked_at=START - 60))
        assert made.state("grants", grant.id) == "active"


class TestPanic:
    def test_ends_everything_and_waiting_starts(self, made: Made) -> None:
        active, starting = made.a_grant(), made.a_started(made.a_request("reports-read"))
        assert panic(made.world, LEA) == 2
        assert {made.state("grants", grant.id) for grant in (active, starting)} == {"ending"}
        assert begin_attempt(made.world, starting.id) == []
        assert made.log("panic:switch:on", "actor") == [(LEA,)]
        assert "notify_security" in made.work()

    @pytest.mark.parametrize(
        ("chosen", "ended"),
        [
            ({"role": "reports-read"}, 1),
            ({"person": BEN}, 0),
            ({"person": ANA}, 2),
            ({"role": "x", "person": ANA}, 2),
        ],
        ids=["a role", "another person", "a person", "a role and a person"],
    )
    def test_ends_what_was_chosen(self, made: Made, chosen: dict[str, str], ended: int) -> None:
        made.a_grant()
        made.a_grant("reports-read")
        assert panic(made.world, LEA, **chosen) == ended

    def test_stops_a_start_that_was_approved_at_the_same_moment(self, made: Made) -> None:
        request = made.a_request()
        together(
            made.world.db, [lambda: panic(made.world, LEA), lambda: made.try_to_approve(request)]
        )
        for (grant,) in made.rows("SELECT id FROM grants"):
            assert begin_attempt(made.world, grant) == []
            assert made.state("grants", grant) == "ending"

    def test_is_lifted_once_and_ended_access_stays_ended(self, made: Made) -> None:
        grant = made.a_grant()
        panic(made.world, LEA)
        assert (resume(made.world, LEA), resume(made.world, LEA)) == (True, False)
        assert made.state("grants", grant.id) == "ending"
        assert made.events("panic:switch:off") == 1


class TestReminders:
    def test_come_before_the_end_repeatedly(self, made: Made) -> None:
        grant = made.a_grant(duration=HOUR)
        sent = []
        for at in range(START, grant.ends_at + 1, 60):
            made.clock.at = at
            sent += [grant.ends_at - at] * remind_due(made.world)
        assert sent == [1800, 300]

    def test_of_a_short_grant_come_once_when_a_quarter_is_left(self, made: Made) -> None:
        grant = made.a_grant(duration=240)
        made.clock.at = grant.ends_at - 61
        assert remind_due(made.world) == 0
        made.clock.at += 1
        assert (remind_due(made.world), remind_due(made.world)) == (1, 0)

    def test_missed_while_no_process_ran_are_sent_once(self, made: Made) -> None:
        grant = made.a_grant(duration=HOUR)
        made.clock.at = grant.ends_at - 60
        assert (remind_due(made.world), remind_due(made.world)) == (1, 0)

    def test_begin_again_after_a_renewal(self, made: Made) -> None:
        grant = made.a_grant(duration=HOUR)
        made.clock.at = grant.ends_at - 60
        remind_due(made.world)
        _renew(made, grant, HOUR)
        made.clock.at += HOUR - 1800
        assert remind_due(made.world) == 1

    def test_stop_when_the_end_was_requested(self, made: Made) -> None:
        grant = made.a_grant(duration=HOUR)
        release_grant(made.world, grant.id, ANA)
        made.clock.at = grant.ends_at - 60
        assert remind_due(made.world) == 0
