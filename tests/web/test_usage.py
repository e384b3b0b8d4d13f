"""Systems report sessions, on both databases: an authenticated system is believed about its own
grants, once."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from bot.core.correlation import current
from bot.core.roles import System
from bot.operations.grants.release_grant import release_grant
from bot.operations.usage.describe_usage import describe_usage
from bot.web import usage
from bot.web.rates import Rates
from tests.builders import REPORTS_SECRET, SHOP_SECRET
from tests.factories import ANA, START
from tests.web.conftest import Site, build_site, serving

DOCS = Path(__file__).parents[2] / "docs" / "usage.md"
DB_SECRET = "orders-db-secret-01"


def report(
    site: Site, of: str, /, *, system: str = "shop-admin", secret: str = SHOP_SECRET, **more: object
) -> httpx2.Response:
    said = {"grant": of, "event": "opened", "session": "tty1", "source": "192.0.2.7", **more}
    body = {key: value for key, value in said.items() if value is not None}
    headers = {"Content-Type": "application/json"}
    return site.call(
        "POST", "/usage", content=json.dumps(body), headers=headers, auth=(system, secret)
    )


def kept(site: Site) -> list[tuple[object, ...]]:
    return site.made.rows("SELECT name, source, opened_at, closed_at FROM sessions ORDER BY name")


def test_a_session_is_reported_and_seen_in_the_timeline(either: Site) -> None:
    grant = either.made.a_grant()
    answer = report(either, grant.id)
    assert (answer.status_code, answer.json()) == (
        200,
        {"recorded": True, "new": True, "active": True},
    )
    assert answer.headers["cache-control"] == "no-store"
    either.made.clock.at += 600
    assert report(either, grant.id, event="closed", source=None).json()["new"] is True
    assert kept(either) == [("tty1", "192.0.2.7", START, START + 600)]
    view = describe_usage(either.made.world, grant.id)
    assert view is not None and view.used.times == 1
    assert either.made.log("grant:use:first", 'actor, system, "grant"') == [
        (ANA, "shop-admin", grant.id)
    ]


def test_a_repeated_report_is_answered_alike_and_counted_once(either: Site) -> None:
    grant = either.made.a_grant()
    answers = [report(either, grant.id) for _ in range(3)]
    assert [(answer.status_code, answer.json()["new"]) for answer in answers] == [
        (200, True),
        (200, False),
        (200, False),
    ]
    assert len(kept(either)) == 1


def test_a_report_after_the_end_is_stored_and_answered_as_inactive(
    either: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "bot.web")
    ids: list[str] = []

    def has_id(_: object) -> bool:
        ids.append(current())
        return True

    caplog.handler.addFilter(has_id)
    grant = either.made.a_grant()
    release_grant(either.made.world, grant.id, ANA)
    either.made.close_gates(grant)
    either.made.clock.at += 300
    answer = report(either, grant.id)
    assert (answer.status_code, answer.json()["active"]) == (200, False)
    assert either.made.events("grant:use:after_end") == 1
    assert "notify_security" in either.made.work()
    sql = "SELECT DISTINCT correlation FROM outbox WHERE kind = 'notify_security'"
    assert either.made.rows(sql) == [(each,) for each in ids] != [("",)]


@pytest.mark.parametrize(
    ("system", "secret", "grant", "status"),
    [
        ("reports", REPORTS_SECRET, "own", 403),
        ("shop-admin", SHOP_SECRET, "gnone", 404),
        ("shop-admin", REPORTS_SECRET, "own", 401),
        ("shop-admin", "", "own", 401),
        ("nope", SHOP_SECRET, "own", 401),
        ("orders-db", DB_SECRET, "own", 403),
        ("no-secret", "", "own", 401),
        ("short", "short", "own", 401),
    ],
    ids=[
        "another system",
        "no such grant",
        "a wrong secret",
        "none",
        "unknown",
        "any kind",
        "has none",
        "too short",
    ],
)
def test_only_a_system_of_the_grant_may_report(
    site: Site, system: str, secret: str, grant: str, status: int
) -> None:
    policy = site.made.policies[-1]
    others = {
        "orders-db": System("orders-db", "postgres", {"secret": DB_SECRET}),
        "no-secret": System("no-secret", "ssh", {"secret": None}),
        "short": System("short", "foreign", {"secret": "short"}),
    }
    site.made.policies.append(replace(policy, systems={**policy.systems, **others}))
    own = site.made.a_grant()
    answer = report(site, own.id if grant == "own" else grant, system=system, secret=secret)
    assert answer.status_code == status
    assert (answer.headers.get("www-authenticate") == 'Basic realm="access"') is (status == 401)
    assert kept(site) == []
    assert site.made.events("request:action:refused") == int(status in (403, 404))


def test_a_system_of_another_kind_may_have_a_secret_without_being_a_gateway(site: Site) -> None:
    grant = site.made.a_grant()
    token = site.made.a_token(grant)
    policy = site.made.policies[-1]
    shop = System("shop-admin", "postgres", {"secret": DB_SECRET})
    site.made.policies.append(replace(policy, systems={**policy.systems, "shop-admin": shop}))
    assert report(site, grant.id, secret=DB_SECRET).status_code == 200
    assert site.introspect(token, secret=DB_SECRET).status_code == 401


GOOD = {
    "RFC 3339": {"at": "2026-09-21T14:13:20Z"},
    "in another zone": {"at": "2026-09-21T16:13:20.75+02:00"},
    "in small letters": {"at": "2026-09-21t14:13:20z"},
    "unix seconds": {"at": START},
    "with a fraction": {"at": START + 0.9},
    "now": {},
}


@pytest.mark.parametrize("said", GOOD.values(), ids=GOOD)
def test_a_time_is_read_in_each_of_its_forms(site: Site, said: dict[str, object]) -> None:
    assert START == 1_790_000_000, "which is 2026-09-21T14:13:20Z"
    assert report(site, site.made.a_grant().id, **said).status_code == 200
    assert kept(site) == [("tty1", "192.0.2.7", START, None)]


@pytest.mark.parametrize(
    ("said", "stored"),
    [("2001:DB8::0:1", "2001:db8::1"), (" bastion.example.com ", "bastion.example.com")],
)
def test_a_source_is_a_normalized_address_or_the_given_text(
    site: Site, said: str, stored: str
) -> None:
    assert report(site, site.made.a_grant().id, source=said).status_code == 200
    assert kept(site)[0][1] == stored


BAD: dict[str, tuple[dict[str, object], str]] = {
    "no grant": ({"grant": None}, "grant is required"),
    "no event": ({"event": None}, "event is required"),
    "no session": ({"session": None}, "session is required"),
    "opened from nowhere": ({"source": None}, "source is required for a session that was opened"),
    "a grant that is none": ({"grant": "G 1"}, "grant must be the id of a grant"),
    "a grant that is a number": ({"grant": 7}, "grant must be the id of a grant"),
    "another event": ({"event": "login"}, 'event must be "opened" or "closed"'),
    "an event that is a list": ({"event": ["opened"]}, 'event must be "opened" or "closed"'),
    "an empty session": ({"session": " "}, "session must be one line"),
    "a long session": ({"session": "x" * 201}, "session must be one line"),
    "a session of two lines": ({"session": "a\nb"}, "session must be one line"),
    "a session with a NUL": ({"session": "a\0"}, "session must be one line"),
    "half a character": ({"session": "\ud800"}, "session must be one line"),
    "a source that is a list": ({"source": ["x"]}, "source must be one line"),
    "an unknown key": ({"who": "ana"}, 'unknown keys: "who"'),
    "a time without a zone": ({"at": "2026-09-21T14:13:20"}, "at must be RFC 3339"),
    "a time in words": ({"at": "now"}, "at must be RFC 3339"),
    "a day that is none": ({"at": "2026-02-30T14:13:20Z"}, "at must be RFC 3339"),
    "true is no time": ({"at": True}, "at must be RFC 3339"),
    "a negative time": ({"at": -1}, "at must be RFC 3339"),
    "an absurd time": ({"at": 10**30}, "at must be RFC 3339"),
    "milliseconds": ({"at": START * 1000}, "at must be RFC 3339"),
    "the future": ({"at": START + 61}, "`at` is in the future"),
    "before the grant": ({"at": START - 61}, "before the grant began"),
}


@pytest.mark.parametrize(("said", "words"), BAD.values(), ids=BAD)
def test_an_invalid_report_is_refused_and_changes_nothing(
    site: Site, said: dict[str, object], words: str
) -> None:
    answer = report(site, site.made.a_grant().id, **said)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert words in answer.json()["error_description"]
    assert kept(site) == []


BODIES = {
    "nothing": (b"", 400),
    "no JSON": (b"{", 400),
    "no object": (b"[]", 400),
    "no text": (b"\xff\xfe", 400),
    "not a number": (b'{"at": NaN}', 400),
    "a key twice": (b'{"grant": "a", "grant": "b"}', 400),
    "nested without end": (b"[" * 10_000, 400),
    "too big": (b'{"a": "' + b"x" * 20_000 + b'"}', 413),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_report_is_refused(site: Site, body: bytes, status: int) -> None:
    credentials = b64encode(f"shop-admin:{SHOP_SECRET}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}
    assert site.call("POST", "/usage", content=body, headers=headers).status_code == status


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/json", None])
def test_only_json_is_read(site: Site, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = site.call(
        "POST", "/usage", content=b"{}", headers=headers, auth=("shop-admin", SHOP_SECRET)
    )
    assert answer.status_code == 400


def test_a_report_must_be_a_post(site: Site) -> None:
    assert site.call("GET", "/usage", auth=("shop-admin", SHOP_SECRET)).status_code == 405


def test_without_a_database_the_report_is_to_be_repeated(site: Site) -> None:
    grant = site.made.a_grant()
    site.made.break_database()
    answer = report(build_site(site.made), grant.id)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_the_command_of_the_docs_is_a_report(site: Site) -> None:
    """The command as written, through a shell and curl, over a socket."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    (script,) = re.findall(r"^```bash\n(curl .*?)^```$", DOCS.read_text(), re.M | re.S)
    grant = site.made.a_grant()
    with serving(site.app) as port:
        script = script.replace("g4k2m9p0q1rs", grant.id).replace(
            "127.0.0.1:3000", f"127.0.0.1:{port}"
        )
        script = script.replace("bastion:$BASTION_SECRET", f"shop-admin:{SHOP_SECRET}")
        said = subprocess.run(
            ["sh", "-c", script], capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
        )
    assert json.loads(said.stdout) == {"recorded": True, "new": True, "active": True}, said.stderr
    assert kept(site) == [("host-1 4711", "192.0.2.7", START, None)]


