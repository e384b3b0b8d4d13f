"""The audit log as leads see it, and what its verification finds after rows were changed
directly."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bot.core.approval import Refused
from bot.core.audit import COLUMNS, GENESIS, Record, chained, check_links
from bot.core.errors import Problem, StorageUnavailable
from bot.operations._unit_of_work import Context
from bot.operations.audit.read_audit import (
    ask_export,
    export_audit,
    export_csv,
    is_lead,
    may_audit,
    read_audit,
)
from bot.operations.audit.verify_audit import verify_audit
from bot.operations.grants.list_grants import list_grants, list_requests
from bot.operations.grants.release_grant import release_grant
from bot.operations.policy.record_policy import record_loaded, record_rejected
from bot.tokens import Signer
from storage import audit
from storage.audit import Filters
from tests.builders import WORKSPACE, a_policy
from tests.concurrency import together
from tests.factories import ANA, BEN, KEYS, LEA, START, Made, make_world

NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
MARKS = ", ".join("?" * len(COLUMNS))


def _unguarded(made: Made, *statements: tuple[str, tuple[object, ...]]) -> None:
    """Removes the triggers, as the owner of the tables can."""
    db, made.forged = made.world.db, True
    with db.transaction():
        if db.is_sqlite:
            for (name,) in db.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
                db.run(f"DROP TRIGGER {name}")
        else:
            for table in ("audit", "audit_head"):
                db.run(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for sql, values in statements:
            db.run(sql, *values)


OTHER = "key-two-0123456789-0123456789-0123456789"


def _with_keys(made: Made, *keys: str) -> Context:
    """A process that has just started on this database, with these keys."""
    return replace(made.world, chain=audit.Chain(Signer(keys)))


def _do(sql: str, *values: object) -> tuple[str, tuple[object, ...]]:
    return sql, values


def _rechained(made: Made, since: int) -> list[tuple[object, ...]]:
    """The rows from `since` on with hashes that match again, as a forger without our key would make
    them."""
    rows = made.rows(f"SELECT {NAMES} FROM audit ORDER BY seq")
    before = str(rows[since - 2][12])
    entries = [
        audit.Entry(
            row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], json.loads(row[10])
        )  # type: ignore[arg-type]
        for row in rows[since - 1 :]
    ]
    return chained(entries, START, since - 1, before)


def _rewrite(made: Made, since: int) -> None:
    forged = _rechained(made, since)
    head = (len(forged) + since - 1, str(forged[-1][-1]))
    inserts = [_do(f"INSERT INTO audit ({NAMES}) VALUES ({MARKS})", *row) for row in forged]
    # Fmt: skip.
    _unguarded(
        made,
        _do("DELETE FROM audit WHERE seq >= ?", since),
        *inserts,
        _do("UPDATE audit_head SET seq = ?, hash = ?, seal = 'forged'", *head),
    )


def _append_beside(made: Made) -> None:
    (last,) = made.rows(f"SELECT {NAMES} FROM audit ORDER BY seq DESC LIMIT 1")
    forged = chained([audit.Entry("audit:log:read", "U9")], START, int(last[0]), str(last[12]))  # type: ignore[arg-type]
    _unguarded(made, _do(f"INSERT INTO audit ({NAMES}) VALUES ({MARKS})", *forged[0]))


def _swap(made: Made) -> None:
    _unguarded(
        made,
        _do("UPDATE audit SET seq = -1 WHERE seq = 3"),
        _do("UPDATE audit SET seq = 3 WHERE seq = 4"),
        _do("UPDATE audit SET seq = 4 WHERE seq = -1"),
    )


def _edit(column: str) -> Callable[[Made], object]:
    return lambda made: _unguarded(made, _do(f'UPDATE audit SET "{column}" = ? WHERE seq = 3', "x"))


TAMPERING: dict[str, tuple[Callable[[Made], object], int]] = {
    **{
        f"an edited {column}": (_edit(column), 3)
        for column in (
            "event",
            "actor",
            "subject",
            "role",
            "system",
            "request",
            "grant",
            "reason",
            "detail",
        )
    },
    "an edited time": (
        lambda made: _unguarded(made, _do("UPDATE audit SET at = at + 1 WHERE seq = 3")),
        3,
    ),
    "an impossible time": (
        lambda made: _unguarded(made, _do("UPDATE audit SET at = ? WHERE seq = 3", 2**62)),
        3,
    ),
    "an edited hash": (
        lambda made: _unguarded(made, _do("UPDATE audit SET hash = prev WHERE seq = 3")),
        3,
    ),
    "an edited link": (
        lambda made: _unguarded(made, _do("UPDATE audit SET prev = hash WHERE seq = 3")),
        3,
    ),
    "the first deleted": (lambda made: _unguarded(made, _do("DELETE FROM audit WHERE seq = 1")), 1),
    "one deleted": (lambda made: _unguarded(made, _do("DELETE FROM audit WHERE seq = 3")), 3),
    "two swapped": (_swap, 3),
    "the last cut off": (lambda made: _unguarded(made, _do("DELETE FROM audit WHERE seq = 6")), 6),
    "half cut off": (lambda made: _unguarded(made, _do("DELETE FROM audit WHERE seq > 3")), 4),
    "everything cut off": (lambda made: _unguarded(made, _do("DELETE FROM audit")), 1),
    "one added beside the head": (_append_beside, 7),
    "all rewritten with fitting hashes": (lambda made: _rewrite(made, 2), 6),
    "cut off, and the head with it": (
        lambda made: _unguarded(
            made,
            _do("DELETE FROM audit WHERE seq > 4"),
            _do("UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)"),
        ),
        4,
    ),
    "the head of another record": (
        lambda made: _unguarded(
            made, _do("UPDATE audit_head SET hash = (SELECT hash FROM audit WHERE seq = 4)")
        ),
        6,
    ),
    "a seal of nobody": (lambda made: _unguarded(made, _do("UPDATE audit_head SET seal = ''")), 6),
    "no head": (lambda made: _unguarded(made, _do("DELETE FROM audit_head")), 1),
}


@pytest.fixture
def log(made: Made) -> Made:
    """A log of six records."""
    release_grant(made.world, made.a_grant().id, ANA)
    made.a_request("reports-read")
    assert made.verdict().records == 6
    return made


class TestCheck:
    def test_an_untouched_log_is_intact(self, log: Made) -> None:
        seen: list[tuple[int, int]] = []
        verdict = verify_audit(log.world, lambda done, of: seen.append((done, of)))
        assert (verdict.records, verdict.broken, seen) == (6, None, [(6, 6)])

    def test_an_empty_log_is_intact(self, made: Made) -> None:
        assert (made.verdict().records, made.verdict().broken) == (0, None)

    @pytest.mark.parametrize("name", TAMPERING)
    def test_finds_and_names(self, log: Made, name: str) -> None:
        tamper, first = TAMPERING[name]
        tamper(log)
        broken = log.verdict().broken
        assert broken is not None
        assert broken.seq == first, broken

    def test_a_log_that_grows_meanwhile_is_intact(self, log: Made) -> None:
        def grow(done: int, of: int) -> None:
            log.a_request("shop-deploy")

        assert verify_audit(log.world, grow).broken is None

    def test_a_seal_of_an_earlier_key_still_counts_and_one_of_a_lost_key_can_not_be_checked(
        self, log: Made
    ) -> None:
        assert verify_audit(_with_keys(log, *KEYS, OTHER)).unchecked == ""
        lost = verify_audit(_with_keys(log, OTHER))
        assert (lost.broken, "a key that is not in ACCESS_SECRET_KEYS" in lost.unchecked) == (
            None,
            True,
        )

    def test_the_whole_product_writes_one_chain_from_many_threads(self, made: Made) -> None:
        def ask_and_look() -> None:
            for _ in range(5):
                made.ask_again()
                read_audit(made.world, LEA, Filters())

        together(made.world.db, [ask_and_look] * 8)
        verdict = made.verdict()
        assert (verdict.broken, verdict.records) == (None, made.count("audit"))


class TestReading:
    def test_leads_page_through_the_log_and_the_reading_is_recorded(self, log: Made) -> None:
        first = read_audit(log.world, LEA, Filters(person=ANA), size=3)
        assert isinstance(first, list)
        older = read_audit(log.world, LEA, Filters(person=ANA), before=first[-1].seq, size=3)
        assert isinstance(older, list)
        assert [record.seq for record in (*first, *older)] == [6, 5, 4, 3, 2, 1]
        assert all(isinstance(record, Record) for record in first)
        assert [
            json.loads(detail)["filters"] for (detail,) in log.log("audit:log:read", "detail")
        ] == [{"person": ANA}] * 2

    @pytest.mark.parametrize("who", [ANA, BEN, "U0NOBODY"])
    def test_nobody_else_reads_it_and_the_attempt_is_recorded(self, log: Made, who: str) -> None:
        assert isinstance(read_audit(log.world, who, Filters()), Refused)
        assert isinstance(ask_export(log.world, who, Filters()), Refused)
        assert isinstance(may_audit(log.world, who), Refused)
        assert not is_lead(log.world, who)
        assert log.log("request:action:refused", "actor") == [(who,)] * 3

    def test_the_command_line_does(self, log: Made) -> None:
        assert isinstance(read_audit(log.world, "os:root", Filters()), list)
        assert may_audit(log.world, "os:root") is None

    @pytest.mark.parametrize(("part", "act"), [("page", read_audit), ("count", export_audit)])
    def test_a_search_holds_up_no_write(
        self, log: Made, part: str, act: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        search, written = getattr(audit, part), []

        def during_a_write(*asked: Any) -> Any:
            with ThreadPoolExecutor(1) as pool:
                written.append(pool.submit(log.ask_again).result())
            return search(*asked)

        monkeypatch.setattr(audit, part, during_a_write)
        act(log.world, LEA, Filters(text="because"))
        assert len(written) == 1

    def test_an_export_gives_as_many_records_as_it_counted(self, log: Made) -> None:
        count, rows = export_audit(log.world, LEA, Filters())
        log.ask_again()
        exported = list(rows)
        assert (count, len(exported)) == (6, 6)
        assert check_links(exported)[0] is None
        ((detail,),) = log.log("audit:log:exported", "detail")
        assert json.loads(detail)["records"] == 6

    def test_a_requested_export_has_its_filters(self, log: Made) -> None:
        assert ask_export(log.world, LEA, Filters(role="shop-admin", since=START)) is None
        ((data,),) = log.rows("SELECT data FROM outbox WHERE kind = 'send_export'")
        assert json.loads(data) == {
            "person": LEA,
            "filters": {"role": "shop-admin", "since": START},
        }

    def test_lists_for_the_command_line(self, log: Made) -> None:
        assert [grant.state for grant in list_grants(log.world)] == ["ending"]
        assert [request.role for request in list_requests(log.world)] == ["reports-read"]
        assert len(list_requests(log.world, None)) == 2


NASTY = (
    "",
    "plain",
    "grant:access:ended",
    "=",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=",
    "\r=",
    "\n=",
    "\n",
    "＝1",
    "＋",
    "－1",
    "＠",
    "'=1",
    '"',
    '"="',
    '"=1"',
    '""',
    ",",
    ",=1",
    'a,"=1',
    "a,=1",
    'a,"",b',
    "a\nb",
    "a\r\nb",
    "=a\nb,c",
    "\\N",
    "\\.",
    "\\",
    "NULL",
    " ",
    " =1",
    "\ufeff=1",
    "ü",
    "🚑",
    "100 %s or ?",
    "'; DROP TABLE audit; --",
    "\u2028",
    "x" * 5000,
    "=" * 5000,
    '{"a":"=1","b":[-1,"@x"]}',
)
TIMES = (0, 59, 951_782_400, 1_790_000_000, 4_102_444_799, 253_402_300_799)


def _with_nasty_rows(url: str, path: Path) -> Made:
    """A log with each of these texts in each place, beside other texts of both kinds."""
    made, dice = make_world(path, url), random.Random(7)
    texts = [*((text,) * 11 for text in NASTY), *(dice.choices(NASTY, k=11) for _ in range(700))]
    for place, text in product(range(11), NASTY):
        texts.append((*["plain"] * place, text, *["plain"] * (10 - place)))
    for _ in range(400):  # enough to be a piece of their own
        texts.append(("plain",) * 11)
    rows = [(seq, TIMES[seq % len(TIMES)], *each) for seq, each in enumerate(texts, 1)]
    with made.world.db.transaction():
        made.world.db.run_many(f"INSERT INTO audit ({NAMES}) VALUES ({MARKS})", rows)
        seal = made.signer.seal(len(rows), GENESIS)
        made.world.db.run("UPDATE audit_head SET seq = ?, seal = ?", len(rows), seal)
    return made


def test_both_databases_export_the_same_bytes_for_any_content(
    sqlite_url: str, postgres_url: str, tmp_path: Path
) -> None:
    one, other = (_with_nasty_rows(url, tmp_path) for url in (sqlite_url, postgres_url))
    for filters in (
        Filters(),
        Filters(role="100 %s or ?"),
        Filters(person="'; DROP TABLE audit; --", since=59, until=4_102_444_799),
        Filters(system='"=1"', grant="plain"),
        Filters(event="grant", request="plain"),
        Filters(event="no such event"),
    ):
        (count, rows), (_, others) = (
            export_audit(made.world, LEA, filters) for made in (one, other)
        )
        assert list(rows) == list(others), filters
        seen: list[int] = []

        def watch(records: Iterator[Any], count: int, seen: list[int] = seen) -> Iterator[Any]:
            watched = list(records)
            seen.extend((count, len(watched)))
            return iter(watched)

        mine, theirs = (
            b"".join(export_csv(made.world, LEA, filters, watch)) for made in (one, other)
        )
        assert mine == theirs, filters
        assert seen == [count + (filters == Filters())] * 4  # the first export is in the second
    one.world.db.close()
    other.world.db.close()


class TestPolicyOnRecord:
    def test_each_content_is_recorded_once_by_any_process(self, made: Made) -> None:
        policy = a_policy()
        together(made.world.db, [lambda: record_loaded(made.world, policy)] * 4)
        assert made.events("policy:file:loaded") == 1

    def test_a_bad_file_is_reported_once_and_again_after_a_good_one(self, made: Made) -> None:
        policy, problem = a_policy(), Problem("roles.toml", 3, "roles.x", "is wrong")
        record_loaded(made.world, policy)
        made.forget_work()
        for _ in range(2):
            record_rejected(made.world, "bad", [problem])
        record_loaded(made.world, policy)
        record_rejected(made.world, "bad", [problem])
        assert made.events("policy:file:rejected") == 2
        assert made.work().count("notify_security") == 2

    def test_a_looser_file_is_recorded_and_reported_once_with_looser_changes_first(
        self, made: Made
    ) -> None:
        record_loaded(made.world, a_policy())
        made.forget_work()
        made.set_policy(shop_deploy='approvals = 1\nrenewal_approval = true\nchannel = "#deploys"')
        made.forget_work()
        together(made.world.db, [lambda: record_loaded(made.world, made.policies[-1])] * 4)
        loosened = "roles.shop-deploy.approvals: was 2, is 1"
        other = "roles.shop-deploy.channel: was #access-approvals, is #deploys"
        detail = json.loads(made.log("policy:file:loaded", "detail")[-1][0])
        assert (detail["changes"], detail["loosening"]) == ([loosened, other], 1)
        (told,) = made.rows("SELECT data FROM outbox WHERE kind = 'notify_security'")
        assert json.loads(told[0])["looser"] == [loosened] and json.loads(told[0])["other"] == [
            other
        ]

    def test_an_edit_while_the_bot_was_down_is_reported_at_its_next_start(self, made: Made) -> None:
        record_loaded(made.world, a_policy())
        found = record_loaded(
            made.world, a_policy(shop_admin='approvers = ["@db-leads", "@engineers"]')
        )
        assert [str(each) for each in found] == ["roles.shop-admin.approvers: added @engineers"]
        assert record_loaded(made.world, a_policy(shop_admin='title = "Another"')) != []
        assert record_loaded(made.world, a_policy()) == [], "a title decides nothing"

    def test_a_moved_security_channel_hides_nothing_from_the_old_one(self, made: Made) -> None:
        record_loaded(made.world, a_policy())
        made.policies.append(a_policy(workspace=WORKSPACE.replace("#access-security", "#quiet")))
        made.forget_work()
        record_loaded(made.world, made.policies[-1])
        told = [
            json.loads(data)
            for (data,) in made.rows("SELECT data FROM outbox WHERE kind = 'notify_security'")
        ]
        assert {each["channel"] for each in told} == {"#access-security", "#quiet"}
        moved = ["workspace.security_channel: was #access-security, is #quiet"]
        assert [each["looser"] for each in told] == [moved, moved]

    def test_a_role_without_a_possible_approver_is_reported_when_it_is_loaded(
        self, made: Made
    ) -> None:
        made.set_policy(
            orphan=(
                'system = "reports"\nactions = ["a"]\nrequesters = ["everyone"]\napprovers ='
                ' ["@nobody"]'
            )
        )
        made.forget_work()
        record_loaded(made.world, made.policies[-1])
        assert made.work() == ["notify_security"]


def test_a_broken_database_says_that_nothing_could_be_checked(log: Made) -> None:
    log.break_database()
    with pytest.raises(StorageUnavailable):
        log.verdict()
