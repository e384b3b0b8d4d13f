"""Sessions under a grant, reported by a system or seen on it: each is counted once, in any order
and however often it is repeated, and one after the end of its grant raises an alert."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.connectors.base import Session
from bot.core.model import EndReason, Grant
from bot.operations.grants.release_grant import release_grant
from bot.operations.usage.count_usage import UsageMeter, sum_usage
from bot.operations.usage.describe_usage import UsageView, describe_usage
from bot.operations.usage.record_sessions import claim_poll, record_sessions, systems_to_watch
from bot.operations.usage.report_session import Kept, Report, Unfit, report_use
from storage import grants
from storage.database import Database
from tests.concurrency import together
from tests.factories import ANA, START, Made, make_world

SHOP = "shop-admin"
FROM = "192.0.2.7"
Step = tuple[str, str, int, bool]


@pytest.fixture
def made_on_sqlite(sqlite_url: str, tmp_path: Path) -> Iterator[Made]:
    with closing(Database(sqlite_url)) as database:
        yield make_world(tmp_path, db=database)


def reported(
    made: Made, grant: Grant, event: str, at: int | None = None, session: str = "s1"
) -> Kept:
    kept = report_use(made.world, SHOP, Report(grant.id, event, session, FROM, at))  # type: ignore[arg-type]
    assert isinstance(kept, Kept), kept
    return kept


def seen(
    made: Made, *found: tuple[Grant, str, int], at: int | None = None, system: str = SHOP
) -> None:
    """A scan of the system: these sessions, opened then, are open there."""
    now = made.world.now() if at is None else at
    record_sessions(
        made.world,
        system,
        [Session(grant.id, name, FROM, opened) for grant, name, opened in found],
        now,
    )


def usage_of(made: Made, grant: Grant) -> UsageView:
    view = describe_usage(made.world, grant.id)
    assert view is not None
    return view


def times(made: Made, grant: Grant) -> list[tuple[str, int | None, int | None]]:
    return sorted(
        (row.name, row.opened_at, row.closed_at) for row in usage_of(made, grant).sessions
    )


def an_ended(made: Made, at: int = START + 600) -> Grant:
    grant = made.a_grant()
    made.clock.at = at
    release_grant(made.world, grant.id, ANA)
    made.close_gates(grant)
    assert made.state("grants", grant.id) == "ended"
    return made.grant(grant.id)


def alerts(made: Made) -> list[dict[str, object]]:
    found = [
        json.loads(data)
        for (data,) in made.rows("SELECT data FROM outbox WHERE kind = 'notify_security'")
    ]
    return [data for data in found if data["note"] == "use_after_end"]


class TestReported:
    def test_a_session_is_kept_with_its_times_and_is_the_first_use(self, made: Made) -> None:
        grant = made.a_grant()
        made.clock.at = START + 100
        assert reported(made, grant, "opened") == Kept(True, True)
        assert reported(made, grant, "closed", START + 90) == Kept(True, True), (
            "its clock may be a little behind"
        )
        assert times(made, grant) == [("s1", START + 100, START + 100)], (
            "never closed before it was opened"
        )
        assert made.log("grant:use:first", 'actor, system, "grant"') == [(ANA, SHOP, grant.id)]
        (detail,) = (json.loads(detail) for (detail,) in made.log("grant:use:first", "detail"))
        assert (detail["session"], detail["source_address"]) == ("s1", FROM)

    def test_a_repeated_report_changes_nothing(self, made: Made) -> None:
        grant = made.a_grant()
        assert [reported(made, grant, "opened", START).is_new for _ in range(3)] == [
            True,
            False,
            False,
        ]
        made.clock.at += 60
        assert [
            reported(made, grant, "closed").is_new,
            reported(made, grant, "closed", START + 1).is_new,
        ] == [True, False]
        assert reported(made, grant, "opened").is_new is False, (
            "a late repetition does not open it again"
        )
        assert times(made, grant) == [("s1", START, START + 60)]
        assert made.events("grant:use:first") == 1

    def test_of_many_reports_at_once_one_is_new(self, made: Made) -> None:
        grant = made.a_grant()
        kept = together(made.world.db, [lambda: reported(made, grant, "opened")] * 8)
        assert sum(each.is_new for each in kept) == 1
        assert (usage_of(made, grant).used.times, made.events("grant:use:first")) == (1, 1)

    def test_a_report_after_the_sum_is_summed_again(self, made: Made) -> None:
        grant = an_ended(made)
        sum_usage(made.world, [grant.id])
        made.forget_work()
        for session in ("s1", "s2", "s2"):
            reported(made, grant, "opened", START + 300, session)
        assert made.work() == ["sum_usage"]
        sum_usage(made.world, [grant.id])
        assert [
            json.loads(detail)["sessions"] for (detail,) in made.log("grant:use:summed", "detail")
        ] == [0, 2]

    @pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
    def test_reports_in_any_order_have_the_same_result(
        self, made: Made, order: tuple[int, ...]
    ) -> None:
        grant = made.a_grant()
        made.clock.at = START + 900
        reports = [
            ("opened", START + 10, "a"),
            ("closed", START + 70, "a"),
            ("opened", START + 20, "b"),
        ]
        reports.append(("closed", START + 80, "b"))
        for place in (*order, *order):
            reported(made, grant, *reports[place])
        assert times(made, grant) == [("a", START + 10, START + 70), ("b", START + 20, START + 80)]
        used = usage_of(made, grant).used
        assert (used.times, used.first, used.last, used.open) == (2, START + 10, START + 80, 0)

    def test_a_session_with_only_a_closed_report_counts_as_use(self, made: Made) -> None:
        grant = made.a_grant()
        reported(made, grant, "closed", START)
        assert (times(made, grant), usage_of(made, grant).used.times) == ([("s1", None, START)], 1)

    @pytest.mark.parametrize(
        ("at", "fine"),
        [(START - 61, False), (START - 60, True), (START + 660, True), (START + 661, False)],
        ids=["before the grant", "a minute behind", "a minute ahead", "in the future"],
    )
    def test_a_clock_may_be_a_minute_off(self, made: Made, at: int, fine: bool) -> None:
        grant = made.a_grant()
        made.clock.at = START + 600
        found = report_use(made.world, SHOP, Report(grant.id, "opened", "s1", FROM, at))
        assert isinstance(found, Kept) is fine
        assert made.count("sessions") == int(fine)
        assert all(row.opened_at <= START + 600 for row in usage_of(made, grant).sessions), (
            "nothing is from the future"
        )

    def test_an_unknown_grant_or_one_of_another_system_is_refused_and_recorded_once(
        self, made: Made
    ) -> None:
        grant = made.a_grant()
        for _ in range(3):
            nowhere = report_use(made.world, SHOP, Report("gnone", "opened", "s1"))
            elsewhere = report_use(made.world, "reports", Report(grant.id, "opened", "s1"))
        assert isinstance(nowhere, Unfit) and isinstance(elsewhere, Unfit)
        assert (nowhere.kind, elsewhere.kind) == ("no grant", "other system")
        assert made.count("sessions") == 0
        logged = made.log("request:action:refused", 'actor, system, "grant", detail')
        assert [row[:3] for row in logged] == [
            ("system", SHOP, ""),
            ("system", "reports", grant.id),
        ]
        assert json.loads(logged[0][3])["named"] == "gnone"

    def test_a_grant_that_has_not_begun_has_no_use(self, made: Made) -> None:
        grant = made.a_started(made.a_request(start_at=START + 3600))
        assert isinstance(report_use(made.world, SHOP, Report(grant.id, "opened", "s1")), Unfit)


class TestBeyondTheEnd:
    def test_a_session_opened_after_the_end_is_stored_and_alerted_once(self, made: Made) -> None:
        grant = an_ended(made)
        made.clock.at += 60
        for _ in range(3):
            assert reported(made, grant, "opened").active is False
        assert times(made, grant) == [("s1", START + 660, None)]
        (shout,) = alerts(made)
        assert (shout["grant"], shout["system"], shout["session"], shout["origin"]) == (
            grant.id,
            SHOP,
            "s1",
            FROM,
        )
        assert (shout["opened_at"], shout["ended_at"]) == (START + 660, START + 600)
        (detail,) = (json.loads(detail) for (detail,) in made.log("grant:use:after_end", "detail"))
        assert (detail["session"], detail["opened_at"], detail["ended_at"]) == (
            "s1",
            START + 660,
            START + 600,
        )

    @pytest.mark.parametrize(
        ("after", "loud"),
        [(-60, 0), (0, 0), (5, 0), (6, 1), (3600, 1)],
        ids=lambda value: str(value),
    )
    def test_a_few_seconds_after_the_end_raise_no_alert(
        self, made: Made, after: int, loud: int
    ) -> None:
        grant = an_ended(made)
        made.clock.at += 7200
        reported(made, grant, "opened", START + 600 + after)
        assert len(alerts(made)) == made.events("grant:use:after_end") == loud

    def test_a_session_after_the_planned_end_of_an_ending_grant_is_alerted(
        self, made: Made
    ) -> None:
        grant = made.a_grant(duration=600)
        made.clock.at = START + 700
        reported(made, grant, "opened")
        assert len(alerts(made)) == 1

    def test_a_session_that_closes_after_the_end_is_in_order(self, made: Made) -> None:
        grant = made.a_grant()
        reported(made, grant, "opened")
        release_grant(made.world, grant.id, ANA)
        made.close_gates(grant)
        made.clock.at += 300
        reported(made, grant, "closed")
        assert (alerts(made), times(made, grant)) == ([], [("s1", START, START + 300)])

    def test_a_session_seen_open_long_after_the_confirmed_end_is_alerted_once(
        self, made: Made
    ) -> None:
        grant = made.a_grant()
        seen(made, (grant, "pid 1", START))
        made.clock.at = START + 600
        release_grant(made.world, grant.id, ANA)
        made.close_gates(grant)
        for later, loud in ((30, 0), (61, 1), (90, 1)):
            made.clock.at = START + 600 + later
            seen(made, (grant, "pid 1", START))
            assert len(alerts(made)) == loud, later

    def test_a_seen_session_that_began_after_the_end_is_alerted(self, made: Made) -> None:
        grant = an_ended(made)
        made.clock.at += 30
        seen(made, (grant, "pid 9", START + 620))
        assert [shout["session"] for shout in alerts(made)] == ["pid 9"]


class TestSeen:
    def test_sessions_open_and_close_between_two_scans(self, made: Made) -> None:
        grant = made.a_grant()
        for second, found in (
            (15, [("a", 5)]),
            (30, [("a", 5), ("b", 20)]),
            (45, [("b", 20)]),
            (60, []),
        ):
            made.clock.at = START + second
            seen(made, *((grant, name, START + opened) for name, opened in found))
        assert times(made, grant) == [("a", START + 5, START + 45), ("b", START + 20, START + 60)]
        assert made.events("grant:use:first") == 1
        used = usage_of(made, grant).used
        assert (used.times, used.first, used.last, used.open) == (2, START + 5, START + 60, 0)

    def test_the_same_scan_recorded_twice_changes_nothing(self, made: Made) -> None:
        grant = made.a_grant()
        for _ in range(2):
            seen(made, (grant, "a", START))
        assert (times(made, grant), made.events("grant:use:first")) == ([("a", START, None)], 1)

    def test_a_late_scan_closes_no_session_that_was_seen_after_it(self, made: Made) -> None:
        grant = made.a_grant()
        seen(made, (grant, "a", START + 10), at=START + 20)
        seen(made, at=START + 15)
        assert times(made, grant) == [("a", START + 10, None)]

    def test_a_missed_session_that_is_seen_again_was_never_closed(self, made: Made) -> None:
        grant = made.a_grant()
        seen(made, (grant, "a", START), at=START + 10)
        seen(made, at=START + 20)
        seen(made, (grant, "a", START), at=START + 30)
        assert times(made, grant) == [("a", START, None)]

    def test_a_reported_session_is_not_closed_by_a_scan_with_other_names(self, made: Made) -> None:
        grant = made.a_grant()
        reported(made, grant, "opened", session="told")
        seen(made, at=START + 60)
        assert times(made, grant) == [("told", START, None)]

    def test_sessions_without_a_grant_or_of_another_system_are_ignored(self, made: Made) -> None:
        grant = made.a_grant()
        record_sessions(made.world, SHOP, [Session("gnone", "x", "", START)], START)
        seen(made, (grant, "y", START), system="reports")
        assert made.count("sessions") == 0

    def test_odd_names_are_stored_as_far_as_possible(self, made: Made) -> None:
        grant = made.a_grant()
        record_sessions(
            made.world, SHOP, [Session(grant.id, "a\x00" + "b" * 500, "\ud800", START + 99)], START
        )
        (row,) = usage_of(made, grant).sessions
        assert (len(row.name), row.name[:2], row.source, row.opened_at) == (
            200,
            "a\ufffd",
            "\ufffd",
            START,
        )

    def test_systems_are_polled_while_there_may_be_sessions(self, made: Made) -> None:
        assert systems_to_watch(made.world) == {}
        grant = made.a_grant()
        assert systems_to_watch(made.world) == {SHOP: "gateway"}
        seen(made, (grant, "a", START))
        release_grant(made.world, grant.id, ANA)
        made.close_gates(grant)
        assert systems_to_watch(made.world) == {SHOP: "gateway"}, "until the last session is gone"
        seen(made, at=START + 60)
        assert systems_to_watch(made.world) == {}

    def test_one_of_many_processes_scans(self, made: Made) -> None:
        assert sum(together(made.world.db, [lambda: claim_poll(made.world, SHOP, 7)] * 6)) == 1
        assert [claim_poll(made.world, SHOP, slot) for slot in (7, 8)] == [False, True]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["opened", "closed", "look"]),
        st.sampled_from("abc"),
        st.integers(0, 300),
        st.booleans(),
    ),
    max_size=25,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_reported_seen_or_repeated_each_session_counts_once(
    made_on_sqlite: Made, steps: list[Step]
) -> None:
    made = made_on_sqlite
    made.clock.at = START
    grant = made.a_grant()
    made.clock.at = START + 300
    names: set[str] = set()
    for event, name, second, twice in steps:
        for _ in range(1 + twice):
            if event == "look":
                seen(made, (grant, name, START + second), at=START + second)
            else:
                reported(made, grant, event, START + second, name)
        names.add(name)
    view = usage_of(made, grant)
    release_grant(made.world, grant.id, ANA)
    made.close_gates(grant)
    assert {row.name for row in view.sessions} == names and view.used.times == len(names)
    assert all(row.opened_at is not None or row.closed_at is not None for row in view.sessions)
    assert all(
        row.opened_at <= row.closed_at
        for row in view.sessions
        if None not in (row.opened_at, row.closed_at)
    )
    assert view.used.open == sum(row.closed_at is None for row in view.sessions)
    assert made.count("first_uses", f"grant_id = '{grant.id}'") == bool(names)


class TestTheWhole:
    def test_checks_and_sessions_are_one_timeline(self, made: Made) -> None:
        grant, meter = made.a_grant(), UsageMeter(made.world)
        made.clock.at = START + 300
        reported(made, grant, "opened")
        made.clock.at = START + 600
        for source, outcome in (
            ("10.0.0.1", "allowed"),
            ("10.0.0.1", "allowed"),
            ("10.0.0.9", "expired"),
        ):
            meter.count(grant.id, SHOP, source, outcome)
        meter.flush()
        view = usage_of(made, grant)
        assert (view.used.times, view.used.first, view.used.last, view.used.open) == (
            3,
            START + 300,
            START + 600,
            1,
        )
        here = view.systems[SHOP]
        assert (here.allowed, here.refused, here.sessions, here.open) == (2, 1, 1, 1)
        assert view.sources == {SHOP: ["10.0.0.1", FROM]}
        sum_usage(made.world, [grant.id])
        ((summed,),) = made.log("grant:use:summed", "detail")
        said = {
            "allowed": 2,
            "refused": 1,
            "sessions": 1,
            "open": 1,
            "first": START + 300,
            "last": START + 600,
        }
        assert json.loads(summed) == {
            **said,
            "how": ["token"],
            "known": "every use",
            "sources": ["10.0.0.1", FROM],
            "source": "slack",
        }

    @pytest.mark.parametrize("use", ["nothing", "a look", "a report elsewhere"])
    def test_never_used_is_shown_only_where_use_would_be_known(self, made: Made, use: str) -> None:
        grant, other = made.a_grant(), made.a_grant(person="U0CARA")
        with made.world.db.transaction():
            made.world.db.run("UPDATE leases SET connector = 'aws'")
        if use == "a look":
            seen(made)
        elif use == "a report elsewhere":
            reported(made, other, "opened")
        used = usage_of(made, grant).used
        known = {
            "nothing": ((SHOP,), False),
            "a look": ((), True),
            "a report elsewhere": ((), False),
        }
        assert (used.times, used.silent, used.glimpsed) == (0, *known[use])

    def test_use_at_a_gate_would_be_known(self, made: Made) -> None:
        used = usage_of(made, made.a_grant()).used
        assert (used.times, used.silent, used.glimpsed, used.first) == (0, (), False, None)

    def test_an_unknown_grant_has_no_description(self, made: Made) -> None:
        assert describe_usage(made.world, "gnone") is None

    def test_a_renewal_moves_the_end_that_counts(self, made: Made) -> None:
        grant = made.a_grant(duration=600)
        made.forged = True
        with made.world.db.transaction():
            grants.renew(made.world.db, grant.id, START + 4000, None)
        made.clock.at = START + 3000
        reported(made, grant, "opened")
        assert alerts(made) == []
        with made.world.db.transaction():
            grants.request_end(made.world.db, [grant.id], EndReason.REVOKED, "U0LEA")
        made.clock.at = START + 3500
        reported(made, grant, "opened", session="s2")
        assert alerts(made) == [], (
            "it still exists, and everybody was told that its end is not confirmed"
        )
