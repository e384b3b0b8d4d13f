"""The outbox is worked: nothing waits for what it needn't, nothing is lost, nothing done twice
without need."""

from __future__ import annotations

import json
import threading
import time
from functools import partial
from typing import Any

import pytest

import bot.worker.dispatcher
import bot.worker.end_recorder
import bot.worker.queue_worker
from bot.core import effects
from bot.core.effects import Kind, Queue
from bot.core.errors import OutcomeUnknown, StorageUnavailable, SystemRefused, SystemUnavailable
from bot.core.model import EndReason, Grant, GrantState, ProvisionOrder
from bot.operations._end_grant import request_end
from bot.operations._unit_of_work import unit
from bot.operations.claim_work import ClaimedQueue, Work, free_claims
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.renew_grant import Renewed, renew_grant
from bot.operations.usage.count_usage import UsageMeter
from bot.operations.usage.describe_usage import describe_usage
from bot.worker.concurrency import FIRST, MOST
from bot.worker.dispatcher import Dispatcher
from bot.worker.end_recorder import EndRecorder
from bot.worker.provisioning import PERSON_PATIENCE, START_PATIENCE
from bot.worker.queue_worker import SETTINGS, QueueSettings
from tests.delivery_harness import DeliveryHarness
from tests.factories import ANA, Made
from tests.fakes import FakeMessenger, FakePeople, FakeSystem, FakeSystems, OurSystem
from tests.waiting import until

SECURITY = "#access-security"


# --- nothing waits for what it needn't


def test_systems_that_hang_at_a_start_delay_neither_ends_nor_messages(
    running: DeliveryHarness,
) -> None:
    """As many hang as one system may have under way, and some more wait behind them."""
    held = running.active("U0HOLDER")
    running.system.hang("grant")
    for number in range(FIRST + 3):
        running.starting(f"U0WAITS{number}")
    running.delivery.wake(list(Queue))
    until(lambda: running.system.inside == FIRST)
    running.release(held)
    running.say(ANA, "hello")
    until(lambda: running.state(held) is GrantState.ENDED)
    until(lambda: "hello" in running.slack.notes(ANA))
    assert running.system.inside == FIRST


def test_the_end_of_a_start_that_nobody_has_begun_waits_for_no_thread(
    running: DeliveryHarness,
) -> None:
    running.system.hang("grant")
    for number in range(FIRST):
        running.starting(f"U0WAITS{number}")
    running.delivery.wake(list(Queue))
    until(lambda: running.system.inside == FIRST)
    late = running.starting("U0LATE")
    running.release(late)
    until(lambda: running.state(late) is GrantState.ENDED)
    assert running.system.count_calls("grant", late.id) == 0


def test_an_end_never_overtakes_a_running_start_and_follows_it_at_once(
    running: DeliveryHarness,
) -> None:
    grant = running.starting()
    running.system.hang("grant")
    running.delivery.wake(list(Queue))
    until(lambda: running.system.inside)
    running.release(grant)
    running.say(ANA, "later")
    until(lambda: "later" in running.slack.notes(ANA))
    assert running.system.count_calls("revoke") == 0
    running.system.free()
    until(lambda: running.state(grant) is GrantState.ENDED)
    assert (
        running.system.calls[0] == ("grant", grant.id) and running.system.count_calls("grant") == 1
    )
    assert running.system.held == set()
    assert "active" not in running.slack.notes(ANA)


def test_a_start_that_waits_for_its_next_try_is_dropped_by_an_end(harness: DeliveryHarness) -> None:
    grant = harness.starting()
    harness.system.failing["grant"] = SystemUnavailable("down")
    harness.delivery.drain(Queue.START)
    assert harness.waiting(Queue.START)[0][1] > harness.made.clock.at
    harness.system.failing.clear()
    harness.release(grant)
    harness.delivery.drain(Queue.START)
    harness.delivery.drain(Queue.END)
    assert harness.state(grant) is GrantState.ENDED
    assert harness.system.calls == [("grant", grant.id), ("revoke", grant.id)]


def test_an_extension_that_waits_is_dropped_by_an_end(harness: DeliveryHarness) -> None:
    grant = harness.active()
    harness.made.clock.at += 600
    harness.system.failing["grant"] = SystemUnavailable("down")
    assert isinstance(renew_grant(harness.made.world, grant.id, ANA), Renewed)
    harness.delivery.drain(Queue.START)
    harness.system.failing.clear()
    harness.release(grant)
    harness.delivery.drain(Queue.START)
    harness.delivery.drain(Queue.END)
    assert harness.state(grant) is GrantState.ENDED
    assert harness.system.count_calls("grant") == 1
    assert harness.system.held == set()


# --- trying again


