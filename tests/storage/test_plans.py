"""The statements that run at every click, check and tick find their rows by an index, however many
there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bot.core.effects import Queue, answer
from storage import (
    alerts,
    audit,
    grants,
    key_values,
    memberships,
    outbox,
    people,
    requests,
    sessions,
    ssh,
    times,
    tokens,
    usage,
)
from storage.audit import Filters
from storage.database import Database

NOW = 1_790_000_000
HOT: dict[str, Callable[[Database], object]] = {
    "token check": lambda db: tokens.check(db, "jti", "shop"),
    "panic and request by id": lambda db: (requests.get(db, "r1"), requests.votes(db, "r1")),
    "pending of a person": lambda db: requests.pending_of(db, "U1", "role"),
    "last requests of a person": lambda db: requests.decided_of(db, "U1", 5),
    "held by a person": lambda db: grants.held_by(db, "U1"),
    "what others need": lambda db: (
        grants.needs_of_others(db, "g1", "shop"),
        grants.needs_beside(db, ["g1", "g2"]),
    ),
    "memberships of a grant": lambda db: memberships.of_grant(db, "shop", "g1"),
    "memberships of a thing": lambda db: memberships.of_thing(db, "shop", "ana", "team"),
    "past of a person": lambda db: grants.past(db, "U1", "role", 3),
    "history of a person": lambda db: requests.history(db, "U1", "role"),
    "usual duration": lambda db: requests.usual_duration(db, "role"),
    "grant of a request": lambda db: grants.of_request(db, "r1"),
    "due to begin": lambda db: grants.due_to_begin(db, NOW, 100),
    "due to end": lambda db: grants.due_to_end(db, NOW, 100),
    "ends that can't be written": lambda db: (
        grants.overdue(db, NOW, 250),
        outbox.left_ends(db, NOW, 250),
    ),
    "next to end": lambda db: (grants.next_to_end(db, 500), grants.needs_of(db, ["U1", "U2"])),
    "due to remind": lambda db: grants.due_to_remind(db, NOW, 100),
    "unanswered": lambda db: requests.unanswered(db, NOW, 100),
    "next due": grants.deadlines,
    "alerts due": lambda db: alerts.due(db, NOW, 100),
    "alerts of grants": lambda db: alerts.open_of(db, ["g1", "g2"]),
    "messages of an alert": lambda db: alerts.messages_of(db, "g1", "shop"),
    "outbox claim": lambda db: outbox.claim(db, Queue.END, "me", NOW, NOW + 9, 100),
    "outbox claim in turn": lambda db: outbox.claim(db, Queue.SLACK, "me", NOW, NOW + 9, 100),
    "outbox add": lambda db: outbox.add(db, [answer("U1", "C1", "refused")], NOW),
    "outbox any due": lambda db: outbox.any_due(db, Queue.END, NOW),
    "outbox run now": lambda db: outbox.run_now(db, ["key"], NOW),
    "outbox drop": lambda db: outbox.drop(db, ["key"]),
    "person": lambda db: people.get(db, "U1"),
    "certificate to issue": lambda db: ssh.allowed_until(db, "g1", "bastion"),
    "certificates that are good": lambda db: (
        ssh.is_open(db, "g1", "bastion", NOW),
        ssh.open_at(db, "bastion", NOW),
    ),
    "certificates to revoke": lambda db: ssh.end(db, [("g1", "bastion")], NOW),
    "revoked certificates": lambda db: ssh.revoked(db, NOW),
    "idempotency key": lambda db: key_values.claim_key(db, "key", NOW),
    "systems in use": grants.systems_in_use,
    "grants by system": grants.counts_by_system,
    "errors of a system": lambda db: audit.page(
        db, Filters(system="shop", event="grant:end:failed"), None, 1
    ),
    "sessions seen open": lambda db: sessions.watched_open(db, "shop"),
    "sessions of grants": lambda db: (
        sessions.sums(db, ["g1", "g2"]),
        sessions.sources(db, "g1", "shop", 9),
    ),
    "sessions of a grant": lambda db: sessions.listing(db, "g1", 9),
    "latest sessions": lambda db: sessions.listing(db, None, 9),
    "usage of grants": lambda db: (
        usage.sums(db, ["g1", "g2"]),
        usage.sources(db, "g1", "shop", 9),
    ),
    "newest time": times.newest,
    "mark of the time": lambda db: times.mark(db, NOW),
    "audit by person": lambda db: audit.page(db, Filters(person="U1"), 999, 20),
    "audit by role": lambda db: audit.page(db, Filters(role="role"), None, 20),
    "audit by kind of event": lambda db: audit.page(db, Filters(event="panic"), None, 20),
    "audit by grant": lambda db: audit.page(db, Filters(grant="g1"), None, 20),
    "audit by person and role": lambda db: audit.page(
        db, Filters(person="U1", role="role"), 999, 20
    ),
    "audit by person and kind of event": lambda db: audit.page(
        db, Filters(person="U1", event="grant"), None, 20
    ),
    "audit by role and event": lambda db: audit.page(
        db, Filters(role="role", event="panic:switch:on"), None, 20
    ),
    "audit by role and kind of event": lambda db: audit.page(
        db, Filters(role="role", event="panic"), 999, 20
    ),
    "audit newest": lambda db: audit.page(db, Filters(), 999, 20),
}
TABLES = (
    "requests",
    "grants",
    "leases",
    "gates",
    "tokens",
    "outbox",
    "audit",
    "people",
    "seen",
    "votes",
    "memberships",
)
BIG = "|".join(
    (*TABLES, "ssh_access", "ssh_certificates", "sessions", "usage", "alerts", "alert_messages")
)


class Listening(Database):
    """Remembers every statement with its values."""

    heard: list[tuple[str, tuple[object, ...]]]

    def rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        self.heard.append((sql, values))
        return super().rows(sql, *values)

    def row(self, sql: str, *values: object) -> tuple[object, ...] | None:
        self.heard.append((sql, values))
        return super().row(sql, *values)

    def look_up(self, sql: str, *values: object) -> tuple[object, ...] | None:
        return self.row(sql, *values)

    def run(self, sql: str, *values: object) -> int:
        self.heard.append((sql, values))
        return super().run(sql, *values)


@contextmanager
def _listening(url: str) -> Iterator[Listening]:
    db = Listening(url)
    db.heard = []
    try:
        with db.transaction():
            yield db
    finally:
        db.close()


@pytest.mark.parametrize("name", HOT)
def test_sqlite_finds_by_an_index(sqlite_url: str, name: str) -> None:
    with _listening(sqlite_url) as db:
        HOT[name](db)
        for sql, values in list(db.heard):
            for *_, step in Database.rows(db, f"EXPLAIN QUERY PLAN {sql}", *values):
                assert not re.match(rf"SCAN ({BIG}|[a-z])\b(?!.*USING)", str(step)), (
                    f"{step}: {sql}"
                )


@pytest.mark.parametrize("name", HOT)
def test_postgresql_finds_by_an_index(postgres_url: str, name: str) -> None:
    with _listening(postgres_url) as db:
        # The tables are empty: this asks whether an index could serve.
        db.run("SET LOCAL enable_seqscan = off")
        db.heard.clear()
        HOT[name](db)
        for sql, values in list(db.heard):
            for (step,) in Database.rows(db, f"EXPLAIN {sql}", *values):
                assert not re.search(rf"Seq Scan on ({BIG})\b", str(step)), f"{step}: {sql}"


PAGES = {
    "audit_actor audit_subject": [
        Filters(person="U1"),
        Filters(person="U1", role="role"),
        Filters(person="U1", system="shop"),
        Filters(person="U1", event="grant"),
        Filters(person="U1", role="role", system="shop", event="grant:access:ended", since=NOW),
    ],
    "audit_role_system": [
        Filters(role="role", system="shop"),
        Filters(role="role", system="shop", until=NOW),
        Filters(role="role", system="shop", event="grant"),
    ],
    "audit_role_event": [
        Filters(role="role", event="grant:access:ended"),
        Filters(role="role", event="grant"),
        Filters(role="role", event="grant:access:ended", system="shop"),
    ],
    "audit_system_event": [
        Filters(system="shop", event="grant:access:ended"),
        Filters(system="shop", event="grant"),
    ],
    "audit_role": [Filters(role="role"), Filters(role="role", since=NOW - 9, until=NOW)],
    "audit_system": [Filters(system="shop")],
    "audit_event": [Filters(event="grant:access:ended"), Filters(event="grant")],
    "audit_grant": [
        Filters(grant="g1"),
        Filters(grant="g1", person="U1", role="role", event="grant"),
    ],
    "audit_request": [
        Filters(request="r1"),
        Filters(request="r1", role="role", system="shop", event="request"),
    ],
    "audit_at": [Filters(), Filters(since=NOW)],
}
"""The indexes from which a page of the audit log is read; it is read from no other."""


@pytest.mark.parametrize("indexes", PAGES)
def test_sqlite_reads_a_page_of_the_log_in_its_order_from_the_index_of_the_fewest(
    sqlite_url: str, indexes: str
) -> None:
    with _listening(sqlite_url) as db:
        for filters in PAGES[indexes]:
            for before in (None, 999):
                db.heard.clear()
                audit.page(db, filters, before, 20)
                sql, values = db.heard[-1]
                steps = [
                    str(step)
                    for *_, step in Database.rows(db, f"EXPLAIN QUERY PLAN {sql}", *values)
                ]
                used = {
                    found
                    for step in steps
                    for found in re.findall(r"USING (?:COVERING )?INDEX (\w+)", step)
                }
                assert used == set(indexes.split()), f"{steps}: {sql}"
                assert not any("ORDER BY" in step for step in steps), f"{steps}: {sql}"