def test_a_system_that_reports_without_end_is_limited_and_the_others_are_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "REPORTS_AT_ONCE", 5)
    monkeypatch.setattr(usage, "REPORTS_A_SECOND", 0.001)
    site = build_site(site.made)
    answers = [report(site, f"gnone{number}") for number in range(20)]
    assert [answer.status_code for answer in answers] == [404] * 5 + [429] * 15
    assert 900 < int(answers[-1].headers["retry-after"]) <= 1000
    assert report(site, "gnone", system="reports", secret=REPORTS_SECRET).status_code == 404
    assert site.made.events("request:action:refused") == 2
    assert report(site, "gnone", secret="wrong" * 4).status_code == 401


def test_the_limit_recovers_call_by_call() -> None:
    now = [0.0]
    rates = Rates(2, 3, lambda: now[0])
    assert [rates.take("a") for _ in range(5)] == [0, 0, 0, 1, 1]
    now[0] = 0.5
    assert [rates.take("a"), rates.take("a"), rates.take("b")] == [0, 1, 0]
    now[0] = 100
    assert [rates.take("a") for _ in range(4)] == [0, 0, 0, 1]


NOTHING_WRITTEN = {
    "introspect, a wrong secret": (
        "POST",
        "/oauth2/introspect",
        {"data": {"token": "x"}, "auth": ("shop-admin", "x" * 20)},
    ),
    "introspect, a wrong token": (
        "POST",
        "/oauth2/introspect",
        {"data": {"token": "x"}, "auth": ("shop-admin", SHOP_SECRET)},
    ),
    "revoke, a wrong secret": (
        "POST",
        "/oauth2/revoke",
        {"data": {"token": "x"}, "auth": ("shop-admin", "x" * 20)},
    ),
    "revoke, a wrong token": (
        "POST",
        "/oauth2/revoke",
        {"data": {"token": "x"}, "auth": ("shop-admin", SHOP_SECRET)},
    ),
    "auth, a wrong token": (
        "GET",
        "/auth?system=shop-admin",
        {"headers": {"Authorization": "Bearer x.y.z"}},
    ),
    "auth, none": ("GET", "/auth?system=shop-admin", {}),
    "auth, an unknown system": ("GET", "/auth?system=nope", {}),
    "usage, a wrong secret": ("POST", "/usage", {"json": {}, "auth": ("shop-admin", "x" * 20)}),
    "krl": ("GET", "/ssh/krl", {}),
    "ca.pub of an unknown system": ("GET", "/ssh/ca.pub?system=nope", {}),
    "no such path": ("GET", "/nope", {}),
}


