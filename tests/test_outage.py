"""Ends that can't be written are made anyway, reported once, and recorded afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import psycopg
import pytest

from bot.connectors.health import Health
from bot.core.errors import OutcomeUnknown, StorageUnavailable, SystemRefused, SystemUnavailable
from bot.core.model import Grant, GrantState, Membership
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.record_results import order_for, record_ended
from bot.operations.grants.renew_grant import Renewed, renew_grant
from bot.operations.process.find_unwritten import find_unwritten, known_ends
from bot.operations.systems.memberships import StoredMemberships
from bot.worker import outage
from bot.worker.outage import OutageWatch
from bot.worker.unwritten_ends import UnwrittenMemberships, UnwrittenRevocations, forget_if_back
from storage.database import Database
from tests.factories import ANA, LEA, Made, make_world
from tests.fakes import FakeSystem, FakeSystems, OurSystem
from tests.locks import held
from tests.waiting import until

CHANNEL = "#access-security"


@dataclass
class Watched:
    """An outage watch that runs when a test says so. A name in `failing` raises the exception
    there."""

    made: Made
    system: FakeSystem
    notified: list[str] = field(default_factory=list)
    failing: dict[str, list[Exception]] = field(default_factory=dict)
    watch: OutageWatch = field(init=False)

    def __post_init__(self) -> None:
        world = self.made.world
        memberships = UnwrittenMemberships(StoredMemberships(world))
        systems = FakeSystems(self.system)
        revocations = UnwrittenRevocations(world, systems, memberships, Health(world.now))  # type: ignore[arg-type]
        self.watch = OutageWatch(world, revocations, self.tell)

    def tell(self, place: str, facts: Mapping[str, object]) -> None:
        if errors := self.failing.get(place):
            raise errors.pop(0)
        self.notified.append(place)

    def check(self, times: int = 1) -> None:
        """Runs the watch, and waits until the work that this began is done."""
        for _ in range(times):
            self.watch.check()
            until(self.is_still)

    def is_still(self) -> bool:
        # Private names, because nothing else knows the threads that a check starts.
        report, revocations = self.watch._report._thread, self.watch._revocations  # noqa: SLF001
        return (
            not (report and report.is_alive())
            and float("inf") not in revocations._next_try.values()  # noqa: SLF001
        )

    def due(self, role: str = "shop-admin", duration: int = 3600) -> Grant:
        grant = self.made.a_grant(role, duration=duration)
        self.system.held.add(grant.id)
        self.made.clock.at = max(self.made.clock.at, grant.ends_at + 20)
        return grant

    def sweep(self) -> None:
        with suppress(StorageUnavailable):
            expire_due(self.made.world)


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    """Tests do not wait for an outage to last."""
    waits = dict.fromkeys(("CHECK_EVERY", "STEADY", "NOTIFIES_EVERY", "LEARN_PEOPLE_EVERY"), 0.0)
    with patch.multiple(outage, OUTAGE_AFTER=1e-9, **waits):
        yield


@pytest.fixture
def watched(database_url: str, tmp_path: Path) -> Iterator[Watched]:
    with closing(Database(database_url, wait=0.2)) as database:
        found = Watched(make_world(tmp_path, db=database), FakeSystem())
        found.check()
        yield found


@pytest.fixture
def watched_on_sqlite(sqlite_url: str, tmp_path: Path) -> Iterator[Watched]:
    with closing(Database(sqlite_url)) as database:
        found = Watched(make_world(tmp_path, db=database), FakeSystem())
        found.check()
        yield found


def test_while_a_lock_is_held_due_access_ends_and_is_recorded_afterwards(watched: Watched) -> None:
    made, world = watched.made, watched.made.world
    grant = watched.due()
    gone = made.clock.at
    with held(world.db, "grants"):
        watched.sweep()
        watched.check(3)
        assert watched.system.held == set()
        assert watched.system.count_calls("revoke") == 1
        assert made.grant(grant.id).state is GrantState.ACTIVE
        assert watched.notified == [CHANNEL]
        assert not watched.watch.well()
        made.clock.at += 60
    watched.sweep()
    record_ended(world, grant.id, "shop-admin")
    assert made.grant(grant.id).ended_at == gone
    ((detail,),) = made.log("grant:access:ended", "detail")
    assert json.loads(detail)["ended_at"] == gone
    with world.db.transaction():
        world.db.run("DELETE FROM outbox WHERE kind = 'end_lease'")
    watched.check(2)
    assert watched.watch.well() and watched.notified == [CHANNEL]
    ((detail,),) = made.log("process:writing:resumed", "detail")
    assert {"ended": 1, "reported": True}.items() <= json.loads(detail).items()
    assert len(made.rows("SELECT id FROM outbox WHERE data LIKE '%writing_back%'")) == 1
    assert world.unwritten.pairs() == []
    assert made.verdict().broken is None and made.verdict().differing == 0


def test_requested_ends_are_made_when_they_cannot_be_claimed(watched: Watched) -> None:
    made = watched.made
    grant = watched.due()
    expire_due(made.world)
    made.clock.at += 10
    with held(made.world.db, "outbox"):
        with pytest.raises(StorageUnavailable), made.world.db.transaction():
            made.world.db.run("UPDATE outbox SET due_at = 0")
        watched.check()
        assert watched.system.held == set()
    assert made.world.unwritten.at(grant.id, "shop-admin") == made.clock.at


def test_a_grant_with_a_locked_row_ends_although_no_write_fails(
    postgres_url: str, tmp_path: Path
) -> None:
    with closing(Database(postgres_url, wait=0.2)) as database:
        watched = Watched(make_world(tmp_path, db=database), FakeSystem())
        watched.check()
        grant = watched.due()
        with psycopg.connect(postgres_url) as other:
            other.execute("SELECT 1 FROM grants WHERE id = %s FOR UPDATE", [grant.id])
            assert expire_due(watched.made.world) == 0
            assert database.writes.problem == ""
            watched.check()
            assert watched.system.held == set()
            assert watched.notified == [CHANNEL] and database.writes.problem == ""
        assert expire_due(watched.made.world) == 1


def test_a_grant_that_is_overdue_once_is_left_to_the_sweep(watched_on_sqlite: Watched) -> None:
    """The process has just started, or the machine was asleep."""
    watched = watched_on_sqlite
    grant = watched.due()
    with patch.object(outage, "OUTAGE_AFTER", 60):
        watched.check()
    assert watched.system.held == {grant.id}
    watched.sweep()
    watched.check()
    assert watched.system.count_calls("revoke") == 0 and watched.notified == []


def test_a_write_that_failed_once_is_no_outage(watched: Watched) -> None:
    with held(watched.made.world.db, "grants"), pytest.raises(StorageUnavailable):
        watched.made.a_grant()
    with watched.made.world.db.transaction():
        watched.made.world.db.run("UPDATE people SET checked_at = 0")
    with patch.object(outage, "OUTAGE_AFTER", 60):
        watched.check(2)
    assert watched.notified == [] and watched.watch.well()
    assert watched.made.events("process:writing:resumed") == 0


def test_a_system_that_fails_is_retried(watched_on_sqlite: Watched) -> None:
    watched, made = watched_on_sqlite, watched_on_sqlite.made
    grant = watched.due()
    watched.system.failing["revoke"] = SystemUnavailable("away")
    made.world.db.writes.failed("full")
    watched.check(3)
    assert watched.system.count_calls("revoke") == 1, "the next try waits"
    assert made.world.unwritten.pairs() == []
    watched.system.failing.clear()
    # Instead of waiting for the next try.
    watched.watch._revocations._next_try.clear()  # noqa: SLF001
    watched.check()
    assert watched.system.held == set()
    assert made.world.unwritten.pairs() == [(grant.id, "shop-admin")]


def test_access_in_our_rows_ends_without_a_call(sqlite_url: str, tmp_path: Path) -> None:
    with closing(Database(sqlite_url)) as database:
        watched = Watched(make_world(tmp_path, db=database), OurSystem())
        grant = watched.due()
        database.writes.failed("full")
        watched.check()
        assert watched.system.calls == []
        assert database.is_sqlite and watched.made.world.unwritten.pairs() == [
            (grant.id, "shop-admin")
        ]


READ = """
title = "Read"
system = "shop-admin"
actions = ["orders:read"]
requesters = ["everyone"]
approvers = ["@db-leads"]
"""


def test_a_continuing_grant_keeps_its_actions_and_another_overdue_one_does_not(
    made: Made,
) -> None:
    """Otherwise each of two would keep the other's access."""
    made.set_policy(read=READ)
    first, second = made.a_grant("shop-admin", duration=600), made.a_grant("read", duration=3600)

    def kept() -> dict[str, tuple[str, ...]]:
        return {
            end.order.grant: end.order.kept for end in find_unwritten(made.world, 2, asked=False)
        }

    made.clock.at = first.ends_at + 5
    assert kept() == {first.id: ("orders:read",)}
    made.clock.at = second.ends_at + 5
    assert kept() == {first.id: ("orders:read",), second.id: ()}


