"""A person with the database's password and without our key forges the log: cuts, rewrites, empties
it or puts an old one back. It is found before the next record and after it, and after a restart,
and a process without the key reports that correctly."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.core.audit import COLUMNS, Entry, Event, chained
from bot.core.model import Grant
from bot.operations._unit_of_work import Context, unit
from bot.operations.audit.verify_audit import Verdict, verdict_text, verify_audit
from bot.operations.emergencies.sign_review import Signed, sign_review
from bot.operations.emergencies.start_emergency import Call, Started, start_emergency
from bot.operations.grants.expire_due import expire_due
from bot.operations.grants.release_grant import release_grant
from bot.operations.process.check_storage import begin_log, check_head
from bot.operations.process.forget_old import MONTH, forget_old
from bot.operations.requests.deny_request import deny_request
from bot.operations.requests.lapse_due import lapse_due
from bot.tokens import Signer
from storage import audit
from tests.concurrency import together
from tests.factories import ANA, BEN, CARA, KEYS, LEA, START, Made, a_person

NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
MARKS = ", ".join("?" * len(COLUMNS))
EMERGENCY = """max_duration = "8h"
[roles.shop-admin.emergency]
members = ["@sre"]
max_duration = "1h"
"""
OTHER = "key-two-0123456789-0123456789-0123456789"


def _restarted(made: Made, *keys: str) -> Context:
    """A process that has just started on this database."""
    world = replace(made.world, chain=audit.Chain(Signer(keys or KEYS)))
    begin_log(world)
    return world


def _guarded(made: Made, on: bool) -> None:
    """Removes the triggers, or makes them again, as the owner of the tables may."""
    db, made.forged = made.world.db, True
    if not db.is_sqlite:
        for table in ("audit", "audit_head"):
            db.run(f"ALTER TABLE {table} {'ENABLE' if on else 'DISABLE'} TRIGGER ALL")
    elif not on:
        for (name,) in db.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            db.run(f"DROP TRIGGER {name}")


def _forge(made: Made, *statements: tuple[str, tuple[object, ...]]) -> None:
    with made.world.db.transaction():
        _guarded(made, False)
        for sql, values in statements:
            made.world.db.run(sql, *values)
        _guarded(made, True)


def _do(sql: str, *values: object) -> tuple[str, tuple[object, ...]]:
    return sql, values


def _put(made: Made, rows: list[tuple[object, ...]], *head: object) -> None:
    """Replaces the log; `head` is number, hash and seal."""
    inserts = [_do(f"INSERT INTO audit ({NAMES}) VALUES ({MARKS})", *row) for row in rows]
    set_head = _do("UPDATE audit_head SET seq = ?, hash = ?, seal = ?", *head)
    _forge(made, _do("DELETE FROM audit"), *inserts, set_head)


def _rows(made: Made) -> list[tuple[object, ...]]:
    return made.rows(f"SELECT {NAMES} FROM audit ORDER BY seq")


def _seal(made: Made) -> str:
    return str(made.rows("SELECT seal FROM audit_head")[0][0])


def _entry(row: tuple[object, ...]) -> Entry:
    texts = [str(value) for value in row[3:10]]
    return Entry(Event(str(row[2])), *texts, detail=json.loads(str(row[10])))  # type: ignore[arg-type]


def _cut(made: Made) -> None:
    """Removes the decision and the start; the seal is the old one."""
    rows = _rows(made)[:1]
    _put(made, rows, 1, rows[-1][12], _seal(made))


def _rewrite(made: Made) -> None:
    """Removes the vote, the approval and the start; every hash matches again."""
    kept = [
        _entry(row)
        for row in _rows(made)
        if str(row[2]) not in ("request:vote:given", "grant:access:started")
    ]
    rows = chained(kept, START, 0, "0" * 64)
    _put(made, rows, rows[-1][0], rows[-1][12], _seal(made))


def _empty(made: Made) -> None:
    _put(made, [], 0, "0" * 64, "")


def _invented_key(made: Made) -> None:
    _rewrite(made)
    _forge(made, _do("UPDATE audit_head SET seal = ?", "00000000." + "A" * 43))


def _headless(made: Made) -> None:
    _forge(made, _do("DELETE FROM audit_head"))


def _append_beside(made: Made) -> None:
    """Needs no change of a trigger, because the log may grow."""
    last = _rows(made)[-1]
    made.forged = True
    (row,) = chained([Entry(Event.DENIAL_GIVEN, "U0BEN")], START, int(str(last[0])), str(last[12]))
    with made.world.db.transaction():
        made.world.db.run(f"INSERT INTO audit ({NAMES}) VALUES ({MARKS})", *row)


def _chop(made: Made) -> None:
    """Removes the last record and leaves the head as it was."""
    _forge(made, _do("DELETE FROM audit WHERE seq = (SELECT MAX(seq) FROM audit)"))


FORGED = {
    "cut": _cut, "rewritten": _rewrite, "emptied": _empty, "without its head": _headless,
    "longer than sealed": _append_beside, "shorter than sealed": _chop,
}  # fmt: skip


@pytest.fixture
def grant(made: Made) -> Grant:
    """Requested, approved, started; it has four records."""
    return made.a_grant()


def _record(world: Context) -> None:
    """Writes the next record, of any kind."""
    with unit(world) as u:
        u.note(Event.AUDIT_READ, "U0LEA")


def _place(verdict: Verdict) -> int:
    assert verdict.broken is not None, "the forged log was called intact"
    assert verdict_text(verdict).startswith(
        f"The audit log is BROKEN at record {verdict.broken.seq}: "
    )
    return verdict.broken.seq


@pytest.mark.parametrize("restart", [False, True], ids=["the same process", "after a restart"])
@pytest.mark.parametrize("how", FORGED)
def test_a_forged_log_is_found_before_the_next_record_and_always_after(
    made: Made, grant: Grant, how: str, restart: bool, caplog: pytest.LogCaptureFixture
) -> None:
    FORGED[how](made)
    world = _restarted(made) if restart else made.world
    _place(verify_audit(world))
    assert check_head(world)[1]
    _record(world)
    _record(world)
    ((place,),) = made.log("audit:head:broken", "seq")
    assert "was changed behind the bot" in caplog.text and made.work().count("notify_security") == 1
    for later in (world, _restarted(made)):
        assert _place(verify_audit(later)) <= place
        assert f"record {place}" in check_head(later)[1]


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_log_stops_no_end_and_no_decision(made: Made, grant: Grant, how: str) -> None:
    request = made.a_request("reports-read")
    FORGED[how](made)
    made.clock.at = grant.ends_at
    assert expire_due(made.world) == 1
    made.close_gates(made.grant(grant.id))
    made.clock.at = request.lapses_at
    assert lapse_due(made.world) == 1
    assert (made.state("grants", grant.id), made.state("requests", request.id)) == (
        "ended",
        "lapsed",
    )
    assert made.events("audit:head:broken") == 1


@pytest.mark.parametrize("how", FORGED)
def test_without_the_key_a_forged_log_is_never_called_intact(
    made: Made, grant: Grant, how: str
) -> None:
    FORGED[how](made)
    world = _restarted(made, OTHER)
    verdict = verify_audit(world)
    assert verdict.broken is not None or verdict.unchecked
    assert "intact" not in verdict_text(verdict)
    _record(made.world)
    assert verify_audit(world).broken is not None, "the bot's own record says so to everybody"


@pytest.mark.parametrize("how", FORGED)
def test_records_of_a_process_without_the_key_do_not_make_a_forged_log_intact(
    made: Made, grant: Grant, how: str
) -> None:
    FORGED[how](made)
    for _ in range(2):
        _record(_restarted(made, OTHER))
    assert made.events("audit:head:broken") == 1
    for keys in (KEYS, (OTHER,), (*KEYS, OTHER)):
        _place(verify_audit(_restarted(made, *keys)))


def test_without_the_key_an_intact_log_could_not_be_checked(made: Made, grant: Grant) -> None:
    verdict = verify_audit(_restarted(made, OTHER))
    assert (verdict.broken, verdict.records) == (None, 4)
    assert verdict_text(verdict).startswith(
        "The audit log could not be checked: the head, record 4, was sealed with a key"
    )


def test_a_seal_of_an_invented_key_is_unchecked_and_broken_from_the_next_record_on(
    made: Made, grant: Grant
) -> None:
    _invented_key(made)
    assert "intact" not in verdict_text(verify_audit(_restarted(made)))
    _record(_restarted(made))
    _place(verify_audit(_restarted(made)))


class TestPutBack:
    """The log was put back to an older record, with the seal of that time."""

    @pytest.fixture
    def back(self, made: Made) -> Callable[[], None]:
        """Puts the log back to when nothing had been requested yet, but somebody had read it."""
        _record(made.world)
        rows, seal = _rows(made), _seal(made)
        return lambda: _put(made, rows, len(rows), rows[-1][12], seal)

    def test_is_found_while_a_grant_has_no_record(
        self, made: Made, back: Callable[[], None]
    ) -> None:
        grant = made.a_grant()
        token = made.a_token(grant)
        back()
        assert made.opens(token)
        for world in (made.world, _restarted(made)):
            verdict = verify_audit(world)
            assert _place(verdict) == 1
        _record(_restarted(made))
        verdict = verify_audit(_restarted(made))
        text = verdict_text(verdict)
        assert "no record says that it was asked for" in text
        assert f"grant {grant.id} of {ANA}: no record says that it was approved" in text
        assert "no record says that it was shown" in text

    @pytest.mark.parametrize(
        "keys", [None, KEYS, (OTHER,)], ids=["the same process", "after a restart", "no key"]
    )
    def test_is_found_before_the_next_record_and_always_after(
        self, made: Made, back: Callable[[], None], keys: tuple[str, ...] | None
    ) -> None:
        grant = made.a_grant()
        back()
        world = made.world if keys is None else _restarted(made, *keys)
        assert _place(verify_audit(world)) == 1
        assert ("was put back to record 1" if keys is None else grant.id) in verdict_text(
            verify_audit(world)
        )
        _record(world)
        _record(world)
        for later in (
            world,
            _restarted(made),
            _restarted(made, OTHER),
            _restarted(made, *KEYS, OTHER),
        ):
            _place(verify_audit(later))

    def test_is_recorded_when_the_process_that_wrote_more_continues(
        self, made: Made, back: Callable[[], None]
    ) -> None:
        _record(made.world)
        back()
        assert _place(made.verdict()) == 1, "although no row is about it"
        _record(made.world)
        ((detail,),) = made.log("audit:head:broken", "detail")
        assert "put back to record 1, after record 2 was written" in detail
        assert _place(verify_audit(_restarted(made))) == 2

    def test_removing_the_record_of_a_break_is_another_break(
        self, made: Made, grant: Grant
    ) -> None:
        before, seal = _rows(made), _seal(made)
        _rewrite(made)
        _record(made.world)
        _put(made, before, len(before), before[-1][12], seal)
        _record(made.world)
        assert made.events("audit:head:broken") == 1
        _place(verify_audit(_restarted(made)))


def test_several_processes_that_find_the_break_at_once_make_one_record(
    made: Made, grant: Grant
) -> None:
    _rewrite(made)
    together(made.world.db, [lambda: _record(_restarted(made))] * 6)
    assert made.events("audit:head:broken") == 1
    assert made.work().count("notify_security") == 1


def test_a_break_that_is_rolled_back_is_found_by_the_next(made: Made, grant: Grant) -> None:
    _rewrite(made)
    with pytest.raises(KeyError), unit(made.world) as u:
        u.note(Event.AUDIT_READ, "U0LEA")
        raise KeyError
    with pytest.raises(KeyError), made.world.db.transaction():
        _record(made.world)
        raise KeyError
    assert made.events("audit:head:broken") == 0
    _record(made.world)
    assert made.events("audit:head:broken") == 1


def test_a_record_that_was_rolled_back_is_not_missed_later(made: Made, grant: Grant) -> None:
    with pytest.raises(KeyError), made.world.db.transaction():
        _record(made.world)
        raise KeyError
    _record(made.world)
    assert (made.events("audit:head:broken"), made.verdict().broken) == (0, None)


def test_a_forger_cannot_record_the_break_first(made: Made, grant: Grant) -> None:
    """A forged record of a break has no seal."""
    last, seal = str(_rows(made)[-1][12]), _seal(made)
    detail = {
        "why": "a key was missing",
        "head": 4,
        "hash": last,
        "seal": seal,
        "key_missing": True,
    }
    (row,) = chained([Entry(Event.HEAD_BROKEN, "system", detail=detail)], START, 4, last)
    _put(made, [*_rows(made), row], 5, row[12], seal)
    _record(_restarted(made))
    _place(verify_audit(_restarted(made)))


class TestKeys:
    def test_a_regular_key_rotation_leaves_no_break(self, made: Made, grant: Grant) -> None:
        for keys in ((OTHER, *KEYS), (*KEYS, OTHER)):
            _record(_restarted(made, *keys))
        assert verify_audit(_restarted(made, OTHER)).broken is None
        assert made.events("audit:head:broken") == 0

    def test_a_break_by_a_missing_key_is_explained_when_the_key_is_back(
        self, made: Made, grant: Grant
    ) -> None:
        _record(_restarted(made, OTHER))
        assert made.events("audit:head:broken") == 1
        lost = verify_audit(_restarted(made, OTHER))
        assert lost.broken is not None and "add it to ACCESS_SECRET_KEYS" in lost.broken.why
        found = _restarted(made, *KEYS, OTHER)
        assert (verify_audit(found).broken, verify_audit(found).unchecked) == (None, "")
        assert check_head(found)[1] == ""


class TestEmpty:
    def test_a_new_database_is_intact_and_its_head_is_sealed(self, made: Made) -> None:
        assert made.verdict() == Verdict(0, "0" * 64, None)
        assert _seal(made) == made.signer.seal(0, "0" * 64)

    def test_an_emptied_log_is_not_sealed_again_while_rows_need_records(
        self, made: Made, grant: Grant
    ) -> None:
        _empty(made)
        _restarted(made)
        assert _seal(made) == ""

    def test_the_seal_of_the_empty_log_does_not_hide_the_break(self, made: Made) -> None:
        seal = _seal(made)
        grant = made.a_grant()
        _put(made, [], 0, "0" * 64, seal)
        text = verdict_text(verify_audit(_restarted(made)))
        assert "BROKEN" in text and grant.id in text


ROWS: dict[str, tuple[str, str]] = {
    "a grant that ends later": ("UPDATE grants SET ends_at = ends_at + 86400", "end is"),
    "a grant that has no end asked": (
        "UPDATE grants SET state = 'ended'",
        "state is ended, record 4 says active",
    ),
    "a grant of somebody else": ("UPDATE grants SET person = 'U0EVE'", "person is U0EVE"),
    "a grant with more actions": (
        """UPDATE grants SET actions = '["everything"]'""",
        "actions is ['everything']",
    ),
    "a grant that was renewed": (
        "UPDATE grants SET renewals = 1",
        "renewals is 1, record 4 says 0",
    ),
    "a lease that is over": (
        "UPDATE leases SET state = 'ended'",
        "has ended on shop-admin, and no record says so",
    ),
    "a lease elsewhere": ("UPDATE leases SET system = 'bastion'", "has leases on ['bastion']"),
    "no lease": ("DELETE FROM leases", "has leases on []"),
    "another requester": (
        "UPDATE requests SET requester = 'U0EVE'",
        "requester is U0EVE, record 1 says U0ANA",
    ),
    "another decider": (
        "UPDATE requests SET decided_by = 'U0EVE'",
        "decider is U0EVE, record 3 says U0BEN",
    ),
    "another reason": ("UPDATE requests SET reason = 'none'", "reason is none, record 1 says"),
    "another ticket": ("UPDATE requests SET ticket = 'OPS-9'", "ticket is OPS-9, record 1 says"),
    "an invented emergency": ("UPDATE requests SET urgency = 'drill'", "urgency is drill"),
    "a grant of another kind": ("UPDATE grants SET urgency = 'drill'", "urgency is drill"),
    "other parameters": ("UPDATE grants SET parameters = '{}1'", "parameters is {}1"),
    "undecided": (
        "UPDATE requests SET state = 'pending'",
        "state is pending, record 3 says approved",
    ),
    "another voter": ("UPDATE votes SET voter = 'U0EVE'", "no record says that it was given"),
    "another tier": ("UPDATE votes SET tier = 'security'", "tier is security"),
    "an invented delegation": (
        "INSERT INTO delegations VALUES ('U0BEN', 'U0EVE', 0, 9999999999)",
        "delegation of U0BEN to U0EVE: no record says that it was given",
    ),
    "an invented pre-approval": (
        "INSERT INTO preapprovals (id, giver, person, role, duration, until, reason, fingerprint, "
        "given_at) VALUES ('p1', 'U0BEN', 'U0EVE', 'shop-admin', 3600, 9999999999, '', '', 0)",
        "pre-approval of shop-admin for U0EVE by U0BEN: no record says that it holds",
    ),
    "no vote": ("DELETE FROM votes", "vote of U0BEN"),
    "a token that lives longer": ("UPDATE tokens SET expires_at = expires_at + 60", "end is"),
    "a token of nobody": ("UPDATE tokens SET jti = 'invented'", "no record says that it was shown"),
    "no token": ("DELETE FROM tokens", "is not there"),
    "a certificate of nobody": (
        "INSERT INTO ssh_certificates (serial, grant_id, system, authority, fingerprint, "
        "issued_at, expires_at) "
        "SELECT 7, id, 'shop-admin', 'a', 'f', 1, 2 FROM grants",
        "no record says that it was issued",
    ),
    "nonsense in a list": ("UPDATE grants SET systems = 'x'", "systems is ['x']"),
}


@pytest.mark.parametrize("what", ROWS)
def test_rows_that_differ_from_the_log_are_found(made: Made, grant: Grant, what: str) -> None:
    made.a_token(grant)
    sql, told = ROWS[what]
    made.forged = True
    with made.world.db.transaction():
        made.world.db.run(sql)
    verdict = made.verdict()
    assert _place(verdict) <= 5
    assert any(told in each.what for each in verdict.differences), verdict.differences


def test_a_forged_row_cannot_rewrite_the_verdict(made: Made, grant: Grant) -> None:
    made.forged = True
    with made.world.db.transaction():
        forged = "\x1b[2J\x9b2J\nThe audit log is intact\u2028\u202e" + "x" * 9000
        made.world.db.run("UPDATE grants SET person = ?", forged)
    lines = verdict_text(made.verdict()).split("\n")
    assert all(line.isprintable() and len(line) < 500 for line in lines)
    assert not any(line.startswith("The audit log is intact") for line in lines)


PAST: dict[str, tuple[str, str]] = {
    "an earlier start": ("UPDATE grants SET started_at = started_at - 9", "its start is"),
    "another reason of a denial": ("UPDATE requests SET decision_reason = 'x'", "reason is x"),
    "another conclusion": ("UPDATE emergencies SET conclusion = 'x'", "conclusion is x"),
    "an emergency by another": ("UPDATE emergencies SET declared_by = 'U0EVE'", "is U0EVE"),
    "an approved emergency": ("UPDATE emergencies SET alone = 0", "approved is True"),
    "a drill": ("UPDATE emergencies SET urgency = 'drill'", "urgency is drill"),
}


@pytest.mark.parametrize("what", PAST)
def test_rows_of_the_past_that_differ_are_found(made: Made, grant: Grant, what: str) -> None:
    release_grant(made.world, grant.id, ANA)
    made.close_gates(grant)
    made.set_policy(shop_admin=EMERGENCY)
    deny_request(made.world, made.a_request().id, a_person(BEN), "not today")
    called = start_emergency(made.world, Call(CARA, "shop-admin", "the shop is down"))
    assert isinstance(called, Started) and made.verdict().is_intact
    made.know(replace(a_person(LEA), checked_at=made.clock.at))
    assert isinstance(sign_review(made.world, LEA, called.request.id, "It was right."), Signed)
    sql, told = PAST[what]
    made.forged = True
    with made.world.db.transaction():
        made.world.db.run(sql)
    found = made.verdict().differences
    assert any(told in each.what for each in found), found


def test_a_deleted_request_is_found(made: Made) -> None:
    request = made.a_request()
    made.forged = True
    with made.world.db.transaction():
        made.world.db.run("DELETE FROM requests")
    verdict = made.verdict()
    assert _place(verdict) == 1
    assert (
        verdict.differences[0].what == f"request {request.id}, which record 1 names, is not there"
    )


def test_an_invented_grant_is_found(made: Made) -> None:
    request = made.a_request()
    made.forged = True
    with made.world.db.transaction():
        made.world.db.run("UPDATE requests SET state = 'approved'")
        made.world.db.run(
            "INSERT INTO grants (id, request_id, person, role, systems, actions, state, duration,"
            " starts_at, ends_at, latest_end, renewals) SELECT 'ginvented', id, requester, role,"
            " systems, actions, 'starting', duration, created_at, created_at, created_at, 0 FROM"
            " requests"
        )
    text = verdict_text(made.verdict())
    assert "grant ginvented of U0ANA: no record says that it was approved" in text
    assert f"request {request.id} of U0ANA is approved, and no record says so" in text


def test_tokens_that_were_deleted_for_their_age_are_not_missed(made: Made, grant: Grant) -> None:
    made.a_token(grant)
    made.clock.at = grant.ends_at
    expire_due(made.world)
    made.close_gates(made.grant(grant.id))
    made.clock.at = grant.ends_at + MONTH + 60
    forget_old(made.world)
    assert made.count("tokens") == 0
    made.clock.at += 2 * 86400
    assert made.verdict().broken is None


def test_many_differences_are_counted_and_the_first_are_listed(made: Made) -> None:
    request, made.forged = made.a_request(), True
    with made.world.db.transaction():
        for number in range(30):
            made.world.db.run(
                "INSERT INTO requests (id, requester, role, systems, actions, fingerprint, "
                "duration, reason, ticket, state, created_at, lapses_at, decision_reason) "
                "SELECT ?, ?, role, systems, actions, fingerprint, "
                "duration, reason, ticket, state, created_at, lapses_at, '' "
                "FROM requests WHERE id = ?",
                f"rinvented{number:02d}",
                f"U0EVE{number:02d}",
                request.id,
            )
    verdict = made.verdict()
    assert (verdict.differing, len(verdict.differences)) == (30, 20)
    assert verdict_text(verdict).splitlines()[-1] == "and 10 more."


def test_the_log_is_verified_as_it_was_at_one_moment(made: Made, grant: Grant) -> None:
    """Rows that change while the records are read are compared as they were before."""

    def end(done: int, of: int) -> None:
        made.clock.at = grant.ends_at
        expire_due(made.world)

    assert verify_audit(made.world, end).broken is None
    assert made.state("grants", grant.id) == "ending"


def test_a_break_is_in_the_log_of_the_process(
    made: Made, grant: Grant, caplog: pytest.LogCaptureFixture
) -> None:
    _rewrite(made)
    _record(made.world)
    assert [
        each.levelno for each in caplog.records if each.name == "bot.operations._unit_of_work"
    ] == [logging.CRITICAL]
