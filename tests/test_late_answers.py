"""Systems that answer a call from before an end late, or not at all: the end does not wait, and
access that appears after it is removed and reported."""

from __future__ import annotations

import threading

import pytest

import bot.worker.queue_worker
from bot.core.effects import Queue
from bot.core.errors import SystemUnavailable
from bot.core.model import EndReason, Grant, GrantState, ProvisionOrder
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.record_results import LATE
from bot.operations.grants.renew_grant import Renewed, renew_grant
from bot.operations.systems.alert_due import send_due_alerts, watch_ends
from bot.worker.queue_worker import LONGEST_ASKED, SETTINGS
from tests.delivery_harness import DeliveryHarness
from tests.factories import ANA
from tests.waiting import until

SECURITY = "#access-security"
DAY = 86400


def renewed(harness: DeliveryHarness) -> Grant:
    """An active grant whose system has to get the new end."""
    grant = harness.active()
    harness.made.clock.at += 600
    assert isinstance(renew_grant(harness.made.world, grant.id, ANA), Renewed)
    return grant


def sent_notes(harness: DeliveryHarness, to: str) -> list[str]:
    harness.delivery.drain(Queue.SLACK)
    return harness.slack.notes(to)


def overtaken(harness: DeliveryHarness) -> None:
    """One process claims the call of a system, and its claim runs out during the call. Another one
    does the work, and ends the grant; then the first call arrives."""
    second, real = harness.another(), harness.system.grant
    queue = harness.delivery.loops[Queue.START]
    (work,) = queue.works(queue.claimed.take(1))

    def slow(order: ProvisionOrder) -> None:
        harness.system.grant = real  # type: ignore[method-assign]
        harness.made.clock.at += SETTINGS[Queue.START].claim
        assert second.drain(Queue.START) == 1
        harness.release(harness.made.grant(order.grant))
        assert second.drain(Queue.END) == 1
        assert (harness.state(harness.made.grant(order.grant)), harness.system.held) == (
            GrantState.ENDED,
            set(),
        )
        real(order)

    harness.system.grant = slow  # type: ignore[method-assign]
    harness.delivery.handle(work)
    assert harness.system.held != set()


# --- an end waits for no pause


@pytest.mark.parametrize("do", ["start", "extension"])
def test_an_end_overtakes_a_call_that_failed_when_it_was_requested(
    running: DeliveryHarness, do: str
) -> None:
    """The system asks for a pause of an hour, and the end was requested during the call."""
    running.system.hang("grant")
    grant = running.starting() if do == "start" else renewed(running)
    running.delivery.wake(list(Queue))
    until(lambda: running.system.inside)
    running.release(grant)
    running.system.failing["grant"] = SystemUnavailable("slow down", 3600)
    running.system.free()
    until(lambda: running.state(grant) is GrantState.ENDED)
    left = [kind for kind, *_ in running.waiting(Queue.START) if kind != "sum_usage"]
    running.system.failing.clear()
    running.made.clock.at += 3600
    running.delivery.wake(list(Queue))
    until(lambda: not running.waiting(Queue.START))
    assert left and running.system.count_calls("grant") == 1 and running.system.held == set()


@pytest.mark.parametrize(("asked", "paused"), [(60, 60), (DAY, LONGEST_ASKED), (0, 1)])
def test_an_end_is_retried_soon_whatever_pause_the_system_asks_for(
    harness: DeliveryHarness, asked: int, paused: int
) -> None:
    grant = harness.active()
    harness.system.failing["revoke"] = SystemUnavailable("slow down", asked)
    harness.release(grant)
    harness.delivery.drain(Queue.END)
    assert [due - harness.made.clock.at for _, due, _, _ in harness.waiting(Queue.END)] == [paused]


# --- access that appears after an end


@pytest.mark.parametrize("do", ["start", "extension"])
def test_access_made_by_a_process_that_lost_its_claim_is_removed(
    harness: DeliveryHarness, do: str
) -> None:
    grant = harness.starting() if do == "start" else renewed(harness)
    overtaken(harness)
    harness.delivery.drain(Queue.END)
    assert harness.system.held == set()
    assert harness.state(grant) is GrantState.ENDED


@pytest.mark.parametrize("do", ["start", "extension"])
def test_access_that_cannot_be_removed_is_ending_again_and_reported(
    harness: DeliveryHarness, do: str
) -> None:
    grant = harness.starting() if do == "start" else renewed(harness)
    overtaken(harness)
    harness.system.failing["revoke"] = SystemUnavailable("down")
    harness.turn(Queue.END, 3)
    assert harness.rows("SELECT state, error FROM leases") == [("ending", "down")]
    assert sent_notes(harness, SECURITY) == ["alert"]
    harness.system.failing.clear()
    harness.turn(Queue.END)
    assert harness.system.held == set()
    assert harness.rows("SELECT state, error FROM leases") == [("ended", "")]
    assert sent_notes(harness, SECURITY) == ["alert", "end_confirmed"]
    assert (
        harness.state(grant) is GrantState.ENDED and harness.made.events("grant:access:ended") == 2
    )


