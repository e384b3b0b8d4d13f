"""Work that commits leave to do: rows with the same ordering key keep their order, claims fall
back, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.core.effects import Effect, Kind, Queue, end_lease, extend_lease
from storage import outbox
from storage.database import Database
from storage.outbox import Row
from tests.concurrency import processes

NOW = 1_790_000_000
EARLIER = "SELECT id FROM outbox WHERE ordering_key = ? AND id < ?"
WORKER = f"""
import os, sys
from bot.core.effects import Queue
from storage import outbox
from storage.database import Database
database, owner = Database(sys.argv[1]), str(os.getpid())
while True:
    with database.transaction():
        rows = outbox.claim(database, Queue.SLACK, owner, {NOW}, {NOW + 60}, 5)
        assert not any(database.rows("{EARLIER}", row.ordering_key, row.id) for row in rows)
    for row in rows:
        print(row.id)
        with database.transaction():
            assert outbox.ack(database, [row.id], owner)
    if not rows:
        with database.reading():
            if not outbox.counts(database):
                break
database.close()
"""


def _effect(
    ordering_key: str, kind: Kind = Kind.NOTIFY_PERSON, queue: Queue = Queue.SLACK, delay: int = 0
) -> Effect:
    return Effect(kind, queue, ordering_key, {"for": ordering_key}, delay)


def _add(db: Database, *effects: Effect) -> None:
    with db.transaction():
        outbox.add(db, effects, NOW)


def _claim(
    db: Database, owner: str = "me", now: int = NOW, limit: int = 100, queue: Queue = Queue.SLACK
) -> list[Row]:
    with db.transaction():
        return outbox.claim(db, queue, owner, now, now + 10, limit)


def _done(db: Database, rows: Sequence[Row], owner: str = "me") -> int:
    with db.transaction():
        return outbox.ack(db, [row.id for row in rows], owner)


def _again(db: Database, row: Row, due_at: int, outcome_unknown: bool = False) -> None:
    with db.transaction():
        outbox.retry_later(db, row.id, "me", due_at, "no answer", outcome_unknown)


def _behind(
    db: Database, row: Row, kinds: Sequence[Kind], least: int = 1, owner: str = "me"
) -> list[Row]:
    with db.transaction():
        found = outbox.followers(db, row, kinds, least, 10)
        return outbox.claim_followers(db, row, found, owner)


def _keys(rows: Sequence[Row]) -> list[str]:
    return [row.ordering_key for row in rows]


def _of(
    person: str, ordering_key: str, kind: Kind = Kind.POST_APPROVAL, queue: Queue = Queue.SLACK
) -> Effect:
    return Effect(kind, queue, ordering_key, {"for": person}, person=person)


def _served(db: Database, queue: Queue = Queue.SLACK, limit: int = 1) -> list[str]:
    """For whom the rows are, in the order in which one worker does them."""
    served: list[str] = []
    while rows := _claim(db, limit=limit, queue=queue):
        served += [row.data["for"] for row in rows]
        _done(db, rows)
    return served


class TestTurns:
    def test_people_are_served_in_turn_within_an_ordering_key(self, database: Database) -> None:
        _add(database, *[_of("ana", "#shop")] * 4, *[_of("ben", "#shop")] * 2, _of("cara", "#shop"))
        assert _served(database) == ["ana", "ben", "cara", "ana", "ben", "ana", "ana"]

    def test_thousands_of_one_persons_rows_are_behind_everybodys_first(
        self, database: Database
    ) -> None:
        _add(database, *[_of("ana", "answer:ana") for _ in range(2000)])
        _add(database, *[_of("ana", f"decide:{number}") for number in range(50)])
        _add(database, _of("ben", "answer:ben"), _of("ben", "#shop"), _effect("to:cara"))
        assert [row.data["for"] for row in _claim(database, limit=4)] == [
            "ana",
            "ben",
            "ben",
            "to:cara",
        ]

    def test_no_row_with_its_ordering_key_passes_a_claimed_one(self, database: Database) -> None:
        _add(database, _of("ana", "#other"), _of("ana", "#shop"))
        first, second = _claim(database)
        _add(database, _of("ben", "#shop"))
        assert _claim(database) == []
        _again(database, second, NOW + 5)
        assert _claim(database) == []
        assert [row.id for row in _claim(database, now=NOW + 5)] == [second.id]
        _done(database, [first, second])
        assert [row.data["for"] for row in _claim(database)] == ["ben"]

    def test_what_fell_back_from_a_killed_process_comes_first(self, database: Database) -> None:
        _add(database, _of("ana", "#shop"), _of("ana", "#shop"))
        (first,) = _claim(database)
        _add(database, _of("ben", "#shop"))
        assert [row.id for row in _claim(database, "another", now=NOW + 11)] == [first.id]

    def test_a_persons_own_rows_keep_their_order(self, database: Database) -> None:
        keys = ["#shop", "#other", "#shop", "#other", "#shop"]
        _add(database, *[_of("ana", key) for key in keys[:3]])
        (before,) = _claim(database, limit=1)
        _add(database, *[_of("ana", key) for key in keys[3:]])
        _done(database, [before])
        done: dict[str, list[int]] = {}
        while rows := _claim(database, limit=1):
            done.setdefault(rows[0].ordering_key, []).append(rows[0].id)
            _done(database, rows)
        assert (
            all(ids == sorted(ids) for ids in done.values()) and sum(map(len, done.values())) == 4
        )

    def test_a_thread_follows_its_message_and_goes_together_with_those_of_others(
        self, database: Database
    ) -> None:
        _add(database, _of("ana", "#shop"), _of("ana", "#shop"))
        _add(database, _of("ana", "#shop", Kind.THREAD_NOTE), _of("ben", "#shop", Kind.THREAD_NOTE))
        (post,) = _claim(database)
        # A message of Ana's is between the two.
        assert _behind(database, post, (Kind.THREAD_NOTE,), 2) == []
        assert _served_after(database, post) == [
            ("ben", "thread_note"),
            ("ana", "post_approval"),
            ("ana", "thread_note"),
        ]

    def test_presses_of_one_person_on_many_requests_do_not_hold_up_anothers(
        self, database: Database
    ) -> None:
        _add(
            database,
            *[_of("ana", f"decide:{n}:ana", Kind.DECIDE, Queue.DECIDE) for n in range(100)],
        )
        _add(database, _of("ben", "decide:1:ben", Kind.DECIDE, Queue.DECIDE))
        assert _served(database, Queue.DECIDE).index("ben") == 1


def _served_after(db: Database, row: Row) -> list[tuple[str, str]]:
    _done(db, [row])
    served: list[tuple[str, str]] = []
    while rows := _claim(db, limit=1):
        served += [(each.data["for"], str(each.kind)) for each in rows]
        _done(db, rows)
    return served


class TestOrder:
    def test_one_row_of_each_ordering_key_is_claimed_at_a_time(self, database: Database) -> None:
        _add(database, _effect("a"), _effect("a"), _effect("b"), _effect("a"))
        assert _keys(_claim(database)) == ["a", "b"]
        assert _claim(database, "another") == []

    def test_the_next_row_of_an_ordering_key_follows_when_the_first_is_done(
        self, database: Database
    ) -> None:
        _add(database, _effect("a"), _effect("a"))
        first = _claim(database)
        _done(database, first)
        (second,) = _claim(database)
        assert second.id > first[0].id

    def test_a_row_that_waits_for_its_next_try_holds_back_those_with_its_ordering_key(
        self, database: Database
    ) -> None:
        _add(database, _effect("a"), _effect("a"), _effect("b"))
        _again(database, _claim(database, limit=1)[0], NOW + 5)
        assert _keys(_claim(database)) == ["b"]
        assert len(_claim(database, now=NOW + 5)) == 1

    def test_an_ordering_key_keeps_its_order_over_two_queues(self, database: Database) -> None:
        _add(
            database,
            _effect("grant:g", Kind.START_GRANT, Queue.START),
            _effect("grant:g", Kind.END_LEASE, Queue.END),
        )
        started = _claim(database, queue=Queue.START)
        assert _claim(database, queue=Queue.END) == []
        _done(database, started)
        assert [row.kind for row in _claim(database, queue=Queue.END)] == [Kind.END_LEASE]

    def test_an_end_waits_for_a_claimed_start_and_not_for_a_waiting_one(
        self, database: Database
    ) -> None:
        _add(
            database,
            _effect("grant:g", Kind.START_GRANT, Queue.START),
            _effect("grant:g", Kind.END_LEASE, Queue.END),
        )
        (start,) = _claim(database, queue=Queue.START)
        assert _claim(database, queue=Queue.END, now=NOW + 9) == []
        _again(database, start, NOW + 900)
        assert [row.kind for row in _claim(database, queue=Queue.END)] == [Kind.END_LEASE]
        assert _claim(database, queue=Queue.START) == []

    def test_an_ordering_key_with_a_claimed_row_is_known(self, database: Database) -> None:
        _add(database, _effect("new"), _effect("in hand"), _effect("failed"), _effect("put back"))
        new, _, failed, back = _claim(database)
        with database.transaction():
            outbox.release(database, [new.id, back.id], "me")
        _again(database, failed, NOW + 900)
        with database.reading():
            assert outbox.tried(database, ["new", "in hand", "failed", "put back", "none"]) == {
                "in hand",
                "failed",
            }

    def test_renewals_on_different_systems_do_not_wait_for_each_other(
        self, database: Database
    ) -> None:
        """A row waits for the row before it of its system, and an end for claimed starts."""
        renewed = [extend_lease("g", system) for system in ("a", "b", "a", "b")]
        _add(database, *renewed, end_lease("g", "a"))
        first = _claim(database, queue=Queue.START)
        assert [row.systems for row in first] == [("a",), ("b",)]
        _again(database, first[0], NOW + 5)
        _done(database, first[1:])
        second = _claim(database, queue=Queue.START)
        assert [row.systems for row in second] == [("b",)]
        assert _claim(database, queue=Queue.END) == []
        _done(database, second)
        for _ in range(2):
            (row,) = _claim(database, now=NOW + 5, queue=Queue.START)
            assert row.systems == ("a",) and _claim(database, queue=Queue.END) == []
            _done(database, [row])
        assert len(_claim(database, queue=Queue.END)) == 1

    def test_what_is_due_first_is_taken_first(self, database: Database) -> None:
        _add(database, _effect("late", delay=3), _effect("early"), _effect("not yet", delay=9))
        assert _keys(_claim(database, now=NOW + 5, limit=1)) == ["early"]
        assert _keys(_claim(database, now=NOW + 5)) == ["late"]

    def test_queues_do_not_see_each_other(self, database: Database) -> None:
        _add(database, _effect("a", queue=Queue.END))
        assert _claim(database) == []
        assert len(_claim(database, queue=Queue.END)) == 1


class TestClaims:
    def test_a_claim_that_nobody_extends_falls_back_and_counts_as_an_unknown_outcome(
        self, database: Database
    ) -> None:
        _add(database, _effect("a"))
        (mine,) = _claim(database)
        assert _claim(database, "another", NOW + 9) == []
        (taken,) = _claim(database, "another", NOW + 10)
        assert (taken.id, taken.attempts, taken.outcome_unknown) == (mine.id, 2, 1)
        assert _done(database, [mine]) == 0, "it is another's by now"
        assert _done(database, [taken], "another") == 1

    def test_an_extended_claim_stays(self, database: Database) -> None:
        _add(database, _effect("a"), _effect("b"))
        rows = _claim(database)
        with database.transaction():
            outbox.extend_claims(database, "me", [row.id for row in rows], NOW + 60)
        assert _claim(database, "another", NOW + 59) == []

    def test_nobody_extends_the_claim_of_another(self, database: Database) -> None:
        _add(database, _effect("a"))
        (row,) = _claim(database)
        with database.transaction():
            outbox.extend_claims(database, "another", [row.id], NOW + 60)
        assert len(_claim(database, "another", NOW + 10)) == 1

    @pytest.mark.parametrize(
        ("outcome_unknown", "counted"), [(False, 0), (True, 1)], ids=["a clear no", "no answer"]
    )
    def test_a_row_given_back_knows_whether_it_may_have_been_done(
        self, database: Database, outcome_unknown: bool, counted: int
    ) -> None:
        _add(database, _effect("a"))
        _again(database, _claim(database)[0], NOW + 1, outcome_unknown)
        (row,) = _claim(database, now=NOW + 1)
        assert (row.attempts, row.outcome_unknown) == (2, counted)

    def test_who_lost_a_claim_can_not_give_it_back(self, database: Database) -> None:
        _add(database, _effect("a"))
        (mine,) = _claim(database)
        (taken,) = _claim(database, "another", NOW + 10)
        _again(database, mine, NOW + 10)
        assert _done(database, [taken], "another") == 1

    def test_a_restart_of_the_only_process_frees_everything_at_once(
        self, database: Database
    ) -> None:
        _add(database, _effect("a"))
        _claim(database)
        with database.transaction():
            outbox.free_claims(database)
        assert [row.outcome_unknown for row in _claim(database, "restarted")] == [1]

    def test_work_added_and_work_claimed_are_seen_without_a_lock(self, database: Database) -> None:
        with database.reading():
            assert not outbox.any_due(database, Queue.SLACK, NOW)
        _add(database, _effect("a", delay=5))
        with database.reading():
            assert not outbox.any_due(database, Queue.SLACK, NOW)
            assert outbox.any_due(database, Queue.SLACK, NOW + 5)

    @pytest.mark.parametrize("behind", [0, 1], ids=["alone", "with a row behind it"])
    def test_a_claimed_row_is_not_due_and_no_row_behind_it(
        self, database: Database, behind: int
    ) -> None:
        _add(database, _effect("a"))
        _claim(database)
        _add(database, *[_effect("a")] * behind)
        with database.reading():
            assert not outbox.any_due(database, Queue.SLACK, NOW)
            assert outbox.any_due(database, Queue.SLACK, NOW + 10)

    def test_the_first_row_of_each_queue_gives_its_due_time_whichever_process_claimed_it(
        self, database: Database
    ) -> None:
        with database.reading():
            assert outbox.next_due(database) == {}
        _add(database, _effect("a", delay=5), _effect("b"), _effect("c", queue=Queue.END, delay=9))
        _claim(database)
        with database.reading():
            assert outbox.next_due(database) == {Queue.SLACK: NOW, Queue.END: NOW + 9}


class TestTogether:
    TELL, NOTE = Kind.NOTIFY_PERSON, Kind.THREAD_NOTE

    def test_rows_of_one_kind_that_follow_each_other_are_taken_together(
        self, database: Database
    ) -> None:
        kinds = (self.TELL, self.NOTE, self.TELL, Kind.REMIND, self.TELL)
        _add(database, *(_effect("a", kind) for kind in kinds))
        (first,) = _claim(database)
        rows = _behind(database, first, [self.TELL, self.NOTE])
        assert [(row.kind, row.attempts) for row in rows] == [(self.NOTE, 1), (self.TELL, 1)]
        assert _done(database, [first, *rows]) == 1 + len(rows)

    def test_too_few_are_left_where_they_are(self, database: Database) -> None:
        _add(database, *[_effect("a")] * 3)
        (first,) = _claim(database)
        assert _behind(database, first, [self.TELL], least=3) == []
        assert len(_behind(database, first, [self.TELL], least=2)) == 2

    def test_nothing_is_taken_behind_a_row_that_is_anothers_by_now(
        self, database: Database
    ) -> None:
        _add(database, *[_effect("a")] * 3)
        (first,) = _claim(database)
        _claim(database, "another", NOW + 10)
        assert _behind(database, first, [self.TELL]) == []

    def test_what_may_have_been_done_goes_only_with_its_like(self, database: Database) -> None:
        _add(database, *[_effect("a")] * 2)
        (first,) = _claim(database)
        _behind(database, first, [self.TELL])
        _add(database, _effect("a"))
        (again,) = _claim(database, "another", NOW + 10)
        assert [
            row.outcome_unknown for row in _behind(database, again, [self.TELL], owner="another")
        ] == [1]


class TestRunNow:
    def test_what_waits_becomes_due_at_once(self, database: Database) -> None:
        _add(database, _effect("a", delay=60), _effect("b", delay=60))
        with database.transaction():
            assert outbox.run_now(database, ["a"], NOW)
        assert _keys(_claim(database)) == ["a"]

    def test_claimed_rows_are_not_made_due_earlier(self, database: Database) -> None:
        _add(database, _effect("a"))
        _claim(database)
        with database.transaction():
            assert not outbox.run_now(database, ["a"], NOW)

    def test_waiting_rows_are_dropped_and_claimed_rows_are_not(self, database: Database) -> None:
        _add(database, _effect("a"), _effect("a"), _effect("b"))
        (held,) = _claim(database, limit=1)
        with database.transaction():
            outbox.drop(database, ["a", "b"])
            assert outbox.counts(database) == {"slack": 1}
        assert _done(database, [held]) == 1


def test_four_processes_do_two_hundred_rows_once_and_each_ordering_key_in_order(
    database: Database, database_url: str
) -> None:
    _add(database, *(_effect(f"key {n % 20}") for n in range(200)))
    printed = " ".join(processes(4, WORKER, database_url)).split()
    assert sorted(map(int, printed)) == list(range(1, 201))
