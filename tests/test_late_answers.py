"""Systems that answer late, or not at all, to what they were told before an end: the end waits for
no pause, and what arrives after it is taken away and told.
"""

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
    """An active grant whose system has to learn of a new end."""
    grant = harness.active()
    harness.made.clock.at += 600
    assert isinstance(renew_grant(harness.made.world, grant.id, ANA), Renewed)
    return grant


def told(harness: DeliveryHarness, to: str) -> list[str]:
    harness.delivery.drain(Queue.SLACK)
    return harness.slack.notes(to)


def overtaken(harness: DeliveryHarness) -> None:
    """One process takes what is to be told a system, and its claim runs out while it is at it.
    Another one does it, and ends the grant; then the first call arrives."""
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
def test_an_end_passes_what_failed_while_it_was_asked_for(
    running: DeliveryHarness, do: str
) -> None:
    """The system wants an hour, and the end was asked for while it was being told."""
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
    assert left and running.system.told("grant") == 1 and running.system.held == set()


@pytest.mark.parametrize(("asked", "paused"), [(60, 60), (DAY, LONGEST_ASKED), (0, 1)])
def test_an_end_is_tried_again_before_long_however_long_a_pause_the_system_wants(
    harness: DeliveryHarness, asked: int, paused: int
) -> None:
    grant = harness.active()
    harness.system.failing["revoke"] = SystemUnavailable("slow down", asked)
    harness.release(grant)
    harness.delivery.drain(Queue.END)
    assert [due - harness.made.clock.at for _, due, _, _ in harness.waiting(Queue.END)] == [paused]


# --- what arrives after an end


@pytest.mark.parametrize("do", ["start", "extension"])
def test_what_a_process_makes_that_has_lost_its_claim_is_taken_back(
    harness: DeliveryHarness, do: str
) -> None:
    grant = harness.starting() if do == "start" else renewed(harness)
    overtaken(harness)
    harness.delivery.drain(Queue.END)
    assert harness.system.held == set()
    assert harness.state(grant) is GrantState.ENDED


@pytest.mark.parametrize("do", ["start", "extension"])
def test_what_can_not_be_taken_back_is_ending_again_and_told(
    harness: DeliveryHarness, do: str
) -> None:
    grant = harness.starting() if do == "start" else renewed(harness)
    overtaken(harness)
    harness.system.failing["revoke"] = SystemUnavailable("down")
    harness.turn(Queue.END, 3)
    assert harness.rows("SELECT state, error FROM leases") == [("ending", "down")]
    assert told(harness, SECURITY) == ["alert"]
    harness.system.failing.clear()
    harness.turn(Queue.END)
    assert harness.system.held == set()
    assert harness.rows("SELECT state, error FROM leases") == [("ended", "")]
    assert told(harness, SECURITY) == ["alert", "end_confirmed"]
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
    assert told(harness, SECURITY) == [] and harness.waiting(Queue.END) == []


def given_up(harness: DeliveryHarness, how: str) -> ProvisionOrder:
    """A grant has ended after its system was told to make it, or to make it last, and gave no
    answer to this."""
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
def test_what_was_given_up_unanswered_and_arrives_after_the_end_is_taken_away(
    harness: DeliveryHarness, how: str
) -> None:
    order = given_up(harness, how)
    harness.system.grant(order)
    harness.made.clock.at += LATE
    harness.turn(Queue.START)
    harness.delivery.drain(Queue.END)
    assert harness.system.held == set()
    assert harness.waiting(Queue.END) == [] and told(harness, SECURITY) in ([], ["start_failed"])


def test_a_system_that_answers_again_is_looked_at_no_sooner(harness: DeliveryHarness) -> None:
    """What it was told before it stopped answering may still arrive."""
    order = given_up(harness, "released")
    harness.delivery.loops[Queue.END].claimed.run_now([order.system])
    harness.delivery.drain(Queue.END)
    harness.system.grant(order)
    harness.made.clock.at += LATE
    harness.delivery.drain(Queue.END)
    assert (harness.system.held, harness.waiting(Queue.END)) == (set(), [])


def test_an_end_after_answers_is_not_looked_at_again(harness: DeliveryHarness) -> None:
    grant = harness.starting()
    harness.delivery.drain(Queue.START)
    harness.release(grant)
    harness.delivery.drain(Queue.END)
    assert harness.waiting(Queue.END) == []


# --- who hears of it


def test_a_holder_hears_of_an_end_that_hangs_before_it_fails(harness: DeliveryHarness) -> None:
    grant = harness.active()
    harness.release(grant)
    watch_ends(harness.made.world)
    harness.made.clock.at += 61
    assert send_due_alerts(harness.made.world) == 1
    harness.system.failing["revoke"] = SystemUnavailable("it has not answered")
    harness.turn(Queue.END, 3)
    assert told(harness, ANA) == ["end_delayed"]
    assert harness.rows("SELECT end_reason FROM grants") == [(EndReason.RELEASED,)]


# --- a stop


def test_a_stop_waits_so_long_for_a_system_and_no_longer(
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
