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
from tests.fakes import until

SECURITY = "#access-security"
DAY = 86400


def renewed(hands: DeliveryHarness) -> Grant:
    """An active grant whose system has to learn of a new end."""
    grant = hands.active()
    hands.made.clock.at += 600
    assert isinstance(renew_grant(hands.made.world, grant.id, ANA), Renewed)
    return grant


def told(hands: DeliveryHarness, to: str) -> list[str]:
    hands.delivery.drain(Queue.SLACK)
    return hands.slack.notes(to)


def overtaken(hands: DeliveryHarness) -> None:
    """One process takes what is to be told a system, and its claim runs out while it is at it.
    Another one does it, and ends the grant; then the first call arrives."""
    second, real = hands.another(), hands.system.grant
    queue = hands.delivery.loops[Queue.START]
    (work,) = queue.works(queue.claimed.take(1))

    def slow(order: ProvisionOrder) -> None:
        hands.system.grant = real  # type: ignore[method-assign]
        hands.made.clock.at += SETTINGS[Queue.START].claim
        assert second.drain(Queue.START) == 1
        hands.release(hands.made.grant(order.grant))
        assert second.drain(Queue.END) == 1
        assert (hands.state(hands.made.grant(order.grant)), hands.system.held) == (
            GrantState.ENDED,
            set(),
        )
        real(order)

    hands.system.grant = slow  # type: ignore[method-assign]
    hands.delivery.handle(work)
    assert hands.system.held != set()


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
    hands: DeliveryHarness, asked: int, paused: int
) -> None:
    grant = hands.active()
    hands.system.failing["revoke"] = SystemUnavailable("slow down", asked)
    hands.release(grant)
    hands.delivery.drain(Queue.END)
    assert [due - hands.made.clock.at for _, due, _, _ in hands.waiting(Queue.END)] == [paused]


# --- what arrives after an end


@pytest.mark.parametrize("do", ["start", "extension"])
def test_what_a_process_makes_that_has_lost_its_claim_is_taken_back(
    hands: DeliveryHarness, do: str
) -> None:
    grant = hands.starting() if do == "start" else renewed(hands)
    overtaken(hands)
    hands.delivery.drain(Queue.END)
    assert hands.system.held == set()
    assert hands.state(grant) is GrantState.ENDED


@pytest.mark.parametrize("do", ["start", "extension"])
def test_what_can_not_be_taken_back_is_ending_again_and_told(
    hands: DeliveryHarness, do: str
) -> None:
    grant = hands.starting() if do == "start" else renewed(hands)
    overtaken(hands)
    hands.system.failing["revoke"] = SystemUnavailable("down")
    hands.turn(Queue.END, 3)
    assert hands.rows("SELECT state, error FROM leases") == [("ending", "down")]
    assert told(hands, SECURITY) == ["alert"]
    hands.system.failing.clear()
    hands.turn(Queue.END)
    assert hands.system.held == set()
    assert hands.rows("SELECT state, error FROM leases") == [("ended", "")]
    assert told(hands, SECURITY) == ["alert", "end_confirmed"]
    assert hands.state(grant) is GrantState.ENDED and hands.made.events("grant:access:ended") == 2


def test_an_end_that_another_process_confirmed_meanwhile_stays_confirmed(
    hands: DeliveryHarness,
) -> None:
    grant, second = hands.active(), hands.another()
    hands.release(grant)
    queue = hands.delivery.loops[Queue.END]
    (work,) = queue.works(queue.claimed.take(1))

    def slow(order: ProvisionOrder) -> None:
        hands.made.clock.at += SETTINGS[Queue.END].claim
        del hands.system.revoke
        assert second.drain(Queue.END) == 1
        raise SystemUnavailable("it has not answered")

    hands.system.revoke = slow  # type: ignore[method-assign]
    hands.delivery.handle(work)
    assert hands.rows("SELECT state FROM leases") == [("ended",)]
    assert told(hands, SECURITY) == [] and hands.waiting(Queue.END) == []


