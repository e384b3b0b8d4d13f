"""Every check is counted, the first use is durable before the answer, and a count that can't be
written means no."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bot.core.audit import Event
from bot.core.errors import StorageUnavailable
from bot.operations.grants.release_grant import release_grant
from bot.operations.usage.count_usage import sum_usage
from bot.web import token_check
from storage import audit, usage
from storage.database import Database
from tests.builders import SHOP_SECRET
from tests.factories import ANA, START
from tests.web.conftest import Site


def counted(site: Site, grant: str) -> dict[tuple[str, str, str], int]:
    """Checks by system, source and outcome, as written."""
    site.meter.flush()
    with site.made.world.db.reading():
        rows = usage.listing(site.made.world.db, grant, 100)
    return {(row.system, row.source, row.outcome): row.checks for row in rows}


def uses(site: Site, grant: str) -> list[audit.Record]:
    with site.made.world.db.reading():
        return audit.page(
            site.made.world.db, audit.Filters(event=Event.USE_FIRST, grant=grant), None, 10
        )


def test_checks_are_counted_exactly_by_system_source_and_outcome(either: Site) -> None:
    grant = either.made.a_grant()
    old, token = either.made.a_token(grant), either.made.a_token(grant)
    for _ in range(3):
        either.auth(token, **{"X-Forwarded-For": "198.51.100.1"})
    either.auth(token, **{"X-Forwarded-For": "198.51.100.2"})
    either.auth(old, **{"X-Forwarded-For": "198.51.100.2"})
    either.auth(token, "reports", **{"X-Forwarded-For": "198.51.100.2"})
    either.introspect(token)
    either.auth("junk")
    release_grant(either.made.world, grant.id, ANA)
    either.auth(token)
    assert counted(either, grant.id) == {
        ("shop-admin", "198.51.100.1", "allowed"): 3,
        ("shop-admin", "198.51.100.2", "allowed"): 1,
        ("shop-admin", "198.51.100.2", "replaced or revoked"): 1,
        ("reports", "198.51.100.2", "other system"): 1,
        ("shop-admin", "192.0.2.7", "allowed"): 1,
        ("shop-admin", "192.0.2.7", "ending"): 1,
    }
    sum_usage(either.made.world, [grant.id])
    with either.made.world.db.reading():
        sums = audit.page(either.made.world.db, audit.Filters(event=Event.USE_SUMMED), None, 10)
    counted_by_system = {
        r.system: (json.loads(r.detail)["allowed"], json.loads(r.detail)["refused"]) for r in sums
    }
    assert counted_by_system == {"shop-admin": (5, 2), "reports": (0, 1)}


def test_each_minute_is_counted_separately(site: Site) -> None:
    grant = site.made.a_grant()
    token = site.made.a_token(grant)
    for _ in range(2):
        site.auth(token)
        site.made.clock.at += 60
    site.meter.flush()
    with site.made.world.db.reading():
        minutes = {row.minute for row in usage.listing(site.made.world.db, grant.id, 100)}
    assert minutes == {START - START % 60, START - START % 60 + 60}


def test_the_first_use_is_in_the_audit_log_before_the_answer_and_once(either: Site) -> None:
    grant = either.made.a_grant()
    token = either.made.a_token(grant)
    assert either.auth(token, **{"X-Forwarded-For": "198.51.100.1"}).status_code == 200
    (use,) = uses(either, grant.id)
    assert (use.actor, use.system) == (ANA, "shop-admin")
    assert "198.51.100.1" in use.detail
    for _ in range(3):
        either.auth(token)
    assert len(uses(either, grant.id)) == 1


class Faulty:
    """A database whose transactions, or all of whose calls, fail on order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    @contextmanager
    def failing(self, *scopes: str) -> Iterator[None]:
        def fails(database: Database, *given: object) -> None:
            raise StorageUnavailable("disk full")

        with self.monkeypatch.context() as patched:
            for scope in scopes:
                patched.setattr(Database, scope, fails)
            yield


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Faulty:
    return Faulty(monkeypatch)


def test_a_first_use_that_cannot_be_written_is_refused(either: Site, faulty: Faulty) -> None:
    grant = either.made.a_grant()
    token = either.made.a_token(grant)
    with faulty.failing("transaction"):
        refused = either.auth(token)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert either.introspect(token).status_code == 503
    assert either.auth(token).status_code == 200
    assert len(uses(either, grant.id)) == 1


def test_a_use_after_the_first_needs_no_write(site: Site, faulty: Faulty) -> None:
    token = site.made.a_token(site.made.a_grant())
    assert site.auth(token).status_code == 200
    with faulty.failing("transaction"):
        assert site.auth(token).status_code == 200


def test_a_database_that_does_not_answer_never_means_yes(either: Site, faulty: Faulty) -> None:
    token = either.made.a_token(either.made.a_grant())
    assert either.auth(token).status_code == 200
    with faulty.failing("transaction", "reading", "look_up"):
        assert either.auth(token).status_code == 503
        assert either.introspect(token).status_code == 503
        revoked = either.call(
            "POST", "/oauth2/revoke", data={"token": token}, auth=("shop-admin", SHOP_SECRET)
        )
        assert revoked.status_code == 503
        assert either.auth("junk").status_code == 401, "junk is told without asking it"
    assert either.auth(token).status_code == 200