def test_when_nothing_can_be_read_the_known_ends_are_made(
    watched_on_sqlite: Watched,
) -> None:
    watched, made = watched_on_sqlite, watched_on_sqlite.made
    soon, later = (
        made.a_grant("shop-admin", duration=600),
        made.a_grant("reports-read", duration=7200),
    )
    watched.system.held |= {soon.id, later.id}
    watched.check()
    made.clock.at = soon.ends_at + 3
    made.world.db.writes.failed("gone")
    with patch.object(outage, "find_unwritten", side_effect=StorageUnavailable("gone")):
        watched.check()
    assert watched.system.held == {later.id}


def test_an_end_of_a_grant_that_was_renewed_meanwhile_is_undone(
    watched_on_sqlite: Watched,
) -> None:
    watched, made = watched_on_sqlite, watched_on_sqlite.made
    grant = made.a_grant("shop-admin", duration=600)
    watched.system.held.add(grant.id)
    watched.check()
    made.clock.at = grant.ends_at - 10
    assert isinstance(renew_grant(made.world, grant.id, ANA, duration=600), Renewed)
    made.clock.at = grant.ends_at + 3
    made.world.db.writes.failed("gone")
    with patch.object(outage, "find_unwritten", side_effect=StorageUnavailable("gone")):
        watched.check()
    assert watched.system.held == set()
    made.forget_work()
    made.world.db.writes.worked()
    watched.check()
    assert "extend_lease" in made.work()
    assert made.world.unwritten.pairs() == []


