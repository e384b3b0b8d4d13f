"""Nothing is refused and nobody is alerted only because Slack has not been asked yet who is in a
group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.approval import Refused
from bot.core.eligibility import Ask
from bot.core.errors import SystemUnavailable
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.people.require_lead import require_lead
from bot.operations.policy.find_unresolved import unresolved_at_all
from bot.operations.policy.record_policy import record_loaded
from bot.operations.requests.accept_vote import Taken
from bot.operations.requests.request_access import Submitted, Waiting, request_access
from tests.builders import WORKSPACE
from tests.factories import ANA, BEN, GROUPS, LEA, make_world
from tests.first_look import Slack, Start

NEW = 'approvers = ["@new-team"]'
LED = WORKSPACE.replace("@platform-leads", "@new-leads")
ALL = {**GROUPS, "new-team": [BEN], "new-leads": [LEA]}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """The approvers of `shop-admin` are a group that the database doesn't know, and so are the
    leads."""
    made = make_world(tmp_path)
    made.reload(workspace=LED, shop_admin=NEW)
    made.forget_work()
    yield Start(made, Slack(ALL))
    made.world.db.close()


def test_a_first_start_with_good_groups_alerts_nobody_before_and_after_the_look_up(
    start: Start,
) -> None:
    record_loaded(start.made.world, start.made.world.policy())
    assert unresolved_at_all(start.made.world)
    start.work()
    assert start.messenger.notes() == []
    start.people.refresh_groups()
    start.work()
    assert start.messenger.notes() == [] and not unresolved_at_all(start.made.world)


def test_a_role_without_approvers_is_reported_when_slack_has_answered_for_all_of_them(
    start: Start,
) -> None:
    start.slack.groups = {**GROUPS, "new-leads": [LEA]}
    record_loaded(start.made.world, start.made.world.policy())
    start.work()
    assert start.messenger.notes() == []
    start.people.refresh_groups()
    start.work()
    assert {data["role"] for data in start.sent_to("nobody_can_decide")} >= {"shop-admin"}


def test_a_request_before_the_first_look_up_asks_slack_itself_and_is_answered(start: Start) -> None:
    assert isinstance(start.ask(channel="C1"), Waiting)
    start.work()
    (answer,) = start.sent_to(ANA)
    assert answer["note"] == "asked" and answer["channel"] == "C1"
    assert start.made.state("requests", answer["request"]) == "pending"
    assert start.made.log("request:action:refused") == []
    assert start.slack.asked == ["users.info", "usergroups.list"]


def test_a_request_while_slack_is_down_waits_for_it_over_a_restart_and_is_answered_when_it_is_back(
    start: Start,
) -> None:
    start.slack.error = SystemUnavailable("Slack is down")
    start.ask()
    for _ in range(5):
        start.work()
        start.made.clock.at += 60
    assert start.sent_to(ANA) == [] and start.made.log("request:action:refused") == []
    again = Start(start.made, Slack(ALL))
    again.work()
    assert [data["note"] for data in again.sent_to(ANA)] == ["asked"]


def test_a_request_without_an_answer_of_slack_is_finally_refused_and_recorded(
    start: Start,
) -> None:
    start.slack.error = SystemUnavailable("Slack is down")
    start.ask()
    start.made.clock.at += 8 * 3600 + 1
    start.work()
    start.slack.error = None
    start.work()
    assert "Slack did not say" in start.sent_to(ANA)[0]["why"]
    assert start.made.events("request:action:refused") == 1


def test_an_ineligible_requester_is_refused_after_slack_has_answered(start: Start) -> None:
    start.made.reload(shop_admin='requesters = ["@new-team"]')
    start.ask()
    start.work()
    (answer,) = start.sent_to(ANA)
    assert answer["note"] == "refused" and "only for @new-team" in answer["why"]
    assert start.made.events("request:action:refused") == 1


def test_a_request_that_no_group_could_allow_is_refused_at_once(start: Start) -> None:
    refused = request_access(start.made.world, Ask(ANA, "shop-admin", "", ticket="OPS-1"))
    assert isinstance(refused, Refused) and refused.field == "reason"


def test_an_e_mail_is_looked_up_too_and_may_belong_to_nobody(
    start: Start,
) -> None:
    start.made.reload(shop_admin='approvers = ["eva@example.com", "none@example.com"]')
    start.slack.emails = {"eva@example.com": "U0EVA"}
    start.ask()
    start.work()
    assert start.sent_to(ANA)[0]["note"] == "asked"
    assert not start.made.world.directory().unresolved(["none@example.com"])
    assert start.slack.asked.count("users.lookupByEmail") == 2


def test_a_press_before_the_first_look_up_counts_when_slack_has_answered(
    start: Start,
) -> None:
    start.made.set_policy()
    request = start.made.a_request()
    start.made.reload(shop_admin=NEW)
    assert isinstance(start.made.press(request.id, BEN), Taken)
    start.work()
    assert start.made.state("requests", request.id) == "approved"


def test_a_renewal_before_the_first_look_up_waits_too(start: Start) -> None:
    start.made.set_policy()
    grant = start.made.a_grant()
    start.made.clock.at += 600
    start.made.forget_work()
    start.made.reload(shop_admin=NEW + "\nrenewal_approval = true")
    assert isinstance(renew_grant(start.made.world, grant.id, ANA, reason="more"), Waiting)
    start.work()
    assert [data["note"] for data in start.sent_to(ANA)] == ["asked"]


def test_a_possible_lead_is_not_refused_before_the_look_up(start: Start) -> None:
    refused = require_lead(start.made.world, LEA, "read the audit log")
    assert (
        refused is not None and "has not said yet who the leads are (@new-leads)" in refused.reason
    )
    start.people.resolve(["@new-leads"])
    assert require_lead(start.made.world, LEA, "read the audit log") is None
    other = require_lead(start.made.world, ANA, "read the audit log")
    assert other is not None and "Only leads" in other.reason


def test_slack_is_not_asked_again_for_a_known_answer(start: Start) -> None:
    start.people.refresh_groups()
    start.slack.asked.clear()
    assert isinstance(start.ask(), Submitted)
    start.work()
    assert start.slack.asked == []