def test_an_unconfirmed_renewal_is_reported_once_and_so_is_its_confirmation(
    harness: DeliveryHarness,
) -> None:
    """The holder was notified of a renewal, but a system that keeps its own end still locks them
    out at the old one."""

    def sent_notes() -> list[str]:
        said = [each for message in harness.slack.sent for each in message]
        return [str(data["note"]) for kind, data in said if kind is Kind.NOTIFY_PERSON]

    grant = harness.active()
    harness.made.clock.at += 600
    harness.system.failing["grant"] = SystemRefused("42501", "must have admin option")
    assert isinstance(renew_grant(harness.made.world, grant.id, ANA), Renewed)
    harness.turn(Queue.START, 6)
    harness.delivery.drain(Queue.SLACK)
    assert sent_notes() == ["renewed", "unextended"]
    assert harness.slack.notes(SECURITY) == ["unextended"]
    ((detail,),) = harness.made.log("grant:renewal:failed", "detail")
    assert "must have admin option" in detail
    harness.system.failing.clear()
    harness.turn(Queue.START)
    harness.delivery.drain(Queue.SLACK)
    assert sent_notes()[2:] == ["extended"]
    assert len(harness.made.log("grant:renewal:confirmed")) == 1


def test_a_renewal_that_a_system_confirms_within_seconds_is_told_as_renewed_only(
    harness: DeliveryHarness,
) -> None:
    grant = harness.active()
    harness.made.clock.at += 600
    harness.system.failing["grant"] = SystemUnavailable("down")
    assert isinstance(renew_grant(harness.made.world, grant.id, ANA), Renewed)
    harness.turn(Queue.START)
    harness.system.failing.clear()
    harness.turn(Queue.START)
    harness.delivery.drain(Queue.SLACK)
    assert harness.slack.notes(ANA) == ["renewed"]
    assert harness.slack.notes(SECURITY) == []


def test_an_end_is_retried_indefinitely_with_growing_pauses(harness: DeliveryHarness) -> None:
    grant = harness.active()
    harness.system.failing["revoke"] = SystemUnavailable("the API is down")
    harness.release(grant)
    pauses = []
    for _ in range(17):
        before = harness.made.clock.at
        harness.turn(Queue.END)
        pauses.append(harness.made.clock.at - before)
    longest = SETTINGS[Queue.END].longest_pause
    assert all(
        2 ** min(n, 20) / 2 <= pause or longest / 2 <= pause for n, pause in enumerate(pauses)
    ), pauses
    assert max(pauses) <= longest
    assert harness.state(grant) is GrantState.ENDING
    failed = harness.rows("SELECT detail FROM audit WHERE event = 'grant:end:failed' ORDER BY seq")
    assert [json.loads(detail)["attempts"] for (detail,) in failed] == [
        1
    ]  # the rest is told by the clock
    harness.system.failing.clear()
    harness.turn(Queue.END)
    assert harness.state(grant) is GrantState.ENDED
    assert harness.waiting(Queue.END) == []


def test_a_system_that_refuses_an_end_is_asked_again_all_the_same(harness: DeliveryHarness) -> None:
    grant = harness.active()
    harness.system.failing["revoke"] = SystemRefused("forbidden")
    harness.release(grant)
    harness.turn(Queue.END, 3)
    assert harness.state(grant) is GrantState.ENDING
    harness.system.failing.clear()
    harness.turn(Queue.END)
    assert harness.state(grant) is GrantState.ENDED


def test_an_end_that_one_system_does_not_confirm_keeps_nothing_open_on_another(
    harness: DeliveryHarness,
) -> None:
    harness.made.set_policy(
        both='systems = ["shop-admin", "reports"]\nactions = ["a"]\nrequesters = ["everyone"]\n'
        'approvers = ["@db-leads"]\n'
    )
    grant = harness.active(role="both")
    revoke, gone = harness.system.revoke, []

    def only_reports(order: ProvisionOrder) -> None:
        if order.system == "shop-admin":
            raise SystemUnavailable("the API is down")
        gone.append(order.system)
        revoke(order)

    harness.system.revoke = only_reports  # type: ignore[method-assign]
    harness.release(grant)
    harness.turn(Queue.END)
    assert gone == ["reports"]
    leases = harness.rows(
        "SELECT system, state FROM leases WHERE grant_id = ? ORDER BY system", grant.id
    )
    assert leases == [("reports", "ended"), ("shop-admin", "ending")]
    harness.system.revoke = revoke  # type: ignore[method-assign]
    harness.turn(Queue.END)
    assert harness.state(grant) is GrantState.ENDED


