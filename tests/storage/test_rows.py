"""Small things the rows have to get right: key values, people and groups, gates, leases, votes,
usage."""

from __future__ import annotations

import pytest

from bot.core.approval import with_vote
from bot.core.model import GrantState, Person, Vote
from storage import grants, key_values, people, requests, usage
from storage.database import Database
from storage.usage import Count, Sum
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, START, Made, a_person


class TestKeyValues:
    def test_a_value_is_new_once(self, database: Database) -> None:
        with database.transaction():
            assert [key_values.put(database, "k", value) for value in ("a", "a", "b", "b")] == [
                True,
                False,
                True,
                False,
            ]

    def test_of_many_writers_of_one_value_one_changed_it(self, database: Database) -> None:
        def put() -> bool:
            with database.transaction():
                return key_values.put(database, "k", "v")

        assert sum(together(database, [put] * 8)) == 1

    def test_the_greatest_value_stays_until_it_is_too_small(self, database: Database) -> None:
        with database.transaction():
            for key, value in (("a 1", "20 x"), ("a 1", "10 y"), ("a 2", "30 z"), ("b", "10")):
                key_values.put_greater(database, key, value)
            assert key_values.beginning(database, "a ") == [("a 1", "20 x"), ("a 2", "30 z")]
            assert key_values.drop_less(database, "a ", "25") == 1
            assert key_values.get(database, "b") == "10"

    def test_a_key_is_claimed_once_by_the_first_caller(self, database: Database) -> None:
        def claim() -> bool:
            with database.transaction():
                return key_values.claim_key(database, "k", START)

        assert sum(together(database, [claim] * 8)) == 1

    def test_a_key_comes_free_with_the_transaction_that_failed(self, database: Database) -> None:
        with pytest.raises(KeyError), database.transaction():
            key_values.claim_key(database, "k", START)
            raise KeyError
        with database.transaction():
            assert key_values.claim_key(database, "k", START)

    def test_old_keys_are_forgotten(self, database: Database) -> None:
        with database.transaction():
            key_values.claim_key(database, "old", START - 1)
            key_values.claim_key(database, "new", START)
            assert key_values.forget_keys(database, START) == 1
            assert not key_values.claim_key(database, "new", START)


class TestPeople:
    def _save(self, db: Database, *found: Person) -> str:
        with db.transaction():
            people.save(db, found, START)
            return people.version(db)

    def test_what_slack_said_later_wins_whatever_arrives_last(self, database: Database) -> None:
        self._save(database, Person("U1", "New", "u@x", "UTC", "T1", START + 1))
        self._save(database, Person("U1", "Old", "u@x", "UTC", "T1", START))
        with database.reading():
            assert getattr(people.get(database, "U1"), "name", None) == "New"

    def test_the_version_changes_with_who_counts_as_whom_only(self, database: Database) -> None:
        first = self._save(database, a_person("U1"))
        renamed = self._save(
            database, Person("U1", "Other", "u1@example.com", "UTC", "T1", START + 1)
        )
        gone = self._save(
            database, Person("U1", "Other", "u1@example.com", "UTC", "T1", START + 2, deleted=True)
        )
        assert (first == renamed, renamed == gone) == (True, False)

    @pytest.mark.parametrize("kind", ["deleted", "bot", "guest", "stranger", "unconfirmed"])
    def test_an_address_never_stands_for_somebody_unfit(
        self, database: Database, kind: str
    ) -> None:
        self._save(database, a_person("U1", "boss@x"), a_person("U9", "Boss@X", **{kind: True}))
        with database.reading():
            found = people.directory(database)
        assert (found.resolve(["BOSS@x"]), found.unfit) == ({"U1"}, {"U9"})

    def test_groups_that_are_the_same_change_nothing_in_any_order(self, database: Database) -> None:
        def save(*groups: tuple[str, str, list[str]]) -> bool:
            with database.transaction():
                return people.save_groups(database, groups) is not None

        one, two = ("Sb", "b", ["U1", "U2"]), ("SA", "a", [])
        assert [
            save(one, two),
            save(two, one),
            save(two, ("Sb", "b", ["U2", "U1"])),
            save(one),
        ] == [
            True,
            False,
            False,
            True,
        ]

    def test_several_processes_may_save_the_same_groups_at_once(self, database: Database) -> None:
        def save() -> bool:
            with database.transaction():
                return (
                    people.save_groups(database, [("S1", "a", ["U1"]), ("S2", "b", [])]) is not None
                )

        assert sum(together(database, [save] * 6)) == 1

    def test_holders_are_looked_up_longest_unseen_first_and_at_start_longest_access_first(
        self, made: Made
    ) -> None:
        for person in (ANA, CARA):
            made.a_request(person=person)
        made.a_request("reports-read", ANA)
        with made.world.db.transaction():
            people.save(
                made.world.db,
                [a_person(CARA), Person(ANA, "Ana", "", "UTC", "T1", START + 5)],
                START,
            )
        with made.world.db.reading():
            assert people.to_check(made.world.db, START) == [(CARA, START), (ANA, START + 5)]
            assert people.to_check(made.world.db, START + 60) == [(ANA, 0), (CARA, 0)]