def test_a_start_after_an_end_clears_the_time_of_the_end(made: Made) -> None:
    grant, system = made.a_grant(), FakeSystem()
    order = order_for(made.world, grant.id, "shop-admin")
    assert order is not None
    made.world.unwritten.note(grant.id, "shop-admin", 1)
    forget_if_back(made.world.unwritten, system, order)
    assert made.world.unwritten.at(grant.id, "shop-admin") == 1
    system.grant(order)
    forget_if_back(made.world.unwritten, system, order)
    assert made.world.unwritten.at(grant.id, "shop-admin") is None


def test_memberships_are_hidden_until_they_were_read_back(made: Made) -> None:
    stored = StoredMemberships(made.world)
    memberships = UnwrittenMemberships(stored)
    membership = Membership("github", "g1", "ana", "team", "team")
    memberships.note(membership)
    memberships.forget(membership)
    assert (
        memberships.of_grant("github", "g1") == memberships.of_thing("github", "ana", "team") == []
    )
    assert memberships.of_system("github") == [] and stored.of_system("github") == [membership]
    memberships.show("github", "g1")
    assert memberships.of_grant("github", "g1") == [membership]


def test_pairs_that_another_process_has_recorded_are_forgotten(watched: Watched) -> None:
    made = watched.made
    grant = watched.due()
    made.world.unwritten.note(grant.id, "shop-admin", made.clock.at)
    expire_due(made.world)
    watched.check()
    assert made.world.unwritten.pairs() == [(grant.id, "shop-admin")], "its record is still to come"
    other = replace(made.world, unwritten=type(made.world.unwritten)())
    record_ended(other, grant.id, "shop-admin")
    watched.check()
    assert made.world.unwritten.pairs() == []