@pytest.mark.parametrize(
    "error", [SystemUnavailable("down"), RuntimeError("a bug in the connector")], ids=repr
)
def test_a_start_is_given_up_after_its_patience_taken_back_and_told(
    harness: DeliveryHarness, error: Exception
) -> None:
    grant = harness.starting()
    harness.system.failing["grant"] = error
    harness.system.held.add(grant.id)  # the call failed, and yet something is there
    harness.turn(Queue.START)
    harness.delivery.drain(Queue.SLACK)
    assert harness.slack.notes(ANA) == ["delayed"]
    began = harness.made.clock.at
    while harness.state(grant) is GrantState.STARTING:
        harness.turn(Queue.START)
        assert harness.made.clock.at - began < START_PATIENCE + 60
    assert harness.made.clock.at - began > START_PATIENCE - 60
    harness.delivery.drain(Queue.END)
    harness.turn(Queue.SLACK, 2)
    assert harness.state(grant) is GrantState.FAILED
    assert harness.system.held == set()
    assert harness.slack.notes(ANA) == ["delayed", "failed"]
    assert "start_failed" in harness.slack.notes(SECURITY)


def test_a_start_that_a_system_refuses_has_failed_at_once(harness: DeliveryHarness) -> None:
    grant = harness.starting()
    harness.system.failing["grant"] = SystemRefused("no_such_scope")
    harness.delivery.drain(Queue.START)
    harness.turn(Queue.SLACK, 2)
    assert harness.state(grant) is GrantState.FAILED
    assert harness.system.count_calls("grant") == 1
    assert harness.slack.notes(ANA) == ["failed"]


ACCEPT = "Accept the invitation to acme on github.com."


def test_what_a_person_has_to_do_first_is_said_to_them_at_the_first_try_and_nothing_of_the_system(
    harness: DeliveryHarness,
) -> None:
    grant = harness.starting()
    harness.system.failing["grant"] = SystemUnavailable("ana has to accept it", to_person=ACCEPT)
    harness.turn(Queue.START, 5)
    harness.delivery.drain(Queue.SLACK)
    ((_, told),) = [
        each for said in harness.slack.sent for each in said if each[1].get("person") == ANA
    ]
    assert (told["note"], told["why"]) == ("delayed", ACCEPT)
    assert told["until"] == harness.made.grant(grant.id).starts_at + PERSON_PATIENCE
    assert harness.delivery.health.describe(["shop-admin"]) == {"shop-admin": "not asked yet"}
    harness.system.failing.clear()
    harness.turn(Queue.START)
    assert harness.state(grant) is GrantState.ACTIVE


def test_a_failure_of_the_system_while_it_waits_for_the_person_does_not_cut_the_wait(
    harness: DeliveryHarness,
) -> None:
    grant = harness.starting()
    harness.system.failing["grant"] = SystemUnavailable("ana has to accept it", to_person=ACCEPT)
    began = harness.made.clock.at
    while harness.made.clock.at < began + START_PATIENCE + 60:
        harness.turn(Queue.START)
    harness.system.failing["grant"] = SystemUnavailable("down")
    harness.turn(Queue.START, 2)
    assert harness.state(grant) is GrantState.STARTING


def test_what_a_person_has_to_do_first_is_said_also_when_another_failure_came_before(
    harness: DeliveryHarness,
) -> None:
    harness.starting()
    harness.system.failing["grant"] = SystemUnavailable("down")
    harness.turn(Queue.START, 2)
    harness.system.failing["grant"] = SystemUnavailable("ana has to accept it", to_person=ACCEPT)
    harness.turn(Queue.START, 2)
    harness.delivery.drain(Queue.SLACK)
    said = [data for each in harness.slack.sent for _, data in each if data.get("person") == ANA]
    assert [data.get("why", "") for data in said] == ["", ACCEPT]


@pytest.mark.parametrize(
    "error", [SystemRefused("not_a_member", "ana is not", "Ask for an invitation."), None]
)
def test_a_start_that_failed_for_a_reason_about_the_person_tells_them_which(
    harness: DeliveryHarness, error: SystemRefused | None
) -> None:
    grant = harness.starting()
    harness.system.failing["grant"] = error or SystemUnavailable(
        "ana has to accept it", to_person=ACCEPT
    )
    while harness.state(grant) is GrantState.STARTING:
        harness.turn(Queue.START)
    harness.turn(Queue.SLACK, 2)
    last = [data for each in harness.slack.sent for _, data in each if data.get("person") == ANA][
        -1
    ]
    assert (last["note"], last["why"]) == ("failed", error.to_person if error else ACCEPT)


