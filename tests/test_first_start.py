"""Nothing is refused and nobody is alerted because Slack has not been asked yet who is in a
group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from bot.core.approval import Refused
from bot.core.effects import Queue
from bot.core.eligibility import Ask
from bot.core.errors import SystemUnavailable
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.people.require_lead import require_lead
from bot.operations.policy.find_unresolved import unresolved_at_all
from bot.operations.policy.record_policy import record_loaded
from bot.operations.requests.accept_vote import Taken
from bot.operations.requests.request_access import Submitted, Waiting, request_access
from bot.operations.usage.count_usage import UsageMeter
from bot.slack.people import SlackPeople
from bot.worker.dispatcher import Dispatcher
from tests.builders import WORKSPACE
from tests.factories import ANA, BEN, GROUPS, LEA, Made, make_world
from tests.fakes import FakeMessenger, FakeSystem, FakeSystems

NEW = 'approvers = ["@new-team"]'
LED = WORKSPACE.replace("@platform-leads", "@new-leads")
ALL = {**GROUPS, "new-team": [BEN], "new-leads": [LEA]}


class Slack(WebClient):
    """What Slack answers about groups and people. `error` is what every call is refused with."""

    def __init__(
        self, groups: dict[str, Sequence[str]], emails: dict[str, str] | None = None
    ) -> None:
        self.groups, self.emails = groups, emails or {}
        self.error: Exception | None = None
        self.asked: list[str] = []

    def api_call(self, api_method: str, **arguments: Any) -> Any:
        self.asked.append(api_method)
        if self.error is not None:
            raise self.error
        return self.answer(
            getattr(self, api_method.replace(".", "_"))(**(arguments.get("params") or {}))
        )

    def answer(self, data: dict[str, Any]) -> SlackResponse:
        return SlackResponse(
            client=self,
            http_verb="POST",
            api_url="",
            req_args={},
            data=data,
            headers={},
            status_code=200,
        )

    def usergroups_list(self, **_: Any) -> dict[str, Any]:  # type: ignore[override]
        groups = [
            {"id": f"S0{name.upper()}", "handle": name, "users": [*who]}
            for name, who in self.groups.items()
        ]
        return {"ok": True, "usergroups": groups}

    def users_list(self, **_: Any) -> dict[str, Any]:  # type: ignore[override]
        return {"ok": True, "members": []}

    def users_info(self, user: str) -> dict[str, Any]:  # type: ignore[override]
        return {"ok": True, "user": {"id": user, "team_id": "T1", "profile": {"email": ""}}}

    def users_lookupByEmail(self, email: str) -> dict[str, Any]:  # type: ignore[override]
        if email not in self.emails:
            answer = self.answer({"ok": False, "error": "users_not_found"})
            raise SlackApiError("refused", answer)  # type: ignore[no-untyped-call]
        return {
            "ok": True,
            "user": {"id": self.emails[email], "team_id": "T1", "profile": {"email": email}},
        }


class Start:
    """A process that has just been started with a new roles.toml, and whose first look at Slack is
    still to come."""

    def __init__(self, made: Made, slack: Slack) -> None:
        self.made, self.slack, self.said = made, slack, FakeMessenger()
        self.people = SlackPeople(slack, made.world, lambda: "T1")
        systems, meter = FakeSystems(FakeSystem()), UsageMeter(made.world)
        self.delivery = Dispatcher(made.world, systems, self.said, self.people, meter)  # type: ignore[arg-type]

    def ask(self, role: str = "shop-admin", **more: Any) -> object:
        return request_access(self.made.world, Ask(ANA, role, "because", ticket="OPS-1", **more))

    def work(self) -> None:
        for queue in (Queue.DECIDE, Queue.SLACK):
            self.delivery.drain(queue)

    def told(self, to: str) -> list[dict[str, Any]]:
        return [dict(data) for said in self.said.said for _, data in said if to in data.values()]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`shop-admin` is decided by a group that the database doesn't know, and so are the leads."""
    made = make_world(tmp_path)
    made.reload(workspace=LED, shop_admin=NEW)
    made.forget_work()
    yield Start(made, Slack(ALL))
    made.world.db.close()