def test_counts_that_could_not_be_written_are_written_later(site: Site, faulty: Faulty) -> None:
    grant = site.made.a_grant()
    token = site.made.a_token(grant)
    site.auth(token)
    with faulty.failing("transaction"), pytest.raises(StorageUnavailable):
        site.meter.flush()
    site.auth(token)
    assert counted(site, grant.id) == {("shop-admin", "192.0.2.7", "allowed"): 2}


def test_an_end_during_the_first_write_is_seen(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write may wait for a lock, and the access may end meanwhile."""
    grant = site.made.a_grant()
    token = site.made.a_token(grant)
    write = token_check.record_first_use

    def slowly(*given: object) -> None:
        write(*given)  # type: ignore[arg-type]
        site.made.clock.at = grant.ends_at

    monkeypatch.setattr(token_check, "record_first_use", slowly)
    assert site.auth(token).status_code == 401


def test_many_checks_at_once_lose_nothing(either: Site) -> None:
    grant = either.made.a_grant()
    token = either.made.a_token(grant)
    headers = {"Authorization": f"Bearer {token}", "X-Access-System": "shop-admin"}
    calls = [lambda client: client.get("/auth", headers=headers)] * 32
    answers = asyncio.run(either.gather(calls))
    assert [answer.status_code for answer in answers] == [200] * 32
    assert counted(either, grant.id) == {("shop-admin", "192.0.2.7", "allowed"): 32}
    assert len(uses(either, grant.id)) == 1


def test_countless_sources_do_not_fill_the_database(site: Site) -> None:
    """Any client of `/auth` may write any address into X-Forwarded-For."""
    grant = site.made.a_grant()
    for number in range(300):
        site.meter.count(grant.id, "shop-admin", f"198.51.{number // 250}.{number % 250}")
        site.meter.flush()
    assert site.made.rows("SELECT COUNT(*), SUM(count) FROM usage") == [(101, 300)]
    assert site.made.rows("SELECT count FROM usage WHERE source = 'other'") == [(200,)]
    site.made.clock.at += 60
    site.meter.count(grant.id, "shop-admin", "203.0.113.1")
    site.meter.flush()
    assert site.made.count("usage", "source = '203.0.113.1'") == 1


SOURCES = [
    pytest.param([("X-Forwarded-For", "198.51.100.9")], "198.51.100.9", id="the proxy's word"),
    pytest.param(
        [("X-Forwarded-For", "1.1.1.1, 198.51.100.9")],
        "198.51.100.9",
        id="the last entry, not the client's",
    ),
    pytest.param(
        [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "198.51.100.9")],
        "198.51.100.9",
        id="two lines",
    ),
    pytest.param([("X-Real-IP", "198.51.100.9")], "198.51.100.9", id="X-Real-IP"),
    pytest.param(
        [("X-Real-IP", "1.1.1.1"), ("X-Forwarded-For", "198.51.100.9")], "198.51.100.9", id="both"
    ),
    pytest.param([("X-Forwarded-For", "2001:DB8:0::1")], "2001:db8::1", id="IPv6 in one spelling"),
    pytest.param([("X-Forwarded-For", "unknown")], "192.0.2.7", id="no address"),
    pytest.param([("X-Forwarded-For", "")], "192.0.2.7", id="empty"),
    pytest.param(
        [("X-Forwarded-For", "fe80::1%<script>")], "192.0.2.7", id="a zone could be anything"
    ),
    pytest.param([("X-Forwarded-For", "9" * 5000)], "192.0.2.7", id="huge"),
    pytest.param([], "192.0.2.7", id="nothing said"),
]


@pytest.mark.parametrize(("said", "source"), SOURCES)
def test_the_source_is_what_the_proxy_says(
    site: Site, said: list[tuple[str, str]], source: str
) -> None:
    grant = site.made.a_grant()
    headers = [
        ("Authorization", f"Bearer {site.made.a_token(grant)}"),
        ("X-Access-System", "shop-admin"),
        *said,
    ]
    assert site.call("GET", "/auth", headers=headers).status_code == 200
    assert counted(site, grant.id) == {("shop-admin", source, "allowed"): 1}


def test_metrics_name_only_existing_systems(site: Site) -> None:
    token = site.made.a_token(site.made.a_grant())
    for system in ("shop-admin", "reports", "made-up", "x" * 1000):
        site.auth(token, system)
        site.auth("junk", system)
    assert site.checks() == {
        ("shop-admin", "allowed"): 1,
        ("shop-admin", "not ours"): 1,
        ("reports", "other system"): 1,
        ("reports", "not ours"): 1,
    }


def test_no_token_and_no_secret_is_logged(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, faulty: Faulty
) -> None:
    caplog.set_level(logging.DEBUG)
    token = site.made.a_token(site.made.a_grant())
    with faulty.failing("transaction"):
        site.auth(token)
    site.auth(token)
    site.introspect(token)
    site.introspect(token, secret="a-wrong-secret-0123")
    monkeypatch.setattr(token_check, "introspect_token", lambda *given: 1 / 0)
    assert site.auth(token).status_code == 500
    assert caplog.records
    for secret in (token, token.partition(".")[2], SHOP_SECRET, "a-wrong-secret-0123"):
        assert secret not in caplog.text
        assert secret not in site.call("GET", "/metrics").text


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_ends_do_not_depend_on_the_zone_of_the_machine(
    site: Site, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        token = site.made.a_token(site.made.a_grant())
        assert site.auth(token).headers["x-access-expires"] == "2026-09-21T15:13:20Z"
    time.tzset()