def test_a_start_that_is_not_there_when_read_back_is_not_told_as_active(
    harness: DeliveryHarness,
) -> None:
    grant = harness.starting()
    harness.system.grant = lambda order: harness.system.calls.append(("grant", order.grant))  # type: ignore[method-assign]
    harness.delivery.drain(Queue.START)
    harness.delivery.drain(Queue.SLACK)
    assert harness.state(grant) is GrantState.STARTING
    assert "active" not in harness.slack.notes(ANA)


def test_the_database_being_away_is_no_reason_for_a_longer_pause(harness: DeliveryHarness) -> None:
    grant = harness.active()
    harness.system.failing["revoke"] = StorageUnavailable("locked")
    harness.release(grant)
    for _ in range(8):
        before = harness.made.clock.at
        harness.turn(Queue.END)
        assert harness.made.clock.at - before == 1


# --- once, and not lost


def test_a_message_whose_answer_was_lost_is_sent_once_more_and_then_told_as_undelivered(
    harness: DeliveryHarness,
) -> None:
    harness.slack.failing[ANA] = [
        OutcomeUnknown("lost"),
        OutcomeUnknown("lost"),
        OutcomeUnknown("lost"),
    ]
    harness.say(ANA, "hello")
    harness.turn(Queue.SLACK, 4)
    assert harness.slack.attempts(ANA) == 2
    assert harness.slack.notes(SECURITY) == ["undelivered"]
    assert harness.waiting(Queue.SLACK) == []


def test_a_lost_answer_is_not_tempted_again_while_slack_answers_nothing(
    harness: DeliveryHarness,
) -> None:
    harness.slack.failing[ANA] = [OutcomeUnknown("lost")]
    harness.slack.unwell = SystemUnavailable("down")
    harness.say(ANA, "hello")
    harness.turn(Queue.SLACK, 9)
    assert harness.slack.attempts(ANA) == 1
    harness.slack.unwell = None
    harness.turn(Queue.SLACK)
    assert harness.slack.notes(ANA) == ["hello"]
    assert harness.slack.notes(SECURITY) == []


def test_what_waits_behind_a_message_that_can_not_be_sent_is_not_lost_with_it(
    harness: DeliveryHarness,
) -> None:
    with unit(harness.made.world) as u:
        u.do(effects.notify_security(SECURITY, "first"))
    harness.slack.failing["first"] = [OutcomeUnknown("lost"), OutcomeUnknown("lost")]
    harness.turn(Queue.SLACK, 2)
    with unit(harness.made.world) as u:
        u.do(
            effects.notify_security(SECURITY, "second"), effects.notify_security(SECURITY, "third")
        )
    harness.turn(Queue.SLACK, 4)
    assert harness.slack.notes(SECURITY) == ["second", "third"]


def test_a_message_that_makes_us_stumble_is_out_of_the_way_after_two_tries(
    harness: DeliveryHarness,
) -> None:
    harness.slack.failing["bad"] = [KeyError("bad"), KeyError("bad"), KeyError("bad")]
    harness.say(ANA, "bad")
    harness.say(ANA, "good")
    harness.turn(Queue.SLACK, 4)
    assert harness.slack.notes(ANA) == ["good"]
    assert harness.slack.notes(SECURITY) == ["undelivered"]


