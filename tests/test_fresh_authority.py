"""Authority is fresh: a decision asks Slack about its person and groups, and old facts decide
nothing."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.core.approval import Refused
from bot.core.effects import Kind
from bot.core.model import Person
from bot.operations.audit.read_audit import Filters, read_audit
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.grants.revoke_grant import revoke_grant
from bot.operations.messages.record_posted import forward_refused_notes, record_unposted
from bot.operations.people.record_people import (
    people_to_check,
    record_groups,
    refresh_old_groups,
    save_refresh,
    warn_of_old_groups,
)
from bot.operations.policy.find_unresolved import unresolved_at_all
from bot.operations.process.end_outage import whom_to_notify
from bot.operations.requests.accept_vote import Taken
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.request_access import Waiting
from bot.slack.api import Caller
from bot.slack.context import ListenerContext, admit
from tests.builders import WORKSPACE
from tests.factories import ANA, BEN, CARA, LEA, START, a_person
from tests.first_look import Start


def _pressed(start: Start, by: str = BEN) -> str:
    """A request on which a person has just pressed Approve."""
    request = start.made.a_request().id
    assert isinstance(start.made.press(request, by), Taken)
    return request


def test_an_approver_taken_out_of_the_group_whose_event_was_lost_decides_nothing(
    start: Start,
) -> None:
    start.slack.groups["db-leads"] = [CARA]
    request = _pressed(start)
    start.work()
    assert start.made.state("requests", request) == "pending"
    assert [why for _, why in start.made.log("request:action:refused", "actor, detail")] != []


@pytest.mark.parametrize(
    "now", [{"deleted": True}, {"is_restricted": True}], ids=["deactivated", "a guest"]
)
def test_a_vote_no_longer_counts_when_its_voter_is_gone_and_the_event_was_lost(
    start: Start, now: dict[str, Any]
) -> None:
    made, described = start.made, start.slack.users_info
    made.set_policy(shop_admin=f'approvers = ["{BEN}", "{CARA}", "{LEA}"]\napprovals = 2')
    request = _pressed(start, BEN)
    start.work()
    gone = {"ok": True, "user": {"id": BEN, "team_id": "T1", "profile": {}, **now}}
    start.slack.users_info = lambda user: gone if user == BEN else described(user)  # type: ignore[method-assign]
    for voter, state in ((CARA, "pending"), (LEA, "approved")):
        assert isinstance(made.press(request, voter), Taken)
        start.work()
        assert made.state("requests", request) == state


def test_a_role_with_only_ids_of_people_reads_no_groups(start: Start) -> None:
    start.made.set_policy(shop_admin=f'approvers = ["{BEN}"]\nrequesters = ["{ANA}"]')
    start.slack.asked.clear()
    request = _pressed(start)
    start.work()
    assert start.made.state("requests", request) == "approved"
    assert "usergroups.list" not in start.slack.asked


def test_a_rate_limit_makes_a_decision_wait_and_not_pass(start: Start) -> None:
    clock = [0.0]
    # For a clock of the test's.
    start.people._call = Caller(start.slack, lambda: clock[0])  # noqa: SLF001
    answer = start.slack.answer({"ok": False, "error": "ratelimited"})
    answer.headers = {"Retry-After": "60"}
    start.slack.error = SlackApiError("refused", answer)  # type: ignore[no-untyped-call]
    request = _pressed(start)
    start.work()
    start.slack.error = None
    start.made.clock.at += 59
    start.work()
    assert start.made.state("requests", request) == "pending"
    start.made.clock.at += 3
    clock[0] = 62.0
    start.work()
    assert start.made.state("requests", request) == "approved"


class _Counted:
    """A lock that records who waits for it."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock, self.wanted = lock, threading.Semaphore(0)

    def __enter__(self) -> None:
        self.wanted.release()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_decisions_of_one_moment_share_a_call(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, lock = threading.Event(), _Counted(threading.Lock())
    # Only the lock shows who waits.
    start.people._reading = lock  # type: ignore[assignment] # noqa: SLF001
    read = start.slack.usergroups_list

    def slow(**asked: Any) -> dict[str, Any]:
        assert go_on.wait(10)
        return read(**asked)

    def ask() -> None:
        start.people.refresh_groups()
        start.made.world.db.close()

    monkeypatch.setattr(start.slack, "usergroups_list", slow)
    asking = [threading.Thread(target=ask) for _ in range(5)]
    for each in asking:
        each.start()
        assert lock.wanted.acquire(timeout=10)
    go_on.set()
    for each in asking:
        each.join(10)
    assert start.slack.asked.count("usergroups.list") == 2
    start.people.refresh_groups()
    assert start.slack.asked.count("usergroups.list") == 3


def test_a_renewal_uses_a_look_up_of_its_holder_within_a_minute(start: Start) -> None:
    made = start.made
    grant = made.a_grant()
    assert isinstance(renew_grant(made.world, grant.id, ANA, look_up_first=True), Waiting)
    assert made.grant(grant.id).renewals == 0
    start.slack.asked.clear()
    made.clock.at += 10
    start.work()
    assert "users.info" in start.slack.asked
    assert made.grant(grant.id).renewals == 1


def test_the_person_and_the_groups_are_looked_up_in_parallel(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=20)
    for method in ("usergroups_list", "users_info"):
        original = getattr(start.slack, method)
        monkeypatch.setattr(
            start.slack,
            method,
            lambda original=original, **asked: (both.wait(), original(**asked))[1],
        )
    assert start.people.confirm(BEN, groups=True).id == BEN


def test_an_older_answer_changes_nothing(start: Start) -> None:
    world = start.made.world
    record_groups(world, [("S0DB-LEADS", "db-leads", [CARA])], START + 10)
    record_groups(world, [("S0DB-LEADS", "db-leads", [BEN])], START + 9)
    with world.db.reading():
        assert world.directory().resolve(["@db-leads"]) == {CARA}


def test_groups_unread_for_ten_minutes_decide_nothing_and_the_leads_are_notified_once(
    start: Start,
) -> None:
    made = start.made
    start.people.refresh_groups()
    grant = made.a_grant()
    made.clock.at += 601
    made.know(replace(a_person(LEA), checked_at=made.clock.at))
    assert isinstance(revoke_grant(made.world, LEA, grant=grant.id), Refused)
    assert isinstance(start.ask("reports-read"), Waiting)
    made.forget_work()
    for _ in range(3):
        warn_of_old_groups(made.world, START)
    start.work()
    assert start.messenger.notes() == ["groups_unread"]
    assert unresolved_at_all(made.world) == ()
    start.people.refresh_groups()
    assert not isinstance(revoke_grant(made.world, LEA, grant=grant.id), Refused)


def test_a_lead_by_e_mail_who_became_a_guest_is_no_lead_a_minute_later(
    start: Start,
) -> None:
    made = start.made
    made.set_policy(workspace=WORKSPACE.replace("@platform-leads", "u0lea@example.com"))
    grant = made.a_grant()
    made.clock.at += 70
    assert LEA in people_to_check(made.world, START, 10)
    assert isinstance(revoke_grant(made.world, LEA, grant=grant.id), Refused)
    assert isinstance(read_audit(made.world, LEA, Filters()), Refused)
    made.know(replace(a_person(LEA), checked_at=made.clock.at))
    assert isinstance(read_audit(made.world, LEA, Filters()), list)
    made.know(replace(a_person(LEA), checked_at=made.clock.at, guest=True))
    assert isinstance(read_audit(made.world, LEA, Filters()), Refused)


def test_a_lead_is_looked_up_although_the_groups_were_not_read_for_a_while(start: Start) -> None:
    start.people.refresh_groups()
    start.made.clock.at += 1800
    ctx = ListenerContext(
        start.made.world, start.people, start.slack, lambda: "T1", lambda orders, given: {}
    )
    admitted = admit(ctx, SimpleNamespace(person=LEA, team="T1", enterprise="", place=""), "audit")  # type: ignore[arg-type]
    assert isinstance(admitted, Person)
    assert isinstance(read_audit(start.made.world, LEA, Filters()), list)


class TestOldGroups:
    """The events of every few seconds once groups are old."""

    def test_one_order_to_read_them_waits_however_long_slack_is_away(self, start: Start) -> None:
        start.people.refresh_groups()
        for _ in range(10):
            start.made.clock.at += 60
            refresh_old_groups(start.made.world)
        assert start.made.work() == ["refresh_groups"]

    def test_orders_of_one_moment_ask_slack_once(self, start: Start) -> None:
        for _ in range(3):
            save_refresh(start.made.world, ["groups"])
        start.made.clock.at += 1
        start.work()
        assert start.slack.asked == ["usergroups.list"]
        save_refresh(start.made.world, ["groups"])
        start.work()
        assert start.slack.asked == ["usergroups.list"] * 2

    def test_groups_are_not_read_if_roles_toml_names_none(self, start: Start) -> None:
        only = dict.fromkeys(
            ("shop_admin", "shop_deploy", "reports_read"),
            f'approvers = ["{BEN}", "{CARA}"]\nrequesters = ["{ANA}"]',
        )
        start.made.set_policy(workspace=WORKSPACE.replace("@platform-leads", LEA), **only)
        start.made.forget_work()
        refresh_old_groups(start.made.world)
        assert start.made.work() == []

    def test_a_repeated_refusal_is_recorded_once_in_five_minutes(self, start: Start) -> None:
        answer = start.slack.answer({"ok": False, "error": "missing_scope"})
        start.slack.error = SlackApiError("refused", answer)  # type: ignore[no-untyped-call]
        start.made.clock.at += -start.made.clock.at % 300
        for _ in range(60):
            refresh_old_groups(start.made.world)
            start.work()
            start.made.clock.at += 10
        assert len(start.slack.asked) == 60
        assert start.made.events("message:delivery:failed") == 2


AHEAD = 1800


class TestAClockAhead:
    """Another process stored facts from Slack with a clock that was half an hour ahead."""

    def test_a_person_who_was_removed_from_a_group_approves_nothing(self, start: Start) -> None:
        made, groups = start.made, [("S0DB-LEADS", "db-leads", [BEN])]
        request = made.a_request()
        made.forget_work()
        made.clock.at += AHEAD
        record_groups(made.world, groups, made.clock.at)
        made.clock.at -= AHEAD
        assert isinstance(approve_request(made.world, request.id, a_person(BEN)), Refused)
        refresh_old_groups(made.world)
        assert made.work().count("refresh_groups") == 1
        record_groups(made.world, [("S0DB-LEADS", "db-leads", [CARA])], made.clock.at)
        assert isinstance(approve_request(made.world, request.id, a_person(BEN)), Refused)
        assert isinstance(approve_request(made.world, request.id, a_person(CARA)), Granted)

    def test_a_lead_is_looked_up_again_and_the_new_answer_counts(self, start: Start) -> None:
        made, now = start.made, start.made.clock.at
        made.know(replace(a_person(LEA), checked_at=now + AHEAD))
        assert isinstance(read_audit(made.world, LEA, Filters()), Refused)
        assert LEA in people_to_check(made.world, START, 10)
        ctx = ListenerContext(
            made.world, start.people, start.slack, lambda: "T1", lambda orders, given: {}
        )
        admit(ctx, SimpleNamespace(person=LEA, team="T1", enterprise="", place=""), "audit")  # type: ignore[arg-type]
        assert isinstance(read_audit(made.world, LEA, Filters()), list)

    def test_a_person_who_became_a_guest_is_known_as_one(self, start: Start) -> None:
        made, now = start.made, start.made.clock.at
        made.know(replace(a_person(LEA), checked_at=now + AHEAD))
        made.know(replace(a_person(LEA), checked_at=now, guest=True))
        assert made.rows("SELECT guest FROM people WHERE id = ?", LEA) == [(1,)]

    def test_clocks_a_little_apart_change_nothing(self, start: Start) -> None:
        made, now = start.made, start.made.clock.at
        record_groups(made.world, [("S0DB-LEADS", "db-leads", [CARA])], now + 60)
        record_groups(made.world, [("S0DB-LEADS", "db-leads", [BEN])], now)
        with made.world.db.reading():
            assert made.world.directory().resolve(["@db-leads"]) == {CARA}


class TestWhileGroupsAreTooOld:
    def test_the_last_known_leads_of_the_group_are_notified(self, start: Start) -> None:
        start.people.refresh_groups()
        start.made.clock.at += 601
        assert start.made.world.directory().unresolved(["@platform-leads"])
        assert whom_to_notify(start.made.world)[1] == [LEA]
        forward_refused_notes(
            start.made.world,
            [(Kind.NOTIFY_SECURITY, {"note": "groups_unread"})],
            "#access-security",
            "is_archived",
        )
        start.work()
        assert start.sent_to(LEA)

    def test_approvers_get_the_request_by_direct_message_when_no_channel_takes_it(
        self, start: Start
    ) -> None:
        made = start.made
        request = made.a_request()
        start.people.refresh_groups()
        made.clock.at += 601
        made.forget_work()
        record_unposted(made.world, request.id, "#access-approvals", "is_archived")
        assert made.work().count("post_approval") == 1

    def test_an_operator_reads_that_the_requesters_are_unknown(self, start: Start) -> None:
        made = start.made
        made.set_policy(shop_admin='requesters = ["@engineers"]')
        request = made.a_request()
        start.people.refresh_groups()
        made.clock.at += 601
        refused = approve_request(made.world, request.id, a_person("os:eve"))
        assert isinstance(refused, Refused)
        assert refused.reason.startswith(
            "Slack has not said in the last ten minutes who is in @engineers."
        )
        start.people.refresh_groups()
        assert isinstance(approve_request(made.world, request.id, a_person("os:eve")), Granted)
