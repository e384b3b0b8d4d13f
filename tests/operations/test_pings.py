"""Escalations and quiet hours: when somebody is mentioned, and what follows from it."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bot.core.approval import Refused
from bot.operations.people.describe_person import describe_home
from bot.operations.process.next_due import next_due
from bot.operations.requests.approve_request import Granted, approve_request
from bot.operations.requests.deny_request import deny_request
from bot.operations.requests.describe_request import describe_request
from bot.operations.requests.ping_due import ping_due
from tests.builders import WORKSPACE
from tests.concurrency import together
from tests.factories import BEN, CARA, LEA, START, Made, a_person

ESCALATED = """
pending_timeout = "3d"
escalation = { after = "30m", approvers = ["@platform-leads"] }
"""
QUIET = WORKSPACE + 'quiet_hours = "19:00-08:00"\n'
MINUTE = 60


def _at(text: str) -> int:
    """A time on the clocks of the workspace on the day of START."""
    day = datetime.fromtimestamp(START, ZoneInfo("Europe/Berlin")).date()
    local = datetime.fromisoformat(f"{day} {text}").replace(tzinfo=ZoneInfo("Europe/Berlin"))
    return int(local.timestamp())


def _asked(made: Made, workspace: str = WORKSPACE, more: str = "") -> str:
    """A request that a channel and one direct message show."""
    made.set_policy(workspace=workspace, shop_admin=more + ESCALATED)
    request = made.a_request().id
    with made.world.db.transaction():
        for channel in ("C1", "D1"):
            made.world.db.run("INSERT INTO messages VALUES (?, ?, '1.1')", request, channel)
    made.forget_work()
    return request


def _sweep(made: Made, at: int) -> int:
    """The messages that the sweep sends at that time."""
    made.forget_work()
    made.clock.at = at
    ping_due(made.world)
    return made.work().count("ping")


def test_backups_are_mentioned_after_growing_pauses_and_each_time_is_on_record(made: Made) -> None:
    _asked(made)
    sent = [minute for minute in range(0, 500, 10) if _sweep(made, START + minute * MINUTE)]
    assert sent == [30, 90, 210, 450]
    found = [json.loads(detail) for (detail,) in made.log("request:escalation:sent", "detail")]
    assert [(each["times"], each["waited"]) for each in found] == [
        (1, 30 * MINUTE),
        (2, 90 * MINUTE),
        (3, 210 * MINUTE),
        (4, 450 * MINUTE),
    ]
    assert found[0]["backups"] == ["@platform-leads"]


def test_the_clock_wakes_for_an_escalation(made: Made) -> None:
    _asked(made)
    assert next_due(made.world) == START + 30 * MINUTE


def test_backups_decide_from_the_first_escalation_on_and_get_it_directly(made: Made) -> None:
    request = _asked(made)
    refused = approve_request(made.world, request, a_person(LEA))
    assert isinstance(refused, Refused) and "You are a backup" in refused.reason
    assert describe_home(made.world, LEA).waiting_for_me == ()
    _sweep(made, START + 30 * MINUTE)
    direct = made.rows("SELECT data FROM outbox WHERE kind = 'post_approval'")
    assert [json.loads(data)["channel"] for (data,) in direct] == [LEA]
    assert [each.id for each in describe_home(made.world, LEA).waiting_for_me] == [request]
    assert isinstance(approve_request(made.world, request, a_person(LEA)), Granted)
    ((detail,),) = made.log("request:vote:given", "detail")
    assert json.loads(detail)["backup"] == "yes"


def test_missed_escalations_are_sent_once(made: Made) -> None:
    _asked(made)
    assert _sweep(made, START + 600 * MINUTE) == 2  # in the channel and in the direct message
    assert made.events("request:escalation:sent") == 1


def test_of_two_processes_one_escalates(made: Made) -> None:
    _asked(made)
    made.clock.at += 30 * MINUTE
    together(made.world.db, [lambda: ping_due(made.world)] * 4)
    assert made.events("request:escalation:sent") == 1
    assert made.work().count("ping") == 2


def test_a_decided_request_escalates_no_more(made: Made) -> None:
    request = _asked(made)
    deny_request(made.world, request, a_person(BEN), "no")
    assert _sweep(made, START + 30 * MINUTE) == 0
    assert made.count("pings") == 0


def test_another_approver_does_not_become_a_backup_by_an_escalation(made: Made) -> None:
    request = _asked(made)
    _sweep(made, START + 30 * MINUTE)
    assert isinstance(approve_request(made.world, request, a_person(CARA)), Refused)


# --- quiet hours


def test_an_escalation_waits_for_the_end_of_the_quiet_hours(made: Made) -> None:
    made.clock.at = _at("18:50")
    _asked(made, QUIET)
    assert _sweep(made, _at("19:20")) == 0
    assert next_due(made.world) == _at("08:00") + 86400
    assert _sweep(made, _at("08:00") + 86400 - 1) == 0
    assert _sweep(made, _at("08:00") + 86400) == 2


def test_a_request_in_quiet_hours_is_mentioned_when_they_are_over(made: Made) -> None:
    made.clock.at = _at("20:00")
    request = _asked(made, QUIET)
    card = describe_request(made.world, request)
    assert card is not None
    assert (card.notify, card.quiet_until) == ((), _at("08:00") + 86400)
    assert _sweep(made, _at("08:00") + 86400) == 2
    card = describe_request(made.world, request)
    assert card is not None and card.notify == ("S0DB-LEADS", "S0PLATFORM-LEADS")


def test_without_an_escalation_the_deciders_are_mentioned_after_quiet_hours(made: Made) -> None:
    made.set_policy(workspace=QUIET, shop_admin='pending_timeout = "3d"')
    made.clock.at = _at("20:00")
    request = made.a_request().id
    with made.world.db.transaction():
        made.world.db.run("INSERT INTO messages VALUES (?, 'C1', '1.1')", request)
    assert _sweep(made, _at("08:00") + 86400) == 1
    assert made.events("request:escalation:sent") == 0
    assert _sweep(made, _at("09:00") + 86400) == 0


@pytest.mark.parametrize("risk", ["low", "medium"])
def test_quiet_hours_hold_for_a_risk_below_high(made: Made, risk: str) -> None:
    made.clock.at = _at("20:00")
    _asked(made, QUIET, f'risk = "{risk}"\n')
    assert _sweep(made, _at("20:30")) == 0


def test_a_high_risk_is_mentioned_in_quiet_hours(made: Made) -> None:
    made.clock.at = _at("20:00")
    request = _asked(made, QUIET, 'risk = "high"\nrisk_reason = "one is enough"\n')
    card = describe_request(made.world, request)
    assert card is not None and card.notify == ("S0DB-LEADS",)
    assert _sweep(made, _at("20:30")) == 2