LOST = OutcomeUnknown("lost")
REPORTS: dict[str, tuple[dict[str, list[Exception]], list[str]]] = {
    "the channel takes it": ({}, [CHANNEL]),
    "the channel refuses": ({CHANNEL: [SystemRefused("is_archived")]}, [LEA]),
    "Slack is away for a while": ({CHANNEL: [SystemUnavailable("away")] * 2}, [CHANNEL]),
    "an answer is lost": ({CHANNEL: [LOST]}, [CHANNEL]),
    "two answers are lost": ({CHANNEL: [LOST, LOST]}, []),
    "neither channel nor lead": (
        {
            CHANNEL: [SystemRefused("is_archived")] * 2,
            LEA: [SystemRefused("messages_tab_disabled")],
        },
        [LEA],
    ),
}


@pytest.mark.parametrize(("failing", "expected"), REPORTS.values(), ids=REPORTS)
def test_the_outage_is_reported_to_the_channel_or_to_each_lead_once(
    watched_on_sqlite: Watched, failing: dict[str, list[Exception]], expected: list[str]
) -> None:
    watched = watched_on_sqlite
    watched.failing = {place: list(errors) for place, errors in failing.items()}
    watched.made.world.db.writes.failed("full")
    watched.check(5)
    assert watched.notified == expected


def test_due_ends_are_found_when_no_connection_of_the_pool_is_free(
    postgres_url: str, tmp_path: Path
) -> None:
    with closing(Database(postgres_url, wait=0.2)) as database, ThreadPoolExecutor(1) as another:
        made = make_world(tmp_path, db=database)
        grant = made.a_grant()
        made.clock.at = grant.ends_at + 5
        database.close()
        database._db._max_connections = 1  # noqa: SLF001, as the smallest pool is larger
        with database.reading():
            database.row("SELECT 1")
            with pytest.raises(StorageUnavailable):
                another.submit(expire_due, made.world).result()
            (end,) = another.submit(find_unwritten, made.world, 2, asked=True).result()
        assert end.pair == (grant.id, "shop-admin")
        assert "connections" in database.writes.problem


def test_the_ends_in_memory_are_those_of_grants_that_may_be_on_a_system(made: Made) -> None:
    active = made.a_grant("shop-admin")
    made.a_request("reports-read")
    ending = made.a_grant("reports-read", person="U0CARA", duration=60)
    made.clock.at = ending.ends_at
    expire_due(made.world)
    assert [(end.order.grant, end.at) for end in known_ends(made.world)] == [
        (ending.id, 0),
        (active.id, active.ends_at),
    ]


def test_longer_lasting_rows_are_not_reported_as_ended(sqlite_url: str, tmp_path: Path) -> None:
    """A certificate that a lead revoked is good until its own end, or until the revocation can be
    written."""
    with closing(Database(sqlite_url)) as database:
        watched = Watched(make_world(tmp_path, db=database), OurSystem())
        grant = watched.made.a_grant()
        order = order_for(watched.made.world, grant.id, "shop-admin")
        assert order is not None
        with patch.object(FakeSystems, "ends_together", return_value=False):
            watched.watch._revocations.begin([order])  # noqa: SLF001, as a watch finds no such end
            assert watched.made.world.unwritten.pairs() == []
            watched.made.clock.at = grant.ends_at
            watched.watch._revocations.begin([order])  # noqa: SLF001, as a watch finds no such end
            assert watched.made.world.unwritten.pairs() == [(grant.id, "shop-admin")]