class TestVotes:
    @pytest.mark.parametrize("again", [3600, 60], ids=["the same terms", "other terms"])
    def test_a_vote_is_stored_as_an_approval_counts_it(self, made: Made, again: int) -> None:
        request = made.a_request()
        with made.world.db.transaction():
            for voter, at, duration in ((CARA, 1, 3600), (BEN, 2, 3600), (CARA, 3, again)):
                vote = Vote(request.id, voter, at, duration, request.actions)
                counted = with_vote(requests.votes(made.world.db, request.id), vote)
                requests.add_vote(made.world.db, vote)
                assert requests.votes(made.world.db, request.id) == counted


class TestGrantRows:
    def test_a_gate_opens_only_for_what_is_starting_or_active(self, made: Made) -> None:
        grant = made.a_grant()
        with made.world.db.transaction():
            grants.open_gate(made.world.db, grant.id, "elsewhere", grant.ends_at)
            grants.request_end(made.world.db, [grant.id], grants.EndReason.REVOKED, "U0LEA")
            grants.close_gate(made.world.db, grant.id, "elsewhere")
            grants.open_gate(made.world.db, grant.id, "elsewhere", grant.ends_at)
            assert grants.gate_until(made.world.db, grant.id, "elsewhere") is None

    def test_a_late_repetition_takes_nothing_back(self, made: Made) -> None:
        grant = made.a_grant()
        with made.world.db.transaction():
            grants.open_gate(made.world.db, grant.id, "shop-admin", grant.ends_at + 60)
            grants.open_gate(made.world.db, grant.id, "shop-admin", grant.ends_at)
            assert grants.gate_until(made.world.db, grant.id, "shop-admin") == grant.ends_at + 60

    def test_a_lease_that_ended_has_ended_for_good(self, made: Made) -> None:
        grant, db = made.a_grant(), made.world.db
        with db.transaction():
            assert grants.set_lease(db, grant.id, "shop-admin", GrantState.ENDED)
            assert not grants.set_lease(
                db, grant.id, "shop-admin", GrantState.ENDING, "late failure"
            )
            assert [lease.error for lease in grants.leases(db, grant.id)] == [""]

    def test_the_next_deadline_is_the_first_of_all_kinds(self, made: Made) -> None:
        db = made.world.db
        due = []
        for change in (lambda: None, lambda: made.a_request("reports-read"), made.a_grant):
            change()
            with db.reading():
                due.append(grants.deadlines(db).first)
        assert due == [None, START + 8 * 3600, START + 1800]

    def test_a_vote_is_counted_once_and_its_latest_terms_hold(self, made: Made) -> None:
        request, db = made.a_request(), made.world.db
        with db.transaction():
            said = [
                requests.add_vote(db, Vote(request.id, BEN, START, length, ("a",)))
                for length in (60, 60, 30)
            ]
            assert said == [True, False, True]
            assert [vote.duration for vote in requests.votes(db, request.id)] == [30]


class TestUsageRows:
    def test_counts_add_up_and_are_summed_by_system(self, database: Database) -> None:
        def count(outcome: str, minute: int, source: str = "10.0.0.1", checks: int = 2) -> Count:
            return Count("g1", "shop", source, minute, outcome, "token", checks, minute + 7)

        with database.transaction():
            usage.add(database, [count("allowed", 0), count("expired", 60)])
            usage.add(
                database,
                [count("allowed", 0), count("allowed", 120, "10.0.0.2"), count("allowed", 60)],
            )
            assert usage.sums(database, ["g1", "g2"]) == {
                "g1": {"shop": Sum(8, 2, 0, 127)},
                "g2": {},
            }
            assert usage.sources(database, "g1", "shop", 20) == ["10.0.0.1", "10.0.0.2"]
            assert [c.minute for c in usage.listing(database, "g1", 2)] == [120, 60]

    def test_only_refusals_have_no_first_and_last_use(self, database: Database) -> None:
        with database.transaction():
            usage.add(database, [Count("g1", "shop", "s", 0, "expired", "token", 3, 9)])
            assert usage.sums(database, ["g1"]) == {"g1": {"shop": Sum(0, 3, None, None)}}
