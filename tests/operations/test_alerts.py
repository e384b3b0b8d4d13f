"""Unconfirmed ends: alerts on a schedule, until a lead has acknowledged them or the system has
confirmed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import bot.operations.systems.acknowledge_alert as acknowledge_end_file
from bot.core.approval import Refused
from bot.core.lifecycle import next_alert
from bot.core.model import Grant
from bot.operations.grants.record_results import record_end_failed, record_start_failed
from bot.operations.grants.release_grant import release_grant
from bot.operations.process.forget_old import forget_old
from bot.operations.process.next_due import next_due
from bot.operations.systems.acknowledge_alert import acknowledge_all, acknowledge_end
from bot.operations.systems.alert_due import send_due_alerts, watch_ends
from bot.operations.systems.describe_alerts import alerts_in, describe_alerts, record_alert_posted
from tests.factories import ANA, LEA, Made, a_person

MINUTE, HOUR = 60, 3600
SHOP = "shop-admin"


def failing(made: Made, attempts: int = 1, grant: Grant | None = None) -> Grant:
    """A grant whose end has failed this often."""
    grant = grant or made.a_grant()
    if made.grant(grant.id).state == "active":
        release_grant(made.world, grant.id, grant.person)
    record_end_failed(made.world, grant.id, SHOP, "no route to host", attempts)
    return grant


def attempts_at_alerts(made: Made) -> list[int]:
    """The number of tries of the end at the time of each alert."""
    return [json.loads(detail)["attempts"] for (detail,) in made.log("grant:end:failed", "detail")]


def alert(made: Made, grant: Grant) -> str:
    """The id of the alert about this grant's end."""
    return str(made.rows("SELECT id FROM alerts WHERE grant_id = ?", grant.id)[0][0])


@pytest.mark.parametrize(
    ("age", "after"),
    [
        (0, 15 * MINUTE),
        (15 * MINUTE, HOUR),
        (20 * MINUTE, HOUR),
        (HOUR, 5 * HOUR),
        (5 * HOUR - 1, 5 * HOUR),
        (5 * HOUR, 9 * HOUR),
        (100 * HOUR, 101 * HOUR),
    ],
)
def test_it_is_alerted_after_a_quarter_an_hour_then_after_an_hour_then_every_four(
    age: int, after: int
) -> None:
    assert next_alert(1000, 1000 + age) == 1000 + after


def test_the_schedule_is_kept_in_rows_however_often_the_end_is_retried(made: Made) -> None:
    failing(made)
    start = made.clock.at
    for minute in range(1, 10 * 60):
        made.clock.at = start + minute * MINUTE
        failing(made, minute + 1, made.grant(made.rows("SELECT id FROM grants")[0][0]))
        assert send_due_alerts(made.world) in (0, 1)
    assert attempts_at_alerts(made) == [1, 16, 61, 301, 541]
    assert made.work().count("alert") == 5


def test_the_clock_is_set_to_the_next_time(made: Made) -> None:
    start = made.clock.at
    failing(made)
    assert next_due(made.world) == start + 15 * MINUTE
    assert any(due == start + 15 * MINUTE for _, due in made.wakes)
    made.clock.at = start + 3 * HOUR  # no process ran meanwhile: the missed alerts are one
    assert send_due_alerts(made.world) == 1
    assert send_due_alerts(made.world) == 0
    assert next_due(made.world) == start + 5 * HOUR


def test_a_system_that_never_answers_is_alerted_too(made: Made) -> None:
    grant = made.a_grant()
    release_grant(made.world, grant.id, ANA)
    assert (watch_ends(made.world), watch_ends(made.world), send_due_alerts(made.world)) == (
        1,
        0,
        0,
    )
    made.clock.at += MINUTE
    assert send_due_alerts(made.world) == 1
    assert (
        json.loads(made.log("grant:end:failed", "detail")[0][0])["error"]
        == "the system has not answered"
    )
    record_end_failed(made.world, grant.id, SHOP, "at last an error", 1)
    assert attempts_at_alerts(made) == [0]


