"""Claimed work: votes counted when Slack has said who pressed, results stored once, wake-ups after
the commit."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.core.approval import Refused
from bot.core.effects import Kind, Queue
from bot.operations._unit_of_work import Context
from bot.operations.claim_work import ClaimedQueue, Row, advance_clock
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.panic import panic, resume
from bot.operations.grants.record_results import record_started
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.grants.revoke_grant import revoke_grant
from bot.operations.idempotency import Repeated, do_once, do_together
from bot.operations.messages.record_posted import record_posted, record_reminded, record_undelivered
from bot.operations.people.record_people import find_person, people_to_check
from bot.operations.process.next_due import next_due
from bot.operations.requests.count_vote import abandon_vote, count_vote
from bot.operations.requests.withdraw_request import withdraw_request
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, LEA, START, Made, a_person


def _queue(made: Made, queue: Queue, owner: str = "me") -> ClaimedQueue:
    return ClaimedQueue(made.world, queue, owner, claim=5)


def _take(made: Made, queue: Queue, owner: str = "me") -> list[Row]:
    return _queue(made, queue, owner).take(limit=100)


def _pressed(made: Made, approve: bool = True, by: str = BEN, channel: str = "C1") -> Row:
    """A vote that a worker has claimed."""
    request = made.a_request()
    made.press(request.id, by, approve, reason="not today", channel=channel)
    (row,) = _take(made, Queue.DECIDE)
    return row


class TestDecidingLater:
    @pytest.mark.parametrize(("approve", "state"), [(True, "approved"), (False, "denied")])
    def test_a_press_counts_when_slack_has_identified_the_person(
        self, made: Made, approve: bool, state: str
    ) -> None:
        row = _pressed(made, approve)
        count_vote(made.world, row.data, a_person(BEN))
        assert made.state("requests", row.data["request"]) == state
        assert not {"answer", "publish_home"} & set(made.work())

    @pytest.mark.parametrize("approve", [True, False])
    def test_a_press_in_app_home_or_in_a_form_updates_home(self, made: Made, approve: bool) -> None:
        row = _pressed(made, approve, channel="")
        count_vote(made.world, row.data, a_person(BEN))
        assert made.work()[-1] == "publish_home"

    @pytest.mark.parametrize("flag", ["deleted", "guest", "bot", "stranger", "unconfirmed"])
    def test_a_person_who_is_no_full_member_then_decides_nothing_and_reads_why(
        self, made: Made, flag: str
    ) -> None:
        row = _pressed(made)
        outcome = count_vote(
            made.world, row.data, replace(a_person(BEN), checked_at=START + 1, **{flag: True})
        )
        assert isinstance(outcome, Refused)
        assert made.state("requests", row.data["request"]) == "pending"
        assert made.work()[-1] == "answer"

    def test_a_press_that_slack_never_confirms_is_given_up_and_recorded(self, made: Made) -> None:
        row = _pressed(made, approve=False)
        abandon_vote(made.world, row.data)
        assert made.log("request:action:refused", "actor, request, reason") == [
            (BEN, row.data["request"], "not today")
        ]
        assert made.work()[-1] == "answer"
        assert made.state("requests", row.data["request"]) == "pending"


class TestFinishing:
    def test_results_and_the_end_of_the_work_are_one_commit(self, made: Made) -> None:
        grant = made.a_started(made.a_request())
        (row,) = _take(made, Queue.START)

        def fail(world: Context) -> None:
            record_started(world, grant.id)
            raise KeyError

        queue = _queue(made, Queue.START)
        with pytest.raises(KeyError):
            queue.ack([row.id], fail)
        assert (made.state("grants", grant.id), made.count("outbox", f"id = {row.id}")) == (
            "starting",
            1,
        )
        queue.ack([row.id], lambda world: record_started(world, grant.id))
        assert (made.state("grants", grant.id), made.count("outbox", f"id = {row.id}")) == (
            "active",
            0,
        )

    def test_a_worker_that_lost_its_claim_records_the_result_and_leaves_the_row(
        self, made: Made
    ) -> None:
        grant = made.a_started(made.a_request())
        (row,) = _take(made, Queue.START)
        made.clock.at += 5
        assert len(_take(made, Queue.START, "another")) == 1
        _queue(made, Queue.START).ack([row.id], lambda world: record_started(world, grant.id))
        assert (made.state("grants", grant.id), made.count("outbox", f"id = {row.id}")) == (
            "active",
            1,
        )

    def test_an_extended_claim_remains(self, made: Made) -> None:
        made.a_started(made.a_request())
        (row,) = _take(made, Queue.START)
        made.clock.at += 4
        _queue(made, Queue.START).keep([row.id])
        made.clock.at += 4
        assert _take(made, Queue.START, "another") == []

    def test_a_claim_moves_with_a_jump_of_the_sandbox_s_clock(self, made: Made) -> None:
        made.a_started(made.a_request())
        (row,) = _take(made, Queue.START)

        def move() -> float:
            made.clock.at += 4 * 3600
            return 4 * 3600

        advance_clock(made.world, move)
        made.clock.at += 4
        assert _take(made, Queue.START, "another") == []
        made.clock.at += 1
        assert [again.id for again in _take(made, Queue.START, "another")] == [row.id]

    def test_work_given_back_comes_after_its_pause(self, made: Made) -> None:
        made.a_started(made.a_request())
        (row,) = _take(made, Queue.START)
        _queue(made, Queue.START).retry([row.id], 30, "no route " * 200, outcome_unknown=True)
        made.clock.at += 29
        assert _take(made, Queue.START) == []
        made.clock.at += 1
        assert [(again.attempts, again.outcome_unknown) for again in _take(made, Queue.START)] == [
            (2, 1)
        ]

    def test_workers_are_woken_only_after_the_work_is_visible(self, made: Made) -> None:
        seen: list[int] = []

        def wake(queues: object, due: object) -> None:
            together(made.world.db, [lambda: seen.append(made.count("requests"))])

        world = replace(made.world, wake=wake)
        request = made.a_request()
        do_together(world, lambda inner: withdraw_request(inner, request.id, ANA))
        assert seen == [1]


class TestOnce:
    def test_work_that_was_done_is_not_repeated(self, made: Made) -> None:
        grant = made.a_grant()

        def act() -> object:
            return do_once(made.world, "key", lambda world: release_grant(world, grant.id, ANA))

        found = together(made.world.db, [act] * 5)
        assert sum(isinstance(outcome, Repeated) for outcome in found) == 4
        assert made.events("grant:end:asked") == 1

    def test_failed_work_left_nothing_and_can_be_repeated(self, made: Made) -> None:
        grant = made.a_grant()
        made.wakes.clear()

        def fail(world: Context) -> None:
            assert not isinstance(release_grant(world, grant.id, ANA), Refused)
            raise KeyError

        with pytest.raises(KeyError):
            do_once(made.world, "key", fail)
        assert (made.events("grant:end:asked"), made.wakes) == (0, [])
        outcome = do_once(made.world, "key", lambda world: release_grant(world, grant.id, ANA))
        assert not isinstance(outcome, Refused | Repeated)
        assert made.events("grant:end:asked") == 1


class TestMessages:
    def test_a_copy_posted_while_the_request_changed_is_updated(self, made: Made) -> None:
        request = made.a_request()
        made.forget_work()
        record_posted(made.world, request.id, "C1", "1.1", "pending")
        assert made.work() == []
        withdraw_request(made.world, request.id, ANA)
        made.forget_work()
        record_posted(made.world, request.id, "C1", "1.2", "pending")
        assert made.work() == ["update_approval"]
        assert made.count("messages") == 2

    def test_a_reminder_is_recorded_when_slack_accepted_it(self, made: Made) -> None:
        grant = made.a_grant()
        record_reminded(made.world, grant.id)
        assert made.log("grant:reminder:sent", 'subject, "grant"') == [(ANA, grant.id)]

    def test_undeliverable_messages_are_reported_once_a_day_for_each_cause(
        self, made: Made
    ) -> None:
        made.forget_work()
        for to, error in (
            ("C1", "no_channel"),
            ("C1", "no_channel"),
            ("C2", "no_channel"),
            ("C1", "archived"),
        ):
            record_undelivered(made.world, "post_approval", to, error)
        assert made.work() == ["notify_security"] * 3
        made.clock.at += 86400
        record_undelivered(made.world, "post_approval", "C1", "no_channel")
        assert len(made.work()) == 4

    def test_each_lead_is_notified_that_the_security_channel_takes_no_messages(
        self, made: Made
    ) -> None:
        made.forget_work()
        record_undelivered(
            made.world,
            "notify_security",
            made.policies[-1].workspace.security_channel,
            "is_archived",
        )
        assert made.rows("SELECT kind, ordering_key FROM outbox") == [
            ("notify_security", f"to:{LEA}")
        ]
        assert made.events("message:delivery:failed") == 1


class TestPeople:
    @pytest.mark.parametrize(("holders", "processes"), [(1, 1), (22, 1), (50, 1), (50, 3), (60, 1)])
    def test_every_holder_is_looked_up_within_a_minute_even_if_all_are_due_at_once(
        self, made: Made, holders: int, processes: int
    ) -> None:
        """Leads too. Fifty a minute, or as many as there are, and less than twice as many if
        several processes look them up."""
        seen, looked = {LEA: START, **{f"U0N{n}": START for n in range(1, holders)}}, 0
        made.know(*map(a_person, seen))
        for person in seen:
            made.a_request(person=person)
        for turn in range(12 * processes):
            made.clock.at = START + 9 + turn * 10 // processes
            found = people_to_check(made.world, START, 10)
            assert all(made.clock.at - at <= 60 for at in seen.values())
            seen.update(dict.fromkeys(found, made.clock.at))
            made.know(*(replace(a_person(person), checked_at=made.clock.at) for person in found))
            looked += len(found)
            assert len(found) <= -(-max(50, holders) // 6)
        assert looked < 4 * holders  # in two minutes

    def test_a_stranger_is_unknown(self, made: Made) -> None:
        assert find_person(made.world, "U0NOBODY") is None
        assert find_person(made.world, ANA) == a_person(ANA)

    def test_groups_that_leave_a_role_without_approvers_are_reported(self, made: Made) -> None:
        made.forget_work()
        made.set_groups()
        assert made.work() == []
        made.set_groups(db_leads=[])
        assert set(made.work()) == {"notify_security"}

    def test_authority_follows_the_groups_at_once_in_every_process(self, made: Made) -> None:
        other = made.another_process()
        with made.world.db.reading():
            assert BEN in other.directory().resolve(["@db-leads"])
        made.set_groups(db_leads=[CARA])
        with made.world.db.reading():
            assert other.directory().resolve(["@db-leads"]) == {CARA}


def test_everything_at_once_has_no_deadlock_and_loses_nothing(made: Made) -> None:
    people = [f"U0N{n}" for n in range(6)]
    made.know(*(a_person(id) for id in people))
    for person in people:
        made.a_grant(person=person)
        made.a_grant("reports-read", person=person)
    ids = [id for (id,) in made.rows("SELECT id FROM grants ORDER BY id")]
    made.clock.at += 1800

    def some(seed: int) -> None:
        chosen = random.Random(seed)
        acts: list[Callable[[], object]] = [
            lambda: revoke_grant(made.world, LEA, person=chosen.choice(people)),
            lambda: renew_grant(made.world, chosen.choice(ids), chosen.choice(people)),
            lambda: release_grant(made.world, chosen.choice(ids), chosen.choice(people)),
            lambda: (
                panic(made.world, LEA, role="reports-read"),
                resume(made.world, LEA, role="reports-read"),
            ),
            lambda: made.know(
                replace(a_person(chosen.choice(people)), deleted=True, checked_at=START + 1)
            ),
            lambda: made.set_groups(sre=[chosen.choice(people)]),
            lambda: expire_due(made.world),
            lambda: made.ask_again(chosen.choice(people)),
        ]
        for _ in range(6):
            chosen.choice(acts)()

    together(made.world.db, [lambda seed=seed: some(seed) for seed in range(8)])
    assert made.verdict().broken is None
    asked = made.log("grant:end:asked", '"grant"')
    assert len(asked) == len(set(asked)) == made.count("grants", "state = 'ending'")
    assert made.work().count(Kind.END_LEASE) == len(asked)
    due = next_due(made.world)
    assert due is None or due >= START