def test_an_end_that_another_process_confirmed_meanwhile_stays_confirmed(
    harness: DeliveryHarness,
) -> None:
    grant, second = harness.active(), harness.another()
    harness.release(grant)
    queue = harness.delivery.loops[Queue.END]
    (work,) = queue.works(queue.claimed.take(1))

    def slow(order: ProvisionOrder) -> None:
        harness.made.clock.at += SETTINGS[Queue.END].claim
        del harness.system.revoke
        assert second.drain(Queue.END) == 1
        raise SystemUnavailable("it has not answered")

    harness.system.revoke = slow  # type: ignore[method-assign]
    harness.delivery.handle(work)
    assert harness.rows("SELECT state FROM leases") == [("ended",)]
    assert sent_notes(harness, SECURITY) == [] and harness.waiting(Queue.END) == []


def given_up(harness: DeliveryHarness, how: str) -> ProvisionOrder:
    """A grant has ended after its system did not answer the call that makes or extends the
    access."""
    grant = renewed(harness) if how == "extended" else harness.starting()
    asked: list[ProvisionOrder] = []

    def silent(order: ProvisionOrder) -> None:
        asked.append(order)
        raise SystemUnavailable("it has not answered within 10 s")

    real, harness.system.grant = harness.system.grant, silent  # type: ignore[method-assign]
    if how == "failed":
        while harness.state(grant) is GrantState.STARTING:
            harness.turn(Queue.START)
    elif how == "released":
        harness.delivery.drain(Queue.START)
        harness.release(grant)
    else:
        harness.delivery.drain(Queue.START)
        harness.made.clock.at += DAY
        assert expire_due(harness.made.world) == 1
    harness.delivery.drain(Queue.END)
    harness.system.grant = real  # type: ignore[method-assign]
    assert harness.rows("SELECT state FROM leases") == [("ended",)]
    return asked[0]


@pytest.mark.parametrize("how", ["released", "failed", "extended"])
def test_an_unanswered_call_that_takes_effect_after_the_end_is_undone(
    harness: DeliveryHarness, how: str
) -> None:
    order = given_up(harness, how)
    harness.system.grant(order)
    harness.made.clock.at += LATE
    harness.turn(Queue.START)
    harness.delivery.drain(Queue.END)
    assert harness.system.held == set()
    assert harness.waiting(Queue.END) == [] and sent_notes(harness, SECURITY) in (
        [],
        ["start_failed"],
    )


def test_a_system_that_answers_again_is_not_checked_sooner(harness: DeliveryHarness) -> None:
    """A call from before its outage may still arrive."""
    order = given_up(harness, "released")
    harness.delivery.loops[Queue.END].claimed.run_now([order.system])
    harness.delivery.drain(Queue.END)
    harness.system.grant(order)
    harness.made.clock.at += LATE
    harness.delivery.drain(Queue.END)
    assert (harness.system.held, harness.waiting(Queue.END)) == (set(), [])


def test_an_end_without_unanswered_calls_is_not_checked_again(harness: DeliveryHarness) -> None:
    grant = harness.starting()
    harness.delivery.drain(Queue.START)
    harness.release(grant)
    harness.delivery.drain(Queue.END)
    assert harness.waiting(Queue.END) == []


# --- notes about late access


def test_a_holder_is_notified_of_an_end_that_hangs_before_it_fails(
    harness: DeliveryHarness,
) -> None:
    grant = harness.active()
    harness.release(grant)
    watch_ends(harness.made.world)
    harness.made.clock.at += 61
    assert send_due_alerts(harness.made.world) == 1
    harness.system.failing["revoke"] = SystemUnavailable("it has not answered")
    harness.turn(Queue.END, 3)
    assert sent_notes(harness, ANA) == ["end_delayed"]
    assert harness.rows("SELECT end_reason FROM grants") == [(EndReason.RELEASED,)]


# --- a stop


def test_a_stop_waits_for_a_system_only_until_its_time_limit(
    harness: DeliveryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.worker.queue_worker, "STOPS_WITHIN", 0.3)
    grant = harness.active()
    harness.system.hang("revoke")
    harness.release(grant)
    harness.delivery.start()
    until(lambda: harness.system.inside)
    stopper = threading.Thread(target=harness.delivery.stop)
    stopper.start()
    stopper.join(5)
    assert not stopper.is_alive() and harness.system.inside == 1
    assert [owner is not None for *_, owner in harness.waiting(Queue.END)] == [True]
    harness.system.free()
    until(lambda: not harness.system.inside)
    harness.made.clock.at += SETTINGS[Queue.END].claim
    harness.another().drain(Queue.END)
    assert harness.state(grant) is GrantState.ENDED