def test_the_removal_after_a_failed_start_is_alerted_too(made: Made) -> None:
    grant = made.a_started(made.a_request())
    record_start_failed(made.world, grant.id, "refused")
    made.clock.at += MINUTE
    assert send_due_alerts(made.world) == 1
    made.close_gates(grant)
    assert made.rows("SELECT confirmed_at FROM alerts") == [(made.clock.at,)]


def test_an_end_that_was_confirmed_before_its_alert_is_not_alerted(made: Made) -> None:
    grant = made.a_grant()
    release_grant(made.world, grant.id, ANA)
    watch_ends(made.world)
    made.close_gates(grant)
    made.clock.at += HOUR
    assert send_due_alerts(made.world) == 0
    assert "notify_security" not in made.work()


class TestAcknowledging:
    def test_an_acknowledgement_stops_the_alerts_and_not_the_retries(self, made: Made) -> None:
        grant = failing(made)
        assert acknowledge_end(made.world, LEA, alert(made, grant)) is None
        made.clock.at += 30 * HOUR
        assert send_due_alerts(made.world) == 0
        record_end_failed(made.world, grant.id, SHOP, "still", 99)
        assert attempts_at_alerts(made) == [1]
        assert made.log("grant:end:acknowledged", 'actor, system, "grant"') == [
            (LEA, SHOP, grant.id)
        ]
        assert made.state("grants", grant.id) == "ending"

    def test_others_are_refused_with_the_reason_and_recorded(self, made: Made) -> None:
        grant = failing(made)
        refused = acknowledge_end(made.world, ANA, alert(made, grant))
        assert isinstance(refused, Refused) and "Only leads" in refused.reason
        assert made.log("request:action:refused", 'actor, "grant"') == [(ANA, grant.id)]
        made.clock.at += HOUR
        assert send_due_alerts(made.world) == 1

    def test_a_former_lead_is_refused(self, made: Made) -> None:
        grant = failing(made)
        made.set_groups(platform_leads=[])
        assert isinstance(acknowledge_end(made.world, LEA, alert(made, grant)), Refused)

    def test_a_second_acknowledgement_and_an_unknown_alert_are_refused(self, made: Made) -> None:
        grant = failing(made)
        acknowledge_end(made.world, LEA, alert(made, grant))
        again = acknowledge_end(made.world, LEA, alert(made, grant))
        assert isinstance(again, Refused) and "Already acknowledged" in again.reason
        for forged in ("a0", grant.id, ""):
            assert isinstance(acknowledge_end(made.world, LEA, forged), Refused)
        assert made.events("grant:end:acknowledged") == 1

    def test_only_the_acknowledged_lease_is_silent(self, made: Made) -> None:
        one, other = failing(made), failing(made, grant=made.a_grant(person="U0CARA"))
        acknowledge_end(made.world, LEA, alert(made, one))
        made.clock.at += HOUR
        assert send_due_alerts(made.world) == 1
        assert made.log("grant:end:failed", '"grant"')[-1] == (other.id,)