def test_a_message_is_not_said_again_because_the_database_was_away_after_it(
    running: DeliveryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, away = ClaimedQueue.ack, [StorageUnavailable("locked"), StorageUnavailable("locked")]

    def finish(*arguments: Any) -> None:
        if away:
            raise away.pop()
        real(*arguments)

    monkeypatch.setattr(ClaimedQueue, "ack", finish)
    running.say(ANA, "hello")
    until(lambda: not running.waiting(Queue.SLACK))
    assert running.slack.notes(ANA) == ["hello"]
    assert away == []


def test_claims_are_kept_while_a_system_takes_its_time(running: DeliveryHarness) -> None:
    """Two processes, an end that takes longer than its claim: the second one doesn't take it
    over."""
    second = running.another()
    grant = running.active()
    running.system.hang("revoke")
    running.release(grant)
    until(lambda: running.system.inside)
    claimed = "SELECT claimed_until FROM outbox WHERE queue = 'end'"
    second.start()
    for _ in range(SETTINGS[Queue.END].claim + 1):
        running.made.clock.at += 1
        until(
            lambda: running.rows(claimed)[0][0] == running.made.clock.at + SETTINGS[Queue.END].claim
        )
    running.system.free()
    until(lambda: running.state(grant) is GrantState.ENDED)
    second.stop()
    assert running.system.count_calls("revoke") == 1


def test_rows_of_a_dead_process_are_taken_over_when_its_claim_has_expired(
    harness: DeliveryHarness,
) -> None:
    grant = harness.active()
    harness.release(grant)
    assert harness.delivery.loops[Queue.END].claimed.take(10) != []  # and then it dies
    second = harness.another()
    assert second.drain(Queue.END) == 0
    harness.made.clock.at += SETTINGS[Queue.END].claim
    assert second.drain(Queue.END) == 1
    assert harness.state(grant) is GrantState.ENDED


def test_a_message_that_two_processes_died_with_is_not_sent_a_third_time(
    harness: DeliveryHarness,
) -> None:
    harness.say(ANA, "hello")
    for _ in range(2):
        assert len(harness.delivery.loops[Queue.SLACK].claimed.take(10)) == 1
        free_claims(harness.made.world)
    harness.turn(Queue.SLACK, 2)
    assert harness.slack.notes(ANA) == []
    assert harness.slack.notes(SECURITY) == ["undelivered"]


def test_no_more_messages_are_claimed_than_there_are_threads_to_send_them(
    running: DeliveryHarness,
) -> None:
    """A message may have been sent when its process is killed after the claim, so few are
    claimed."""
    blocked = threading.Event()
    real = running.slack.deliver

    def deliver(kind: Kind, work: Any) -> None:
        assert blocked.wait(30)
        real(kind, work)

    running.slack.deliver = deliver  # type: ignore[method-assign]
    for number in range(30):
        running.say(f"U0READS{number}", "hello")
    threads = SETTINGS[Queue.SLACK].threads
    until(lambda: len([1 for *_, owner in running.waiting(Queue.SLACK) if owner]) == threads)
    running.say(ANA, "one more")
    assert len([1 for *_, owner in running.waiting(Queue.SLACK) if owner]) == threads
    blocked.set()
    until(lambda: len(running.slack.notes()) == 31)


# --- many ends


@pytest.fixture
def ours(harness: DeliveryHarness) -> OurSystem:
    """The connected system is one whose access is rows of ours."""
    harness.system = system = OurSystem()
    harness.delivery = harness.another()
    return system


def many_ending(harness: DeliveryHarness, number: int, role: str = "shop-admin") -> list[Grant]:
    ending = [harness.active(f"U0HOLDS{each}", role) for each in range(number)]
    with unit(harness.made.world) as u:
        request_end(u, ending, EndReason.REVOKED, "os:test")
    return ending


def test_ends_in_our_own_rows_are_one_transaction_and_told_as_if_done_alone(
    harness: DeliveryHarness, ours: OurSystem
) -> None:
    ending = many_ending(harness, 20)
    harness.start()
    until(lambda: {harness.state(grant) for grant in ending} == {GrantState.ENDED})
    until(lambda: len(harness.slack.notes()) >= 40)
    harness.stop()
    assert ours.together == [20] and ours.held == set()
    ended = harness.rows("SELECT \"grant\", system FROM audit WHERE event = 'grant:access:ended'")
    assert sorted(ended) == sorted((grant.id, "shop-admin") for grant in ending)
    assert harness.rows("SELECT state FROM leases WHERE state <> 'ended'") == []
    assert [harness.slack.notes(grant.person) for grant in ending] == [["ended"]] * 20


def test_ends_that_a_system_does_not_confirm_are_one_message_however_many(
    harness: DeliveryHarness,
) -> None:
    """It has room for as many as wait together: whatever else the channel has to know comes after
    them."""
    harness.system.failing["revoke"] = SystemUnavailable("down")
    many_ending(harness, 40)
    harness.delivery.drain(Queue.END)
    harness.delivery.drain(Queue.SLACK)
    assert [len(message) for message in harness.slack.sent if message[0][0] is Kind.ALERT] == [40]


def test_an_end_in_our_own_rows_waits_for_the_other_system_of_its_grant(
    harness: DeliveryHarness, ours: OurSystem
) -> None:
    terms = (
        'systems = ["shop-admin", "reports"]\nactions = ["a"]\nrequesters = ["everyone"]\napprovers'
        ' = ["@db-leads"]'
    )
    harness.made.set_policy(both=terms)
    ending = many_ending(harness, 3, "both")
    queue = harness.delivery.loops[Queue.END]
    rows = [row for row in queue.claimed.take(10) if row.data["system"] == "shop-admin"]
    for work in queue.works(rows):
        harness.delivery.handle(work)
    assert ours.together == [3]
    assert {harness.state(grant) for grant in ending} == {GrantState.ENDING}
    harness.made.clock.at += SETTINGS[Queue.END].claim
    harness.delivery.drain(Queue.END)
    assert {harness.state(grant) for grant in ending} == {GrantState.ENDED}
    ended = harness.rows("SELECT \"grant\", system FROM audit WHERE event = 'grant:access:ended'")
    assert len(ended) == len(set(ended)) == 6


def test_one_end_that_fails_holds_up_none_of_those_that_were_to_be_done_with_it(
    harness: DeliveryHarness, ours: OurSystem
) -> None:
    ending = many_ending(harness, 6)
    real, bad = ours.revoke, ending[2].id

    def revoke(order: ProvisionOrder) -> None:
        if order.grant == bad:
            raise SystemUnavailable("this one not")
        real(order)

    ours.revoke = revoke  # type: ignore[method-assign]
    harness.start()
    until(lambda: sum(harness.state(grant) is GrantState.ENDED for grant in ending) == 5)
    until(lambda: harness.rows("SELECT 1 FROM audit WHERE event = 'grant:end:failed'"))
    harness.stop()
    assert harness.state(ending[2]) is GrantState.ENDING
    assert len(harness.rows("SELECT 1 FROM audit WHERE event = 'grant:access:ended'")) == 5


def test_more_are_taken_at_once_as_long_as_all_that_come_can_be_done_at_once(
    harness: DeliveryHarness, ours: OurSystem
) -> None:
    ending = many_ending(harness, SETTINGS[Queue.END].most_claimed + 40)
    assert harness.delivery.loops[Queue.END].room() == SETTINGS[Queue.END].most_claimed
    harness.delivery.drain(Queue.END)
    assert ours.together == [SETTINGS[Queue.END].most_claimed, 40]
    assert harness.delivery.loops[Queue.END].room() == SETTINGS[Queue.END].together
    assert {harness.state(grant) for grant in ending} == {GrantState.ENDED}
    harness.system = FakeSystem()
    harness.delivery = harness.another()
    many_ending(harness, 3)
    harness.delivery.drain(Queue.END)
    assert harness.delivery.loops[Queue.END].room() == SETTINGS[Queue.END].most_claimed


def _sums(harness: DeliveryHarness) -> list[int]:
    """The number of ends in each of the records."""
    found = harness.rows("SELECT data FROM outbox WHERE kind = 'sum_usage' ORDER BY id")
    return [len(json.loads(data)["grants"]) for (data,) in found]


def test_ends_confirmed_while_another_is_recorded_are_recorded_in_one_transaction(
    harness: DeliveryHarness,
) -> None:
    ending, queue, recorder = (
        many_ending(harness, 5),
        harness.delivery.loops[Queue.END],
        EndRecorder(),
    )
    works, finished = queue.works(queue.claimed.take(10)), list[Work]()
    for work in works:
        work.returned = finished.append
    recorder.start()
    with harness.made.world.db.transaction():  # the first one waits for this
        assert recorder.take(works[0])
        until(lambda: not recorder.waiting)
        assert all(recorder.take(work) for work in works[1:])
    recorder.stop()
    assert finished == works
    assert _sums(harness) == [1, 4] and all(work.is_recorded for work in works)
    assert {harness.state(grant) for grant in ending} == {GrantState.ENDED}
    assert harness.waiting(Queue.END) == []
    assert len(harness.rows("SELECT 1 FROM audit WHERE event = 'grant:access:ended'")) == 5


def test_a_system_is_called_for_other_ends_while_those_that_it_confirmed_are_recorded(
    running: DeliveryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, real = threading.Event(), bot.worker.end_recorder.end_many

    def end_later(*arguments: Any) -> None:
        assert go_on.wait(30)
        real(*arguments)

    monkeypatch.setattr(bot.worker.end_recorder, "end_many", end_later)
    ending = many_ending(running, MOST + 5)
    running.delivery.wake([Queue.END])
    until(lambda: running.system.count_calls("revoke") == len(ending))
    assert GrantState.ENDED not in {running.state(grant) for grant in ending}
    go_on.set()
    until(lambda: {running.state(grant) for grant in ending} == {GrantState.ENDED})
    assert running.system.count_calls("revoke") == len(ending)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), StorageUnavailable("locked")], ids=repr)
