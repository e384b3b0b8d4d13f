"""Any events in any order: people request, decide, renew and leave, systems fail, workers die, time
passes. At no moment is there access without an active grant, a second decision, a self-approval,
lost work, or a step without a record."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.app import build_tools
from bot.connectors.gateway import Gateway
from bot.core.effects import Kind, Queue
from bot.core.eligibility import Ask
from bot.core.model import Person, ProvisionOrder
from bot.core.roles import Policy
from bot.operations._unit_of_work import Context, Snapshot
from bot.operations.absence.come_back import come_back
from bot.operations.absence.end_absences import end_absences
from bot.operations.absence.go_away import go_away
from bot.operations.claim_work import ClaimedQueue, Row, Work
from bot.operations.emergencies.ping_due_reviews import ping_due_reviews
from bot.operations.emergencies.sign_review import sign_review
from bot.operations.emergencies.start_emergency import Call, start_emergency
from bot.operations.grants.begin_attempt import begin_attempt
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.panic import panic, resume
from bot.operations.grants.record_results import (
    order_for,
    record_end_failed,
    record_ended,
    record_not_made,
    record_start_failed,
    record_started,
    record_system_ready,
)
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.remind_due import remind_due
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.grants.revoke_grant import revoke_grant
from bot.operations.grants.show_credentials import (
    Credentials,
    confirm_shown,
    discard_credentials,
    show_credentials,
)
from bot.operations.grants.start_due import start_due
from bot.operations.messages.record_posted import record_reminded
from bot.operations.policy.record_policy import record_loaded
from bot.operations.process.next_due import next_due
from bot.operations.requests.approve_request import approve_request
from bot.operations.requests.count_vote import count_vote
from bot.operations.requests.deny_request import deny_request
from bot.operations.requests.lapse_due import lapse_due
from bot.operations.requests.ping_due import ping_due
from bot.operations.requests.request_access import request_access
from bot.operations.requests.withdraw_request import withdraw_request
from bot.operations.tokens.introspect_token import TokenActive
from bot.operations.usage.count_usage import sum_usage
from storage.database import Database
from tests.builders import a_policy
from tests.factories import ANA, BEN, CARA, DAN, LEA, Made, a_person, make_world
from tests.postgres import Postgres

POLICY = a_policy(
    shop_admin='max_duration = "2h"\nmax_total = "3h"\npending_timeout = "1h"\nmax_renewals = 2\n'
    '[roles.shop-admin.emergency]\nmembers = ["@sre"]\nmax_duration = "30m"',
    reports_read="ticket = '.*'",
    both=(
        'systems = ["shop-admin", "reports"]\nactions = ["a", "b"]\nrequesters = ["everyone"]\n'
        'approvers = ["@sre", "@db-leads"]\napprovals = 2\n'
        '[roles.both.emergency]\nmembers = ["@sre", "@engineers"]\nmax_duration = "1h"\n'
    ),
    vault=(
        'system = "shop-admin"\nactions = ["a"]\nrequesters = ["everyone"]\n'
        'tiers = [{ name = "lead", approvers = ["@db-leads", "@platform-leads"] },'
        ' { name = "security", approvers = ["@sre"] }]\n'
        'escalation = { after = "10m", approvers = ["@engineers"] }\n'
    ),
)
NARROWER = a_policy(
    shop_admin='max_duration = "30m"\nmax_total = "3h"\npending_timeout = "1h"\nmax_renewals = 2',
    both=(
        'systems = ["shop-admin", "reports"]\nactions = ["a", "b"]\nrequesters = ["@sre"]\n'
        'approvers = ["@sre", "@db-leads"]\napprovals = 2\n'
    ),
)
"""A roles.toml that gives less, and to fewer."""

WITHOUT = replace(
    POLICY, roles={name: POLICY.roles[name] for name in ("both", "reports-read")}, digest="another"
)
"""A roles.toml without the role that most people have."""

PEOPLE = (ANA, BEN, CARA, DAN, LEA)
ROLES = ("shop-admin", "both", "reports-read", "vault")
DECISIONS = {
    "approved": "request:approval:given",
    "denied": "request:denial:given",
    "withdrawn": "request:access:withdrawn",
    "lapsed": "request:access:lapsed",
}
STEPS = {
    "scheduled": {"grant:access:scheduled"},
    "starting": {"grant:access:scheduled", "grant:access:started", None},
    "active": {"grant:access:started", "grant:access:renewed"},
    "ending": {"grant:end:asked", "grant:end:failed", "grant:access:ended"},
    "ended": {"grant:access:ended"},
    "failed": {"grant:access:failed", "grant:end:failed"},
}
"""The event of the latest record about a grant, for each of its states."""

TOLD = {
    "denied": "denied",
    "lapsed": "lapsed",
    "active": "active",
    "ended": "ended",
    "failed": "failed",
}
"""The messages to the requester about a request or grant that got this far, unless their account is
gone."""

OUTCOMES = (
    "works",
    "works",
    "works",
    "half",
    "fails",
    "answer lost",
    "dies before",
    "dies after",
    "finishes late",
    "refuses",
)
Recording = Callable[[Context], object]

RARE: dict[str, Callable[[Lifecycle, str, bool], object]] = {
    "a lead revokes": lambda self, who, on: revoke_grant(
        self.world, LEA if on else ANA, person=who
    ),
    "an account is deactivated": lambda self, who, on: (
        self.leaves(who) if on else self.comes_back(who)
    ),
    "another is on call": lambda self, who, on: self.made.set_groups(
        sre=[who, DAN] if on else [BEN, CARA, DAN]
    ),
    "roles.toml is saved": lambda self, who, on: self.saves(NARROWER if on else POLICY),
    "a role is removed": lambda self, who, on: self.saves(WITHOUT if on else POLICY),
    "an approver goes away": lambda self, who, on: (
        go_away(self.world, who, self._person(DAN if who != DAN else BEN), self.now + 1800)
        if on
        else come_back(self.world, who)
    ),
    "the red button": lambda self, who, on: (panic if on else resume)(self.world, LEA),
    "the red button of a role": lambda self, who, on: (panic if on else resume)(
        self.world, LEA, role=ROLES[0]
    ),
    "the red button of a person": lambda self, who, on: (panic if on else resume)(
        self.world, LEA, person=who
    ),
    "all workers work": lambda self, who, on: [self._work(queue, "works") for queue in Queue],
}


@dataclass
class RemoteSystem:
    """Remembers who has access, as a real system does; the gate is its entrance."""

    gateway: Gateway
    has: set[tuple[str, str]] = field(default_factory=set)
    since: dict[str, int] = field(default_factory=dict)

    def grant(self, order: ProvisionOrder) -> None:
        self.gateway.grant(order)
        self.has.add((order.grant, order.system))
        self.since.setdefault(order.grant, order.ends_at)

    def revoke(self, order: ProvisionOrder) -> None:
        self.gateway.revoke(order)
        self.has.discard((order.grant, order.system))


class Lifecycle(RuleBasedStateMachine):
    """The real operations and the real database; a simulated dispatcher, a simulated system, a
    clock."""

    a_database: Callable[[], AbstractContextManager[Database]]
    directory: Path

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        db = self._open.enter_context(type(self).a_database())
        self.made: Made = make_world(self.directory, db=db, policy=POLICY)
        self.world = self.made.world
        self.system = RemoteSystem(Gateway(POLICY.systems["shop-admin"], build_tools(self.world)))
        self.late: list[tuple[Work, list[Recording]]] = []
        self.shown: list[Credentials] = []
        self.work: dict[int, tuple[str, str]] = {}
        self.left: set[str] = set()
        self.keys = 0

    # Steps of people

    @initialize()
    def somebody_has_access(self) -> None:
        self.gets_access(ANA, "shop-admin", 3600, 0, "works")

    @rule(
        person=st.sampled_from([ANA, CARA, DAN]),
        role=st.sampled_from(ROLES),
        duration=st.sampled_from([60, 3600]),
        wait=st.sampled_from([0, 0, 1800]),
        how=st.sampled_from(OUTCOMES),
    )
    def gets_access(self, person: str, role: str, duration: int, wait: int, how: str) -> None:
        """The usual course of a request, as far as nothing prevents it."""
        self.asks(person, role, duration, wait)
        for (request,) in self.made.rows(
            "SELECT id FROM requests WHERE requester = ? AND state = 'pending'", person
        ):
            for who in (BEN, CARA, DAN):
                approve_request(self.world, request, self._person(who))
        self._work(Queue.START, how)
        for (grant,) in self.made.rows("SELECT id FROM grants WHERE state = 'active' ORDER BY id"):
            self._show(grant, visible=True)

    @rule(
        role=st.sampled_from(ROLES),
        how=st.sampled_from(OUTCOMES),
        again=st.sampled_from(OUTCOMES),
        order=st.permutations(("end", "claim lost", "start", "end there", "late")),
    )
    def an_end_meets_a_start(self, role: str, how: str, again: str, order: list[str]) -> None:
        """Dan gives access back while it is starting, and everything that may happen then happens
        in any order."""
        self.gets_access(DAN, role, 3600, 0, how)
        steps: dict[str, Callable[[], object]] = {
            "end": lambda: revoke_grant(self.world, LEA, person=DAN),
            "claim lost": lambda: self.time_passes(5, swept=False),
            "start": lambda: self._work(Queue.START, again),
            "end there": lambda: self._work(Queue.END, again),
            "late": lambda: self.late and self.a_stopped_worker_goes_on(),
        }
        for step in order:
            steps[step]()
            self._check()

    @rule(
        person=st.sampled_from(PEOPLE),
        role=st.sampled_from(ROLES),
        duration=st.sampled_from([60, 3600, 7200]),
        wait=st.sampled_from([0, 0, 1800]),
    )
    def asks(self, person: str, role: str, duration: int, wait: int) -> None:
        start = self.now + wait if wait else None
        request_access(self.world, Ask(person, role, "because", duration, start_at=start))

    @rule(
        who=st.sampled_from(PEOPLE),
        yes=st.sampled_from([True, True, True, False]),
        place=st.integers(0, 20),
        length=st.sampled_from([None, 60, 99_999]),
        part=st.sampled_from([None, None, ("a",), ()]),
    )
    def decides(
        self, who: str, yes: bool, place: int, length: int | None, part: tuple[str, ...] | None
    ) -> None:
        if (request := self._pick("requests", "pending", place)) is None:
            return
        if yes:
            approve_request(self.world, request, self._person(who), duration=length, actions=part)
        else:
            deny_request(self.world, request, self._person(who), "no")

    @rule(who=st.sampled_from(PEOPLE), yes=st.booleans(), place=st.integers(0, 20))
    def presses(self, who: str, yes: bool, place: int) -> None:
        if (request := self._pick("requests", "pending", place)) is not None:
            self.made.press(request, who, yes, reason="no")

    @rule(who=st.sampled_from(PEOPLE), place=st.integers(0, 20))
    def withdraws(self, who: str, place: int) -> None:
        if (request := self._pick("requests", "pending", place)) is not None:
            withdraw_request(self.world, request, who)

    @rule(
        person=st.sampled_from(PEOPLE),
        role=st.sampled_from(ROLES),
        is_drill=st.booleans(),
        how=st.sampled_from(OUTCOMES),
    )
    def calls_an_emergency(self, person: str, role: str, is_drill: bool, how: str) -> None:
        start_emergency(self.world, Call(person, role, "down", is_drill=is_drill))
        self._work(Queue.START, how)

    @rule(who=st.sampled_from([LEA, LEA, *PEOPLE]), place=st.integers(0, 20))
    def signs_a_review(self, who: str, place: int) -> None:
        found = self.made.rows(
            "SELECT request_id FROM emergencies WHERE signed_at IS NULL ORDER BY request_id"
        )
        if found and who not in self.left:
            self.comes_back(who)
            sign_review(self.world, who, str(found[place % len(found)][0]), "It was right.")

    @rule(place=st.integers(0, 20), duration=st.sampled_from([None, 60, 7200]))
    def renews(self, place: int, duration: int | None) -> None:
        if (grant := self._pick("grants", "active", place)) is not None:
            renew_grant(self.world, grant, self.made.grant(grant).person, duration=duration)

    @rule(place=st.integers(0, 20), who=st.sampled_from([None, None, BEN]))
    def gives_back(self, place: int, who: str | None) -> None:
        for state in ("active", "starting", "scheduled"):
            if (grant := self._pick("grants", state, place)) is not None:
                release_grant(self.world, grant, who or self.made.grant(grant).person)
                return

    @rule(place=st.integers(0, 20), visible=st.booleans())
    def looks_at_credentials(self, place: int, visible: bool) -> None:
        if (grant := self._pick("grants", "active", place)) is not None:
            self._show(grant, visible)

    def _show(self, grant: str, visible: bool) -> None:
        shown = show_credentials(self.world, grant, self.made.grant(grant).person)
        if isinstance(shown, Credentials):
            (confirm_shown if visible else discard_credentials)(self.world, shown)
            self.shown += [shown] if visible else []

    @rule(
        what=st.sampled_from(sorted(RARE)),
        who=st.sampled_from(PEOPLE),
        on=st.sampled_from([False, False, True]),
    )
    def something_rare_happens(self, what: str, who: str, on: bool) -> None:
        RARE[what](self, who, on)

    def leaves(self, who: str) -> None:
        self.left.add(who)
        self.made.know(replace(a_person(who), deleted=True, checked_at=self.now))

    def saves(self, policy: Policy) -> None:
        self.made.policies.append(policy)
        record_loaded(self.world, policy)

    def comes_back(self, who: str) -> None:
        self.made.know(replace(a_person(who), checked_at=self.now))

    # Steps of time and workers

    @rule(seconds=st.sampled_from([1, 5, 59, 600, 1800, 3600]), swept=st.booleans())
    def time_passes(self, seconds: int, swept: bool) -> None:
        self.made.clock.at += seconds
        if swept:
            self._sweep()

    @rule(queue=st.sampled_from([Queue.START, Queue.END, *Queue]), how=st.sampled_from(OUTCOMES))
    def a_worker_works(self, queue: Queue, how: str) -> None:
        self._work(queue, how)

    @precondition(lambda self: self.late)
    @rule()
    def a_stopped_worker_goes_on(self) -> None:
        """Its claim may have run out long ago, and another worker may have done the work."""
        work, recordings = self.late.pop(0)
        work.finish(_record, recordings)

    # Invariants at every moment

    @invariant()
    def nobody_has_access_that_has_ended(self) -> None:
        ended = self.made.rows("SELECT grant_id, system FROM leases WHERE state = 'ended'")
        assert not self.system.has & set(ended)

    @invariant()
    def a_gate_opens_only_for_the_living_and_only_in_time(self) -> None:
        living = dict(self.made.rows("SELECT id, ends_at FROM grants WHERE state = 'active'"))
        newest = {shown.grant.id: shown.token for shown in self.shown}
        for shown in self.shown:
            for system in shown.grant.systems:
                found = self.made.check(shown.token, system)
                if isinstance(found, TokenActive):
                    assert self.now < found.expires_at <= living[found.grant]
                    assert newest[found.grant] == shown.token
                    assert (found.grant, system) in self.system.has
                    assert found.person == shown.grant.person

    @invariant()
    def a_request_is_decided_once_and_never_by_its_requester(self) -> None:
        told = Counter(self.made.rows("SELECT request, event FROM audit WHERE request <> ''"))
        alone = {id for (id,) in self.made.rows("SELECT request_id FROM emergencies WHERE alone=1")}
        for id, state in self.made.rows("SELECT id, state FROM requests"):
            found = {event: told[id, event] for event in DECISIONS.values() if told[id, event]}
            if id in alone:
                found["request:approval:given"] = told[id, "emergency:access:started"]
            assert found == ({DECISIONS[state]: 1} if state != "pending" else {})
        votes = "'request:vote:given', 'request:approval:given', 'request:denial:given'"
        assert not self.made.rows(
            f"SELECT seq FROM audit WHERE event IN ({votes}) AND actor = subject"
        )

    @invariant()
    def every_tier_of_what_was_approved_has_an_approval_of_its_own(self) -> None:
        for (request,) in self.made.rows(
            "SELECT id FROM requests WHERE role = 'vault' AND state = 'approved'"
        ):
            votes = self.made.rows("SELECT tier, voter FROM votes WHERE request_id = ?", request)
            assert {"lead", "security"} == {tier for tier, _ in votes}
            assert len({voter for _, voter in votes}) == len(votes)

    @invariant()
    def who_decides_for_another_is_named_on_record(self) -> None:
        given = self.made.rows("SELECT giver, delegate, ends_at FROM delegations")
        assert len(given) <= self.made.events("delegation:access:given")
        assert all(giver != delegate for giver, delegate, _ in given)

    @invariant()
    def a_person_holds_a_role_once(self) -> None:
        held = "state IN ('scheduled', 'starting', 'active')"
        found = self.made.rows(f"SELECT person, role, urgency <> '' FROM grants WHERE {held}")
        assert len(found) == len(set(found)), "but for what was asked for beside an emergency"

    @invariant()
    def an_emergency_is_open_until_somebody_else_signs_it(self) -> None:
        open_now = self.made.rows(
            "SELECT person FROM emergencies WHERE alone = 1 AND signed_at IS NULL"
        )
        assert len(open_now) == len(set(open_now)), "the next one of a person waits for a press"
        assert self.made.count("emergencies", "signed_by = person OR signed_by = declared_by") == 0
        assert self.made.count("emergencies", "ping_at IS NULL AND signed_at IS NULL") == 0
        assert self.made.count("grants", "urgency <> ''") == self.made.count("emergencies")

    @invariant()
    def no_work_is_lost(self) -> None:
        waiting = self._remember_work()
        left = [data for _, kind, data in waiting if kind == Kind.START_GRANT]
        for (grant,) in self.made.rows("SELECT id FROM grants WHERE state = 'starting'"):
            assert any(grant in data for data in left), f"nobody will start {grant}"
        left = [data for _, kind, data in waiting if kind == Kind.END_LEASE]
        for grant, system in self.made.rows(
            "SELECT grant_id, system FROM leases WHERE state = 'ending'"
        ):
            assert any(grant in data and system in data for data in left), (
                f"nobody will end {grant} on {system}"
            )

    @invariant()
    def no_deadline_is_forgotten(self) -> None:
        due = next_due(self.world)
        for (at,) in self.made.rows("SELECT ends_at FROM grants WHERE state = 'active'"):
            assert due is not None
            assert due <= at

    @invariant()
    def every_step_is_on_record(self) -> None:
        events = [event for events in STEPS.values() for event in events if event]
        marks = ", ".join("?" * len(events))
        rows = self.made.rows(
            f'SELECT "grant", event FROM audit WHERE event IN ({marks}) ORDER BY seq', *events
        )
        latest = dict(rows)
        again = {
            id for (id,) in self.made.rows("SELECT grant_id FROM leases WHERE state = 'ending'")
        }
        for id, state in self.made.rows("SELECT id, state FROM grants"):
            # Access that a late start made after the end is ended again, and that may fail.
            expected = STEPS[state] | (
                {"grant:end:failed"} if state == "ended" and id in again else set()
            )
            assert latest.get(id) in expected, (
                f"{id} is {state}, and last on record as {latest.get(id)}"
            )

    @invariant()
    def every_step_was_told(self) -> None:
        self._remember_work()
        said = [data for kind, data in self.work.values() if kind == Kind.NOTIFY_PERSON]
        for table, who in (("requests", "requester"), ("grants", "person")):
            for id, state, person in self.made.rows(f"SELECT id, state, {who} FROM {table}"):
                if state in TOLD and person not in self.left:
                    assert any(id in data and f'"{TOLD[state]}"' in data for data in said), (
                        f"{id} {state} was not told"
                    )

    @invariant()
    def no_grant_passes_its_limits(self) -> None:
        assert not self.made.rows("SELECT id FROM grants WHERE ends_at > latest_end")
        for role, count in self.made.rows(
            "SELECT MIN(role), COUNT(*) FROM renewals GROUP BY grant_id"
        ):
            assert count <= POLICY.roles[role].max_renewals
        for role, duration in self.made.rows("SELECT role, duration FROM grants"):
            assert 0 < duration <= POLICY.roles[role].max_duration

    @invariant()
    def no_start_moves_its_end_once_a_system_may_have_it(self) -> None:
        for id, ends_at in self.made.rows("SELECT id, ends_at FROM grants WHERE renewals = 0"):
            assert ends_at <= self.system.since.get(id, ends_at)

    @invariant()
    def what_a_system_has_and_is_over_is_due_to_end(self) -> None:
        over = f"ends_at <= {self.now} AND state IN ('starting', 'active')"
        for id, state in self.made.rows(f"SELECT id, state FROM grants WHERE {over}"):
            if any(grant == id for grant, _ in self.system.has):
                due = next_due(self.world)
                assert due is not None and due <= self.now, (
                    f"nobody will end {id}, which is {state}"
                )

    def _check(self) -> None:
        for holds in (
            self.nobody_has_access_that_has_ended,
            self.no_work_is_lost,
            self.every_step_is_on_record,
            self.a_gate_opens_only_for_the_living_and_only_in_time,
        ):
            holds()

    def teardown(self) -> None:
        """The end: when everything works again, all access ends, and the log is one chain."""
        try:
            self._come_to_rest()
        finally:
            self._open.close()

    def _come_to_rest(self) -> None:
        while self.late:
            self.a_stopped_worker_goes_on()
        for _ in range(30):
            self.made.clock.at += 6 * 3600
            self._sweep()
            while sum(self._work(queue, "works") for queue in Queue):
                pass
        self.every_step_was_told()
        self.every_step_is_on_record()
        assert not self.system.has
        assert {state for (state,) in self.made.rows("SELECT state FROM grants")} <= {
            "ended",
            "failed",
        }
        assert self.made.count("leases", "state <> 'ended'") == 0
        assert self.made.count("requests", "state = 'pending'") == 0
        assert (self.made.work(), self.made.count("gates")) == ([], 0)
        assert self.made.verdict().broken is None

    # The run

    @property
    def now(self) -> int:
        return self.made.clock.at

    def _remember_work(self) -> list[tuple[Any, ...]]:
        """Remembers all waiting work, claimed or not, so that it is known when it is done."""
        waiting = self.made.rows("SELECT id, kind, data FROM outbox")
        self.work.update({id: (kind, data) for id, kind, data in waiting})
        return waiting

    def _person(self, id: str) -> Person:
        ((deleted,),) = self.made.rows("SELECT deleted FROM people WHERE id = ?", id)
        return replace(a_person(id), deleted=bool(deleted), checked_at=self.now)

    def _pick(self, table: str, state: str, place: int) -> str | None:
        found = self.made.rows(f"SELECT id FROM {table} WHERE state = ? ORDER BY id", state)
        return str(found[place % len(found)][0]) if found else None

    def _sweep(self) -> None:
        for step in (expire_due, start_due, lapse_due, end_absences, ping_due):
            step(self.world)
        for step in (remind_due, ping_due_reviews):
            step(self.world)

    def _work(self, queue: Queue, how: str) -> int:
        self.keys += 1
        owner = f"worker {self.keys}"
        self._remember_work()
        claimed = ClaimedQueue(self.world, queue, owner, claim=5)
        rows = claimed.take(limit=3)
        for row in rows:
            self._do(Work(claimed, [row]), row, how)
        return len(rows)

    def _do(self, work: Work, row: Row, how: str) -> None:
        if how == "dies before":
            return
        if how == "half" and row.kind is Kind.START_GRANT:
            self._half_start(row.data["grant"])
        if how in ("half", "fails", "refuses") and row.kind in _WORK:
            self._give_back(work, row, how)
            return
        recordings = _WORK[row.kind](self, row.data) if row.kind in _WORK else []
        if how == "answer lost" and row.kind in _WORK:
            self._give_back(work, row, how)
        elif how == "finishes late":
            self.late.append((work, recordings))
        elif how != "dies after":
            work.finish(_record, recordings)

    def _give_back(self, work: Work, row: Row, how: str) -> None:
        if how == "refuses" and row.kind is Kind.START_GRANT:
            work.finish(record_start_failed, row.data["grant"], "no")
            return
        if row.kind is Kind.END_LEASE:
            record_end_failed(
                self.world, row.data["grant"], row.data["system"], "no route", row.attempts
            )
        work.retry(7, "no route", outcome_unknown=how == "answer lost")

    def run_start(self, data: dict[str, Any]) -> list[Recording]:
        orders = begin_attempt(self.world, data["grant"])
        assert not orders or self.made.state("grants", data["grant"]) == "starting"
        self._assert_judged(data["grant"], orders)
        for order in orders:
            self.system.grant(order)
            if len(orders) > 1 and not record_system_ready(self.world, order.grant, order.system):
                return []
        return [lambda world: record_started(world, data["grant"])] if orders else []

    def _half_start(self, grant: str) -> None:
        """The first system makes it, and the next one gives no answer."""
        for order in begin_attempt(self.world, grant)[:1]:
            self.system.grant(order)
            record_system_ready(self.world, grant, order.system)
            record_not_made(self.world, grant, "another", "no answer", surely=False)

    def _assert_judged(self, id: str, orders: list[ProvisionOrder]) -> None:
        """Every grant that begins is what roles.toml gives now, to a person who may have it."""
        if orders:
            grant = self.made.grant(id)
            role = Snapshot(self.world).role_of(grant)
            assert role is not None
            assert grant.duration <= role.max_duration
            assert self.world.directory().includes(role.requesters, self._person(grant.person))

    def run_extend(self, data: dict[str, Any]) -> list[Recording]:
        if (
            order := order_for(self.world, data["grant"], data["system"], still_active=True)
        ) is not None:
            self.system.grant(order)
        return []

    def run_end(self, data: dict[str, Any]) -> list[Recording]:
        order = order_for(self.world, data["grant"], data["system"])
        assert order is not None
        self.system.revoke(order)
        return [lambda world: record_ended(world, data["grant"], data["system"])]

    def run_decide(self, data: dict[str, Any]) -> list[Recording]:
        return [lambda world: count_vote(world, data, self._person(data["voter"]))]


def _record(world: Context, recordings: list[Recording]) -> None:
    for recording in recordings:
        recording(world)


_WORK: dict[Kind, Callable[[Lifecycle, dict[str, Any]], list[Recording]]] = {
    Kind.START_GRANT: Lifecycle.run_start,
    Kind.EXTEND_LEASE: Lifecycle.run_extend,
    Kind.END_LEASE: Lifecycle.run_end,
    Kind.DECIDE: Lifecycle.run_decide,
    Kind.REMIND: lambda self, data: [lambda world: record_reminded(world, data["grant"])],
    Kind.SUM_USAGE: lambda self, data: [lambda world: sum_usage(world, data["grants"])],
}


def _run(
    a_database: Callable[[], AbstractContextManager[Database]],
    directory: Path,
    examples: int,
    steps: int,
) -> None:
    machine = type(
        "Lifecycle", (Lifecycle,), {"a_database": staticmethod(a_database), "directory": directory}
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
def test_whatever_happens_on_sqlite(migrated_file: Path, tmp_path: Path) -> None:
    @contextmanager
    def fresh() -> Iterator[Database]:
        shutil.copyfile(migrated_file, tmp_path / "access.db")
        with closing(Database(f"sqlite:///{tmp_path / 'access.db'}")) as database:
            with database.reading():
                database.rows("PRAGMA synchronous = OFF")
            yield database

    _run(fresh, tmp_path, examples=40, steps=40)


@pytest.mark.slow
def test_whatever_happens_on_postgresql(postgres: Postgres, tmp_path: Path) -> None:
    @contextmanager
    def fresh() -> Iterator[Database]:
        with postgres.a_database() as url, closing(Database(url)) as database:
            yield database

    _run(fresh, tmp_path, examples=6, steps=30)