@pytest.mark.parametrize(("method", "path", "how"), NOTHING_WRITTEN.values(), ids=NOTHING_WRITTEN)
def test_unauthenticated_calls_write_nothing(
    site: Site, caplog: pytest.LogCaptureFixture, method: str, path: str, how: dict[str, object]
) -> None:
    site.made.a_grant()
    tables = ("audit", "usage", "sessions", "repeats", "outbox", "key_values", "seen")
    before = [site.made.count(table) for table in tables]
    with caplog.at_level("INFO"):
        for _ in range(10):
            site.call(method, path, **how)
    site.meter.flush()
    assert [site.made.count(table) for table in tables] == before
    assert [line for line in caplog.records if line.name != "httpx2"] == []


@pytest.mark.parametrize("path", ["/auth?system=shop-admin", "/ssh/krl", "/usage"])
def test_an_unreachable_database_is_one_line_a_minute(
    site: Site, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    token = site.made.a_token(site.made.a_grant())
    site.made.break_database()
    site = build_site(site.made)
    how: dict[str, object] = {"headers": {"Authorization": f"Bearer {token}"}}
    if path == "/usage":
        body = {"grant": "gnone", "event": "closed", "session": "s1"}
        how = {"json": body, "auth": ("shop-admin", SHOP_SECRET)}
    method = "POST" if path == "/usage" else "GET"
    assert {site.call(method, path, **how).status_code for _ in range(3)} == {503}
    assert len([line for line in caplog.records if line.levelname == "WARNING"]) == 1