def given_up(hands: DeliveryHarness, how: str) -> ProvisionOrder:
    """A grant has ended after its system was told to make it, or to make it last, and gave no
    answer to this."""
    grant = renewed(hands) if how == "extended" else hands.starting()
    asked: list[ProvisionOrder] = []

    def silent(order: ProvisionOrder) -> None:
        asked.append(order)
        raise SystemUnavailable("it has not answered within 10 s")

    real, hands.system.grant = hands.system.grant, silent  # type: ignore[method-assign]
    if how == "failed":
        while hands.state(grant) is GrantState.STARTING:
            hands.turn(Queue.START)
    elif how == "released":
        hands.delivery.drain(Queue.START)
        hands.release(grant)
    else:
        hands.delivery.drain(Queue.START)
        hands.made.clock.at += DAY
        assert expire_due(hands.made.world) == 1
    hands.delivery.drain(Queue.END)
    hands.system.grant = real  # type: ignore[method-assign]
    assert hands.rows("SELECT state FROM leases") == [("ended",)]
    return asked[0]


@pytest.mark.parametrize("how", ["released", "failed", "extended"])
def test_what_was_given_up_unanswered_and_arrives_after_the_end_is_taken_away(
    hands: DeliveryHarness, how: str
) -> None:
    order = given_up(hands, how)
    hands.system.grant(order)
    hands.made.clock.at += LATE
    hands.turn(Queue.START)
    hands.delivery.drain(Queue.END)
    assert hands.system.held == set()
    assert hands.waiting(Queue.END) == [] and told(hands, SECURITY) in ([], ["start_failed"])


def test_a_system_that_answers_again_is_looked_at_no_sooner(hands: DeliveryHarness) -> None:
    """What it was told before it stopped answering may still arrive."""
    order = given_up(hands, "released")
    hands.delivery.loops[Queue.END].claimed.run_now([order.system])
    hands.delivery.drain(Queue.END)
    hands.system.grant(order)
    hands.made.clock.at += LATE
    hands.delivery.drain(Queue.END)
    assert (hands.system.held, hands.waiting(Queue.END)) == (set(), [])


def test_an_end_after_answers_is_not_looked_at_again(hands: DeliveryHarness) -> None:
    grant = hands.starting()
    hands.delivery.drain(Queue.START)
    hands.release(grant)
    hands.delivery.drain(Queue.END)
    assert hands.waiting(Queue.END) == []


# --- who hears of it


def test_a_holder_hears_of_an_end_that_hangs_before_it_fails(hands: DeliveryHarness) -> None:
    grant = hands.active()
    hands.release(grant)
    watch_ends(hands.made.world)
    hands.made.clock.at += 61
    assert send_due_alerts(hands.made.world) == 1
    hands.system.failing["revoke"] = SystemUnavailable("it has not answered")
    hands.turn(Queue.END, 3)
    assert told(hands, ANA) == ["end_delayed"]
    assert hands.rows("SELECT end_reason FROM grants") == [(EndReason.RELEASED,)]


# --- a stop


def test_a_stop_waits_so_long_for_a_system_and_no_longer(
    hands: DeliveryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.worker.queue_worker, "STOPS_WITHIN", 0.3)
    grant = hands.active()
    hands.system.hang("revoke")
    hands.release(grant)
    hands.delivery.start()
    until(lambda: hands.system.inside)
    stopper = threading.Thread(target=hands.delivery.stop)
    stopper.start()
    stopper.join(5)
    assert not stopper.is_alive() and hands.system.inside == 1
    assert [owner is not None for *_, owner in hands.waiting(Queue.END)] == [True]
    hands.system.free()
    until(lambda: not hands.system.inside)
    hands.made.clock.at += SETTINGS[Queue.END].claim
    hands.another().drain(Queue.END)
    assert hands.state(grant) is GrantState.ENDED