def test_a_first_start_alerts_nobody_before_slack_was_asked_and_nobody_after_it_when_all_is_well(
    start: Start,
) -> None:
    record_loaded(start.made.world, start.made.world.policy())
    assert unresolved_at_all(start.made.world)
    start.work()
    assert start.said.notes() == []
    start.people.refresh_groups()
    start.work()
    assert start.said.notes() == [] and not unresolved_at_all(start.made.world)


def test_what_really_nobody_can_decide_is_told_when_slack_has_answered_for_all_of_its_approvers(
    start: Start,
) -> None:
    start.slack.groups = {**GROUPS, "new-leads": [LEA]}
    record_loaded(start.made.world, start.made.world.policy())
    start.work()
    assert start.said.notes() == []
    start.people.refresh_groups()
    start.work()
    assert {data["role"] for data in start.told("nobody_can_decide")} >= {"shop-admin"}


def test_a_request_before_the_first_look_asks_slack_itself_and_is_answered(start: Start) -> None:
    assert isinstance(start.ask(channel="C1"), Waiting)
    start.work()
    (answer,) = start.told(ANA)
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
    assert start.told(ANA) == [] and start.made.log("request:action:refused") == []
    again = Start(start.made, Slack(ALL))
    again.work()
    assert [data["note"] for data in again.told(ANA)] == ["asked"]


def test_a_request_that_slack_does_not_answer_for_is_refused_in_the_end_and_on_record(
    start: Start,
) -> None:
    start.slack.error = SystemUnavailable("Slack is down")
    start.ask()
    start.made.clock.at += 8 * 3600 + 1
    start.work()
    start.slack.error = None
    start.work()
    assert "Slack did not say" in start.told(ANA)[0]["why"]
    assert start.made.events("request:action:refused") == 1


def test_who_may_not_ask_hears_it_when_slack_has_said_so(start: Start) -> None:
    start.made.reload(shop_admin='requesters = ["@new-team"]')
    start.ask()
    start.work()
    (answer,) = start.told(ANA)
    assert answer["note"] == "refused" and "only for @new-team" in answer["why"]
    assert start.made.events("request:action:refused") == 1


def test_what_is_wrong_whoever_is_in_a_group_is_refused_at_once(start: Start) -> None:
    refused = request_access(start.made.world, Ask(ANA, "shop-admin", "", ticket="OPS-1"))
    assert isinstance(refused, Refused) and refused.field == "reason"


def test_an_address_is_looked_up_too_and_one_without_a_person_is_known_to_be_nobody_s(
    start: Start,
) -> None:
    start.made.reload(shop_admin='approvers = ["eva@example.com", "none@example.com"]')
    start.slack.emails = {"eva@example.com": "U0EVA"}
    start.ask()
    start.work()
    assert start.told(ANA)[0]["note"] == "asked"
    assert not start.made.world.directory().unresolved(["none@example.com"])
    assert start.slack.asked.count("users.lookupByEmail") == 2


def test_a_press_before_the_first_look_is_kept_and_counts_when_slack_has_said_who_may_decide(
    start: Start,
) -> None:
    start.made.set_policy()
    request = start.made.a_request()
    start.made.reload(shop_admin=NEW)
    assert isinstance(start.made.press(request.id, BEN), Taken)
    start.work()
    assert start.made.state("requests", request.id) == "approved"


def test_a_renewal_before_the_first_look_waits_too(start: Start) -> None:
    start.made.set_policy()
    grant = start.made.a_grant()
    start.made.clock.at += 600
    start.made.forget_work()
    start.made.reload(shop_admin=NEW + "\nrenewal_approval = true")
    assert isinstance(renew_grant(start.made.world, grant.id, ANA, reason="more"), Waiting)
    start.work()
    assert [data["note"] for data in start.told(ANA)] == ["asked"]


def test_who_may_be_a_lead_is_not_told_that_they_are_none(start: Start) -> None:
    refused = require_lead(start.made.world, LEA, "read the audit log")
    assert (
        refused is not None and "has not said yet who the leads are (@new-leads)" in refused.reason
    )
    start.people.resolve(["@new-leads"])
    assert require_lead(start.made.world, LEA, "read the audit log") is None
    other = require_lead(start.made.world, ANA, "read the audit log")
    assert other is not None and "Only leads" in other.reason


def test_nobody_asks_slack_again_for_what_it_has_answered(start: Start) -> None:
    start.people.refresh_groups()
    start.slack.asked.clear()
    assert isinstance(start.ask(), Submitted)
    start.work()
    assert start.slack.asked == []