class TestAcknowledgingAll:
    """A system that is down leaves many alerts; nobody should have to press for each."""

    def test_all_leases_of_a_system_are_silent_and_recorded_and_each_message_is_updated_once(
        self, made: Made
    ) -> None:
        ends = [
            failing(made, grant=made.a_grant(person=person)) for person in (ANA, "U0CARA", "U0DAN")
        ]
        other = made.a_grant("reports-read")
        release_grant(made.world, other.id, ANA)
        record_end_failed(made.world, other.id, "reports", "down", 1)
        record_alert_posted(
            made.world, "C1", "1.1", describe_alerts(made.world, [(each.id, SHOP) for each in ends])
        )
        made.forget_work()
        assert acknowledge_all(made.world, LEA, alert(made, ends[1])) == 3
        assert made.work() == ["update_alert"]
        assert {grant for (grant,) in made.log("grant:end:acknowledged", '"grant"')} == {
            each.id for each in ends
        }
        made.clock.at += HOUR
        assert send_due_alerts(made.world) == 1
        assert made.log("grant:end:failed", '"grant"')[-1] == (other.id,)
        assert isinstance(acknowledge_all(made.world, LEA, alert(made, ends[0])), Refused)

    def test_a_press_that_is_full_leaves_the_rest_to_another(
        self, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(acknowledge_end_file, "MOST", 2)
        ends = [
            failing(made, grant=made.a_grant(person=person)) for person in (ANA, "U0CARA", "U0DAN")
        ]
        assert [acknowledge_all(made.world, LEA, alert(made, ends[0])) for _ in range(2)] == [2, 1]

    def test_others_and_an_unknown_alert_are_refused(self, made: Made) -> None:
        grant = failing(made)
        assert isinstance(acknowledge_all(made.world, ANA, alert(made, grant)), Refused)
        assert isinstance(acknowledge_all(made.world, LEA, "a0"), Refused)
        assert made.events("request:action:refused") == 2
        assert made.events("grant:end:acknowledged") == 0


class TestGoneAtLast:
    @pytest.mark.parametrize("acknowledged", [False, True])
    def test_the_confirmation_is_reported_once_even_if_acknowledged(
        self, made: Made, acknowledged: bool
    ) -> None:
        grant = failing(made)
        if acknowledged:
            acknowledge_end(made.world, LEA, alert(made, grant))
        made.forget_work()
        made.close_gates(grant)
        made.close_gates(grant)
        assert made.work().count("notify_security") == 1
        made.clock.at += HOUR
        assert send_due_alerts(made.world) == 0
        made.know(replace(a_person(LEA), checked_at=made.clock.at))
        refused = acknowledge_end(made.world, LEA, alert(made, grant))
        assert isinstance(refused, Refused) and "confirmed" in refused.reason

    def test_an_end_without_failures_reports_nothing(self, made: Made) -> None:
        grant = made.a_grant()
        release_grant(made.world, grant.id, ANA)
        made.close_gates(grant)
        assert "notify_security" not in made.work()

    def test_an_alert_is_deleted_after_a_month(self, made: Made) -> None:
        grant = failing(made)
        record_alert_posted(
            made.world, "C1", "1.1", describe_alerts(made.world, [(grant.id, SHOP)])
        )
        made.close_gates(grant)
        made.clock.at += 31 * 24 * HOUR
        forget_old(made.world)
        assert (made.count("alerts"), made.count("alert_messages")) == (0, 0)


class TestMessages:
    def test_every_message_about_it_is_updated_once(self, made: Made) -> None:
        grant, other = failing(made), failing(made, grant=made.a_grant(person="U0CARA"))
        views = describe_alerts(made.world, [(other.id, SHOP), (grant.id, SHOP), ("g0", SHOP)])
        assert [view.grant.id for view in views] == [other.id, grant.id]
        for ts in ("1.1", "2.2"):
            record_alert_posted(made.world, "C1", ts, views)
        made.forget_work()
        acknowledge_end(made.world, LEA, alert(made, grant))
        acknowledge_end(made.world, LEA, alert(made, other))
        assert made.work() == ["update_alert", "update_alert"]
        assert [view.alert.acknowledged_by for view in alerts_in(made.world, "C1", "2.2")] == [
            LEA,
            LEA,
        ]

    def test_a_change_during_the_post_is_shown_afterwards(self, made: Made) -> None:
        grant = failing(made)
        views = describe_alerts(made.world, [(grant.id, SHOP)])
        acknowledge_end(made.world, LEA, alert(made, grant))
        made.forget_work()
        record_alert_posted(made.world, "C1", "1.1", views)
        assert made.work() == ["update_alert"]
