"""Credentials are shown only to their holder, and newer ones replace older ones; use is counted and
never lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from bot.core.approval import Refused
from bot.core.errors import StorageUnavailable
from bot.core.model import Claims, Grant
from bot.operations.grants.describe_grant import describe_grant
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.renew_grant import renew_grant
from bot.operations.grants.show_credentials import (
    Credentials,
    confirm_shown,
    discard_credentials,
    show_credentials,
)
from bot.operations.process.forget_old import forget_old
from bot.operations.tokens.introspect_token import TokenActive, TokenInactive, introspect_token
from bot.operations.tokens.revoke_token import revoke_token
from bot.operations.usage.count_usage import MOST_IN_A_MINUTE, UsageMeter, sum_usage
from storage import usage
from tests.concurrency import together
from tests.factories import ANA, BEN, LEA, START, Made, a_person

HOUR = 3600


def _show(made: Made, grant: Grant) -> Credentials:
    shown = show_credentials(made.world, grant.id, ANA)
    assert isinstance(shown, Credentials)
    return shown


def _why(made: Made, token: str, system: str = "shop-admin") -> str:
    checked = made.check(token, system)
    return checked.why if isinstance(checked, TokenInactive) else "open"


class TestShowing:
    def test_the_new_one_replaces_the_earlier_when_it_was_really_shown(self, made: Made) -> None:
        grant = made.a_grant()
        first = _show(made, grant)
        confirm_shown(made.world, first)
        second = _show(made, grant)
        assert (first.replaces, second.replaces) == (False, True)
        assert [_why(made, shown.token) for shown in (first, second)] == ["open", "open"]
        confirm_shown(made.world, second)
        assert [_why(made, shown.token) for shown in (first, second)] == [
            "replaced or revoked",
            "open",
        ]

    def test_a_token_that_could_not_be_shown_never_works_and_replaces_nothing(
        self, made: Made
    ) -> None:
        grant = made.a_grant()
        first = _show(made, grant)
        confirm_shown(made.world, first)
        second = _show(made, grant)
        discard_credentials(made.world, second)
        assert [made.opens(shown.token) for shown in (first, second)] == [True, False]
        assert made.events("grant:credentials:revoked") == 1

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "the later first"])
    def test_of_two_tokens_shown_at_once_the_later_stays(
        self, made: Made, order: tuple[int, int]
    ) -> None:
        grant = made.a_grant()
        shown = [_show(made, grant), _show(made, grant)]
        for place in order:
            confirm_shown(made.world, shown[place])
        assert [made.opens(each.token) for each in shown] == [False, True]

    @pytest.mark.parametrize(
        "who", [BEN, LEA, "U0NOBODY"], ids=["the approver", "a lead", "a stranger"]
    )
    def test_is_for_the_holder_alone(self, made: Made, who: str) -> None:
        grant = made.a_grant()
        assert isinstance(show_credentials(made.world, grant.id, who), Refused)
        assert made.log("request:action:refused", "actor") == [(who,)]

    def test_of_an_inactive_grant_is_refused(self, made: Made) -> None:
        grant = made.a_started(made.a_request())
        assert isinstance(show_credentials(made.world, grant.id, ANA), Refused)
        made.start(grant)
        made.clock.at = made.grant(grant.id).ends_at
        assert isinstance(show_credentials(made.world, grant.id, ANA), Refused)
        assert isinstance(show_credentials(made.world, "g0", ANA), Refused)

    def test_of_a_deactivated_holder_is_refused(self, made: Made) -> None:
        grant = made.a_grant()
        made.know(replace(a_person(ANA), deleted=True, checked_at=START + 1))
        assert isinstance(show_credentials(made.world, grant.id, ANA), Refused)

    def test_no_token_is_anywhere_in_the_database(self, made: Made) -> None:
        token = made.a_token(made.a_grant())
        for table in ("tokens", "grants", "audit", "outbox", "key_values", "gates", "seen"):
            assert token not in repr(made.rows(f"SELECT * FROM {table}"))
            assert token.split(".")[-1] not in repr(made.rows(f"SELECT * FROM {table}"))

    def test_shown_credentials_do_not_print_their_token(self, made: Made) -> None:
        shown = _show(made, made.a_grant())
        assert shown.token not in repr(shown)


class TestChecking:
    def test_an_open_gate_says_for_whom_and_until_when(self, made: Made) -> None:
        grant = made.a_grant()
        found = made.check(made.a_token(grant))
        assert isinstance(found, TokenActive)
        assert (found.grant, found.person, found.email, found.role, found.scope, found.system) == (
            grant.id,
            ANA,
            "u0ana@example.com",
            "shop-admin",
            "orders:read orders:refund",
            "shop-admin",
        )
        assert (found.issued_at, found.expires_at) == (START, START + HOUR)

    @pytest.mark.parametrize(
        ("after", "why"),
        [(0, "open"), (HOUR - 1, "open"), (HOUR, "expired"), (HOUR + 1, "expired")],
    )
    def test_a_token_ends_at_its_second(self, made: Made, after: int, why: str) -> None:
        token = made.a_token(made.a_grant(duration=HOUR))
        made.clock.at += after
        assert _why(made, token) == why

    def test_a_token_works_until_the_end_it_was_signed_for_and_a_new_one_until_the_new(
        self, made: Made
    ) -> None:
        grant = made.a_grant(duration=HOUR)
        old = made.a_token(grant)
        made.clock.at += 1800
        renew_grant(made.world, grant.id, ANA, duration=HOUR)
        made.open_gate(grant.id, "shop-admin", made.grant(grant.id).ends_at)
        made.clock.at = START + HOUR - 1
        assert made.opens(old)
        made.clock.at += 1
        assert _why(made, old) == "expired"
        assert made.opens(made.a_token(grant))

    def test_a_good_token_of_another_system_is_distinguished(self, made: Made) -> None:
        grant = made.a_grant()
        found = made.check(made.a_token(grant), "reports")
        assert found == TokenInactive("other system", grant.id, elsewhere=True)

    def test_a_gate_that_is_not_open_yet_lets_nobody_through(self, made: Made) -> None:
        grant = made.a_grant()
        token = made.a_token(grant)
        with made.world.db.transaction():
            made.world.db.run("DELETE FROM gates")
        assert _why(made, token) == "gate closed"

    def test_a_gate_closes_at_its_own_end_too(self, made: Made) -> None:
        grant = made.a_grant(duration=HOUR)
        token = made.a_token(grant)
        with made.world.db.transaction():
            made.world.db.run("UPDATE gates SET until = ?", START + 60)
        found = made.check(token)
        assert isinstance(found, TokenActive)
        assert found.expires_at == START + 60
        made.clock.at = START + 60
        assert _why(made, token) == "gate closed"

    def test_the_right_id_in_another_token_opens_nothing(self, made: Made) -> None:
        claims = made.signer.read_token(made.a_token(made.a_grant()))
        assert isinstance(claims, Claims)
        for forged in (replace(claims, digest="0" * 64), replace(claims, jti="another")):
            assert introspect_token(made.world, forged, "shop-admin") == TokenInactive("unknown")

    def test_a_token_given_back_by_its_system_is_dead_and_the_grant_lives(self, made: Made) -> None:
        grant = made.a_grant()
        token = made.a_token(grant)
        claims = made.signer.read_token(token)
        assert isinstance(claims, Claims)
        assert not revoke_token(made.world, claims, "reports")
        assert made.opens(token)
        assert [revoke_token(made.world, claims, "shop-admin") for _ in range(2)] == [True, False]
        assert (_why(made, token), made.grant(grant.id).state) == ("replaced or revoked", "active")
        assert made.opens(made.a_token(grant))

    def test_dead_tokens_are_forgotten_after_a_month_and_stay_closed(self, made: Made) -> None:
        token = made.a_token(made.a_grant(duration=HOUR))
        made.clock.at += 31 * 86400
        forget_old(made.world)
        assert (made.count("tokens"), _why(made, token)) == (0, "unknown")


class TestUsage:
    def _sums(self, made: Made, grant: Grant) -> list[object]:
        sum_usage(made.world, [grant.id])
        return [detail for (detail,) in made.log("grant:use:summed", "detail")]

    def test_a_flush_waits_for_the_writes_of_another_thread(
        self, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        grant, meter = made.a_grant(), UsageMeter(made.world)
        begun, go_on, add = threading.Event(), threading.Event(), usage.add

        def slowly(*given: Any) -> None:
            begun.set()
            go_on.wait(10)
            add(*given)

        monkeypatch.setattr(usage, "add", slowly)
        meter.count(grant.id, "shop-admin", "10.0.0.1")
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(meter.flush)
            assert begun.wait(10) and meter.has_counts
            second = pool.submit(meter.flush)
            assert not second.done()
            go_on.set()
            assert (first.result(10), second.result(10)) == (1, 0)
        assert made.count("usage") == 1 and not meter.has_counts

    def test_the_first_use_is_durable_before_the_answer_and_recorded_once(self, made: Made) -> None:
        grant = made.a_grant()
        for meter in (UsageMeter(made.world), UsageMeter(made.world)):
            meter.count(grant.id, "shop-admin", "10.0.0.1")
            meter.count(grant.id, "shop-admin", "10.0.0.2")
        assert made.log("grant:use:first", 'actor, system, "grant"') == [
            (ANA, "shop-admin", grant.id)
        ]
        assert made.count("usage") == 0

    def test_of_many_first_uses_at_once_one_is_the_first(self, made: Made) -> None:
        grant, meter = made.a_grant(), UsageMeter(made.world)
        together(made.world.db, [lambda: meter.count(grant.id, "shop-admin", "10.0.0.1")] * 8)
        meter.flush()
        assert made.events("grant:use:first") == 1
        assert made.rows("SELECT count FROM usage") == [(8,)]

    def test_checks_are_kept_by_source_minute_and_outcome(self, made: Made) -> None:
        grant, meter = made.a_grant(), UsageMeter(made.world)
        for second, source, outcome in (
            (0, "a", "allowed"),
            (1, "a", "allowed"),
            (2, "b", "expired"),
            (60, "a", "allowed"),
        ):
            made.clock.at = START - START % 60 + second
            meter.count(grant.id, "shop-admin", source, outcome)
        assert (meter.flush(), meter.flush()) == (3, 0)
        minute = START - START % 60
        assert made.rows(
            "SELECT source, minute, outcome, count, last_at FROM usage ORDER BY minute, source"
        ) == [
            ("a", minute, "allowed", 2, minute + 1),
            ("b", minute, "expired", 1, minute + 2),
            ("a", minute + 60, "allowed", 1, minute + 60),
        ]

    def test_several_processes_add_to_the_same_counts(self, made: Made) -> None:
        grant = made.a_grant()
        meters = [UsageMeter(made.world) for _ in range(6)]
        for meter in meters:
            meter.count(grant.id, "shop-admin", "a")
        together(made.world.db, [meter.flush for meter in meters])
        assert made.rows("SELECT count FROM usage") == [(6,)]

    def test_nothing_counted_is_lost_when_the_database_does_not_answer(self, made: Made) -> None:
        grant = made.a_grant()
        meter = UsageMeter(made.world)
        meter.count(grant.id, "shop-admin", "a")
        with made.world.db.transaction():
            made.world.db.run("ALTER TABLE usage RENAME TO elsewhere")
        with pytest.raises(Exception, match="usage"):
            meter.flush()
        meter.count(grant.id, "shop-admin", "a")
        with made.world.db.transaction():
            made.world.db.run("ALTER TABLE elsewhere RENAME TO usage")
        meter.flush()
        assert made.rows("SELECT count FROM usage") == [(2,)]

    def test_a_first_use_that_cannot_be_stored_is_refused(self, made: Made) -> None:
        grant = made.a_grant()
        made.break_database()
        meter = UsageMeter(made.world)
        with pytest.raises(StorageUnavailable):
            meter.count(grant.id, "shop-admin", "a")

    def test_a_flood_of_sources_is_counted_together(self, made: Made) -> None:
        grant, meter = made.a_grant(), UsageMeter(made.world)
        for number in range(MOST_IN_A_MINUTE + 50):
            meter.count(grant.id, "shop-admin", str(number))
        assert meter.flush() == MOST_IN_A_MINUTE + 1
        assert made.rows("SELECT count FROM usage WHERE source = 'other'") == [(50,)]

    def test_the_sum_goes_into_the_audit_chain_at_the_end(self, made: Made) -> None:
        grant, meter = made.a_grant(), UsageMeter(made.world)
        for outcome in ("allowed", "allowed", "expired"):
            meter.count(grant.id, "shop-admin", "10.0.0.1", outcome)
        meter.flush()
        held = describe_grant(made.world, grant.id)
        assert held is not None and held.used is None
        release_grant(made.world, grant.id, ANA)
        minute = START - START % 60
        assert self._sums(made, grant) == [
            f'{{"allowed":2,"first":{minute},"how":["token"],"known":"every'
            f' use","last":{START},"open":0,"refused":1,"sessions":0,'
            '"source":"slack","sources":["10.0.0.1"]}'
        ]
        view = describe_grant(made.world, grant.id)
        assert view is not None and view.used is not None
        assert (view.used.times, view.used.first, view.used.last) == (2, minute, START)

    def test_a_grant_that_was_never_used_has_a_sum_of_nothing(self, made: Made) -> None:
        (summed,) = self._sums(made, made.a_grant())
        assert (
            '"allowed":0,"first":null,"known":"every'
            ' use","last":null,"open":0,"refused":0,"sessions":0' in str(summed)
        )