def test_ends_that_can_not_be_recorded_together_are_recorded_alone(
    running: DeliveryHarness, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(bot.worker.end_recorder, "end_many", partial(_raise, error))
    ending = many_ending(running, 6)
    running.delivery.wake([Queue.END])
    until(lambda: {running.state(grant) for grant in ending} == {GrantState.ENDED})
    until(lambda: not running.waiting(Queue.END))
    assert _sums(running) == [1] * 6
    assert running.system.count_calls("revoke") == 6


def test_ends_are_not_claimed_again_for_each_one_that_a_busy_system_confirms(
    harness: DeliveryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QueueSettings, "keep", 3600)
    real, claims, released = ClaimedQueue.take, list[int](), list[int]()
    real_release = ClaimedQueue.release

    def take(queue: ClaimedQueue, *arguments: Any) -> Any:
        rows = real(queue, *arguments)
        claims.extend([len(rows)] if queue.queue is Queue.END and rows else [])
        return rows

    def release(queue: ClaimedQueue, rows: list[int]) -> None:
        released.extend(rows if queue.queue is Queue.END else [])
        real_release(queue, rows)

    monkeypatch.setattr(ClaimedQueue, "take", take)
    monkeypatch.setattr(ClaimedQueue, "release", release)
    ending = many_ending(harness, SETTINGS[Queue.END].most_claimed)
    harness.delivery.start()
    until(lambda: {harness.state(grant) for grant in ending} == {GrantState.ENDED})
    harness.delivery.stop()
    assert (claims, released) == ([len(ending)], [])


def test_ends_that_a_system_which_hangs_can_not_take_are_left_to_other_processes(
    running: DeliveryHarness,
) -> None:
    running.system.hang("revoke")
    many_ending(running, FIRST + 5)
    running.delivery.wake([Queue.END])
    until(lambda: running.system.inside == FIRST)
    until(lambda: sum(owner is None for *_, owner in running.waiting(Queue.END)) == 5)
    assert running.system.inside == FIRST


def test_ends_wait_until_all_that_are_due_have_been_asked_for(
    running: DeliveryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.worker.dispatcher, "HOLD", 60.0)  # longer than a busy machine needs
    grant = running.active()
    with running.delivery.ends_held():
        running.release(grant)
        running.say(ANA, "hello")
        until(lambda: "hello" in running.slack.notes(ANA))
        assert running.system.count_calls("revoke") == 0
    until(lambda: running.state(grant) is GrantState.ENDED)


def test_ends_wait_only_so_long_for_a_batch_that_is_being_written(
    running: DeliveryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.worker.dispatcher, "HOLD", 0.3)
    grant = running.active()
    with running.delivery.ends_held():
        running.release(grant)
        until(
            lambda: running.delivery.wake([Queue.END]) or running.state(grant) is GrantState.ENDED
        )  # type: ignore[func-returns-value]


# --- work without a wake-up


def test_what_others_left_or_time_made_due_is_found_by_looking(harness: DeliveryHarness) -> None:
    harness.delivery.start()
    until(
        lambda: all(
            time.monotonic() - loop.turned > 0.1 for loop in harness.delivery.loops.values()
        )
    )
    with unit(harness.made.world) as u:
        u.do(effects.answer(ANA, "", "now"), effects.update_approval("r1", "C1", delay=60))
    harness.delivery.wake_due()
    time.sleep(0.2)
    assert harness.slack.notes() == []
    harness.delivery.find_due()
    harness.delivery.wake_due()
    until(lambda: harness.slack.notes() == ["now"])
    harness.delivery.find_due()
    harness.made.clock.at += 60
    harness.delivery.wake_due()
    until(lambda: not harness.waiting(Queue.SLACK))
    harness.delivery.stop()


# --- while Slack takes nothing


def test_messages_are_tried_one_at_a_time_while_slack_takes_none(
    running: DeliveryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot.worker.queue_worker, "BETWEEN", 0.0)
    inside, most = [0], [0]
    away = threading.Event()
    real = running.slack.deliver

    def deliver(kind: Kind, work: Any) -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        try:
            time.sleep(0.01)
            if not away.is_set():
                raise SystemUnavailable("Slack can't be reached")
            real(kind, work)
        finally:
            inside[0] -= 1

    running.slack.deliver = deliver  # type: ignore[method-assign]
    for number in range(40):
        running.say(f"U0READS{number}", "hello")
    claimed = "SELECT COUNT(*) FROM outbox WHERE queue = 'slack' AND claimed_by IS NOT NULL"
    until(
        lambda: running.delivery.loops[Queue.SLACK].room() == 1 and running.rows(claimed)[0][0] <= 1
    )
    most[0] = inside[0]
    until(lambda: all(due > running.made.clock.at for _, due, _, _ in running.waiting(Queue.SLACK)))
    assert most[0] <= 1
    away.set()
    running.made.clock.at += SETTINGS[Queue.SLACK].longest_pause
    running.delivery.wake(list(Queue))
    until(lambda: len(running.slack.notes()) == 40)
    assert running.delivery.loops[Queue.SLACK].room() == SETTINGS[Queue.SLACK].most_claimed


def test_a_pause_that_slack_asks_for_slows_down_nobody_else(harness: DeliveryHarness) -> None:
    for number in range(20):
        harness.slack.failing[f"U0READS{number}"] = [SystemUnavailable("Slack asks for a pause", 3)]
        harness.say(f"U0READS{number}", "hello")
    harness.delivery.drain(Queue.SLACK)
    assert harness.delivery.loops[Queue.SLACK].room() == SETTINGS[Queue.SLACK].most_claimed


# --- stopping


def test_a_stop_finishes_what_was_begun_and_gives_the_rest_back_unharmed(
    harness: DeliveryHarness,
) -> None:
    ending = [harness.active(f"U0HOLDS{number}") for number in range(FIRST + 5)]
    harness.system.hang("revoke")
    with unit(harness.made.world) as u:
        request_end(u, ending, EndReason.REVOKED, "os:test")
    harness.delivery.start()
    until(lambda: harness.system.inside == FIRST)
    stopper = threading.Thread(target=harness.delivery.stop)
    stopper.start()
    until(lambda: harness.delivery.stopping)
    harness.system.free()
    stopper.join(15)
    assert not stopper.is_alive()
    assert sum(harness.state(grant) is GrantState.ENDED for grant in ending) == FIRST
    left = harness.waiting(Queue.END)
    assert len(left) == 5 and {
        (outcome_unknown, owner) for _, _, outcome_unknown, owner in left
    } == {(0, None)}
    assert harness.another().drain(Queue.END) == 5
    assert {harness.state(grant) for grant in ending} == {GrantState.ENDED}


def test_a_stop_does_not_wait_for_a_database_that_is_away(
    harness: DeliveryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise StorageUnavailable("gone")

    monkeypatch.setattr(ClaimedQueue, "ack", away)
    harness.say(ANA, "hello")
    harness.delivery.start()
    until(lambda: harness.slack.notes(ANA))
    harness.delivery.stop()
    assert [
        (outcome_unknown, owner is not None)
        for _, _, outcome_unknown, owner in harness.waiting(Queue.SLACK)
    ] == [(0, True)]


# --- loops that live


def test_no_exception_ends_a_queue(
    running: DeliveryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, trouble = (
        ClaimedQueue.take,
        [RuntimeError("?"), StorageUnavailable("away"), KeyError("?")],
    )

    def take(*arguments: Any) -> Any:
        if trouble:
            raise trouble.pop()
        return real(*arguments)

    monkeypatch.setattr(ClaimedQueue, "take", take)
    running.delivery.wake(list(Queue))
    until(lambda: not trouble)
    running.say(ANA, "hello")
    until(lambda: running.slack.notes(ANA) == ["hello"])
    assert running.delivery.well()


def test_a_delivery_that_was_stopped_is_not_well(harness: DeliveryHarness) -> None:
    harness.delivery.start()
    assert harness.delivery.well()
    harness.delivery.stop()
    assert not harness.delivery.well()


def test_work_that_can_not_even_be_put_off_comes_back_with_its_claim(
    harness: DeliveryHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.slack.failing[ANA] = [SystemUnavailable("down")]
    harness.say(ANA, "hello")
    with monkeypatch.context() as broken:
        broken.setattr(bot.worker.dispatcher, "pause", partial(_raise, RuntimeError("?")))
        harness.delivery.drain(Queue.SLACK)
    assert harness.slack.notes(ANA) == []
    harness.made.clock.at += SETTINGS[Queue.SLACK].claim
    harness.delivery.drain(Queue.SLACK)
    assert harness.slack.notes(ANA) == ["hello"]


def _raise(error: Exception, *_: object) -> int:
    raise error


class Witness(FakeMessenger):
    """The use of a grant in the database at the moment at which its end was reported."""

    def __init__(self, made: Made) -> None:
        super().__init__()
        self.made, self.saw = made, {}

    def deliver(self, kind: Kind, work: Any) -> Any:
        for _, data in work:
            if (
                data.get("note") == "ended"
                and (view := describe_usage(self.made.world, data["grant"])) is not None
            ):
                self.saw[kind] = view.used.times
        return super().deliver(kind, work)


def test_what_is_said_of_an_end_has_the_checks_of_its_last_second(made: Made) -> None:
    slack, meter, system = Witness(made), UsageMeter(made.world), FakeSystem()
    delivery = Dispatcher(made.world, FakeSystems(system), slack, FakePeople(), meter)  # type: ignore[arg-type]
    grant = made.a_grant()
    made.forget_work()
    for _ in range(3):
        meter.count(grant.id, "shop-admin", "192.0.2.7")
    release_grant(made.world, grant.id, ANA)
    delivery.drain(Queue.END)
    delivery.drain(Queue.SLACK)
    assert slack.saw == {Kind.NOTIFY_PERSON: 3, Kind.THREAD_NOTE: 3}
    meter.count(grant.id, "shop-admin", "192.0.2.7", "expired")
    made.clock.at += 5
    delivery.drain(Queue.START)
    ((summed,),) = made.log("grant:use:summed", "detail")
    assert [json.loads(summed)[key] for key in ("allowed", "refused")] == [
        3,
        1,
    ], "and the sum has all of them, once"
