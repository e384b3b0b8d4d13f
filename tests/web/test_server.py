"""The endpoints for operators, and the server itself: sockets, shutdown, and things that no answer
may contain."""

from __future__ import annotations

import http.client
import socket
import threading
from base64 import b64encode

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from bot.core.errors import StorageUnavailable
from bot.operations.usage.count_usage import UsageMeter
from bot.web import build_web, listening
from storage import usage
from tests.factories import Made
from tests.web.conftest import Site, serving


def test_healthz_is_200_without_the_database(site: Site) -> None:
    assert site.call("GET", "/healthz").text == "ok\n"
    assert site.call("HEAD", "/healthz").status_code == 200


def says(*checks: tuple[str, bool, str]) -> object:
    return lambda: list(checks)


def fails() -> list[tuple[str, bool, str]]:
    raise StorageUnavailable("gone")


READINESS = [
    pytest.param(says(("database", True, "")), 200, {"database": "well"}, id="well"),
    pytest.param(
        says(("database", True, "gone"), ("clock", False, "late by 9 s")), 503,
        {"database": "well", "clock": "late by 9 s"}, id="one part is not",
    ),
    pytest.param(
        fails, 503, {"readiness": "can't be determined; see the log"}, id="nobody can say"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("ready", "status", "checks"), READINESS)
def test_readiness_names_every_part(
    made: Made, ready: object, status: int, checks: dict[str, str]
) -> None:
    registry, meter = CollectorRegistry(), UsageMeter(made.world)
    app = build_web(made.world, made.signer, meter, ready=ready, registry=registry)  # type: ignore[arg-type]
    answer = Site(made, meter, registry, app).call("GET", "/readyz")
    assert (answer.status_code, answer.json()) == (
        status,
        {"ready": status == 200, "checks": checks},
    )


def test_an_unwell_system_is_shown_and_readiness_stays_200(made: Made) -> None:
    registry, meter, systems = (
        CollectorRegistry(),
        UsageMeter(made.world),
        {"db": "unwell since …", "shop": "well"},
    )
    ready = says(("database", True, ""))
    app = build_web(
        made.world, made.signer, meter, ready=ready, registry=registry, systems=lambda: systems
    )  # type: ignore[arg-type]
    answer = Site(made, meter, registry, app).call("GET", "/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"database": "well"}, "systems": systems}


def test_metrics_count_answers_by_route_and_status(site: Site) -> None:
    for path in ("/healthz", "/auth", "/auth/x", "/made-up", "/made-up-too", "/healthz/"):
        site.call("GET", path)
    site.call("DELETE", "/healthz")
    answer = site.call("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    for route, status, count in (
        ("/healthz", 200, 1),
        ("/auth", 400, 1),
        ("other", 404, 3),
        ("other", 405, 1),
    ):
        assert (
            f'access_bot_http_requests_total{{route="{route}",status="{status}"}} {count}.0'
            in answer.text
        )
    assert "made-up" not in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/usages", "/ssh", "/docs", "/auth2", "/healthz/", "/../etc/passwd", "//auth"]
)
def test_an_unknown_path_is_not_found(site: Site, path: str) -> None:
    answer = site.call("GET", f"http://bot{path}")
    assert (answer.status_code, answer.json()) == (404, {"error": "not_found"})
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/oauth2/introspect", "POST"),
        ("GET", "/oauth2/revoke", "POST"),
        ("GET", "/usage", "POST"),
        ("POST", "/readyz", "GET, HEAD"),
    ],
)
def test_another_method_is_answered_with_the_allowed_one(
    site: Site, method: str, path: str, allowed: str
) -> None:
    answer = site.call(method, path)
    assert (answer.status_code, answer.json()) == (405, {"error": "method_not_allowed"})
    assert sorted(answer.headers["allow"].split(", ")) == allowed.split(", ")


def test_counts_are_written_when_the_server_stops(site: Site) -> None:
    grant = site.made.a_grant()
    token = site.made.a_token(grant)
    with (
        serving(site.app) as port,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        headers = {"Authorization": f"Bearer {token}", "X-Access-System": "shop-admin"}
        for _ in range(5):
            answer = client.get("/auth", headers=headers)
            assert answer.status_code == 200
    assert "server" not in answer.headers
    with site.made.world.db.reading():
        (row,) = usage.listing(site.made.world.db, grant.id, 100)
    assert (row.checks, row.source) == (5, "127.0.0.1")


def test_many_clients_at_once_over_sockets(site: Site) -> None:
    grant = site.made.a_grant()
    good = {"Authorization": f"Bearer {site.made.a_token(grant)}", "X-Access-System": "shop-admin"}
    bad = {**good, "Authorization": "Bearer junk"}
    found: list[int] = []

    def client(port: int) -> None:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as connection:
            found.extend(
                connection.get("/auth", headers=headers).status_code for headers in (good, bad) * 4
            )

    with serving(site.app) as port:
        threads = [threading.Thread(target=client, args=(port,)) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == [200] * 64 + [401] * 64


RAW = [
    pytest.param(
        b"GET /auth?system=shop-admin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n",
        b"401",
    ),
    pytest.param(b"GET /%00%ff%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    pytest.param(b"nonsense\r\n\r\n", b"400"),
    pytest.param(
        b"POST /oauth2/introspect HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", b"401"
    ),
]


@pytest.mark.parametrize(("request_", "status"), RAW)
def test_odd_bytes_get_an_answer(site: Site, request_: bytes, status: bytes) -> None:
    with (
        serving(site.app) as port,
        socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
    ):
        connection.sendall(request_)
        assert connection.recv(65536).split(b" ")[1] == status


def test_a_client_that_leaves_within_its_body_has_no_effect_on_others(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    system = site.made.policies[-1].systems["shop-admin"]
    credentials = "Basic " + b64encode(f"shop-admin:{system.secret}".encode()).decode()
    with serving(site.app) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.putrequest("POST", "/oauth2/introspect")
        for name, value in (
            ("Authorization", credentials),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Content-Length", "1000"),
        ):
            connection.putheader(name, value)
        connection.endheaders(b"token=")
        connection.close()
        assert httpx2.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
    assert "Traceback" not in caplog.text


def test_a_taken_port_is_an_error_and_leaves_no_socket_behind() -> None:
    with listening("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(OSError, match="use"):
            listening("127.0.0.1", taken.getsockname()[1])
