"""docs/gateways.md, tested exactly as written: real proxies, the real application under uvicorn, a
real database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx2
import pytest

from bot.core.model import EndReason
from bot.operations.browser.open_session import BrowserSession, open_session
from bot.operations.grants.release_grant import Ending
from bot.operations.grants.revoke_grant import revoke_grant
from bot.operations.grants.show_credentials import Credentials, show_credentials
from tests.builders import browser_systems
from tests.factories import ANA, LEA, Made
from tests.web.conftest import Site, serving
from tests.web.proxies import PROXIES, a_proxy


@pytest.fixture(params=PROXIES)
def door(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Iterator[httpx2.Client]:
    with serving(site.app) as bot, a_proxy(request.param, bot, tmp_path) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def seen(answer: httpx2.Response) -> list[tuple[str, str]]:
    """The headers that reached the page."""
    assert answer.status_code == 200, answer.text
    return [(name.lower(), value) for name, value in answer.json()]


def test_only_a_token_for_this_system_opens_the_page(door: httpx2.Client, made: Made) -> None:
    without = door.get("/orders")
    assert without.status_code == 401
    assert without.headers["www-authenticate"].startswith("Bearer")
    assert door.get("/orders", headers=bearer("junk")).status_code == 401
    assert (
        door.get("/orders", headers=bearer(made.a_token(made.a_grant("reports-read")))).status_code
        == 403
    )

    grant = made.a_grant()
    headers = seen(door.get("/orders?system=reports", headers=bearer(made.a_token(grant))))
    assert ("x-access-user", "u0ana@example.com") in headers
    assert ("x-access-grant", grant.id) in headers
    assert ("x-access-role", "shop-admin") in headers
    assert "x-access-expires" in dict(headers)
    assert "authorization" not in dict(headers), "the page must not get the token"


def test_a_request_with_a_body_goes_through_too(door: httpx2.Client, made: Made) -> None:
    token = made.a_token(made.a_grant())
    assert door.post("/orders", headers=bearer(token), content=b"x" * 100_000).status_code == 200
    assert door.post("/orders", content=b"x" * 100_000).status_code == 401


def test_the_program_of_the_client_is_recorded(door: httpx2.Client, made: Made) -> None:
    headers = bearer(made.a_token(made.a_grant())) | {"User-Agent": "curl/8.7.1"}
    assert door.get("/", headers=headers).status_code == 200
    ((detail,),) = made.log("grant:use:first", "detail")
    assert json.loads(detail)["agent"] == "curl/8.7.1"


def test_the_page_closes_the_second_the_grant_ends(door: httpx2.Client, made: Made) -> None:
    grant = made.a_grant(duration=600)
    token = made.a_token(grant)
    made.clock.at = grant.ends_at - 1
    assert door.get("/", headers=bearer(token)).status_code == 200
    made.clock.at = grant.ends_at
    assert door.get("/", headers=bearer(token)).status_code == 401


def test_the_page_closes_when_a_lead_revokes(door: httpx2.Client, made: Made) -> None:
    grant = made.a_grant()
    token = made.a_token(grant)
    assert door.get("/", headers=bearer(token)).status_code == 200
    assert isinstance(revoke_grant(made.world, LEA, grant=grant.id), Ending)
    assert door.get("/", headers=bearer(token)).status_code == 401
    assert made.grant(grant.id).end_reason is EndReason.REVOKED


FORGED = (
    "X-Access-User",
    "x-access-role",
    "X-Access-Grant",
    "X-Access-Expires",
    "X-Access-System",
    "X_Access_User",
    "X_Access-User",
    "X-Access_User",
    "x_access_user",
    "x-access_grant",
    "X-Access_System",
    "X.Access.User",
    "x.access.user",
    "X.Access-User",
    "X-Access.User",
    "x.access_role",
    "X_Access.Grant",
)


def test_identity_headers_of_a_client_do_not_reach_the_page(
    door: httpx2.Client, made: Made
) -> None:
    token = made.a_token(made.a_grant())
    forged = [(name, "root") for name in FORGED]
    headers = seen(door.get("/", headers=[*bearer(token).items(), *forged]))
    assert "root" not in [value for _, value in headers]
    assert door.get("/", headers=forged).status_code == 401


def test_a_client_cannot_have_the_identity_removed_on_the_way(
    door: httpx2.Client, made: Made
) -> None:
    """A proxy removes the headers that `Connection` names (RFC 9110 section 7.6.1), also those of
    the answer."""
    grant = made.a_grant()
    token = bearer(made.a_token(grant))
    named = "X-Access-User, X-Access-Role, X-Access-Grant, X-Access-Expires"
    for connection in (f"close, {named}", f"keep-alive, {named}", named.lower()):
        headers = dict(seen(door.get("/", headers={**token, "Connection": connection})))
        assert (
            headers.get("x-access-user") == "u0ana@example.com"
            and headers.get("x-access-grant") == grant.id
        )
        assert headers.get("x-access-role") == "shop-admin" and "x-access-expires" in headers
        assert "authorization" not in headers
    upgrade = {**token, "Upgrade": "websocket", "Connection": f"Upgrade, {named}"}
    assert ("x-access-user", "u0ana@example.com") in seen(door.get("/", headers=upgrade))


def test_a_client_cannot_choose_the_system(door: httpx2.Client, made: Made) -> None:
    headers = bearer(made.a_token(made.a_grant("reports-read"))) | {"X-Access-System": "reports"}
    assert door.get("/?system=reports", headers=headers).status_code == 403


@pytest.mark.parametrize("kind", PROXIES)
def test_without_the_bot_the_page_is_closed(
    kind: str, site: Site, made: Made, tmp_path: Path
) -> None:
    token = made.a_token(made.a_grant())
    with serving(site.app) as bot:
        port = bot
    with a_proxy(kind, port, tmp_path) as door:
        assert door.get("/", headers=bearer(token)).status_code >= 500
        with serving(site.app, port):
            assert door.get("/", headers=bearer(token)).status_code == 200


# --- browsers


@pytest.fixture
def cookie(door: httpx2.Client, made: Made) -> str:
    """The cookie of a browser that is signed in at this door."""
    made.set_policy(systems=browser_systems(str(door.base_url).rstrip("/")))
    shown = show_credentials(made.world, made.a_grant().id, ANA)
    assert isinstance(shown, Credentials)
    code = shown.links["shop-admin"].partition("code=")[2]
    opened = open_session(made.world, code, "shop-admin", "192.0.2.7")
    assert isinstance(opened, BrowserSession)
    return f"access={opened.secret}"


def test_a_browser_gets_in_with_its_cookie_which_the_page_does_not_receive(
    door: httpx2.Client, cookie: str
) -> None:
    for sent in (f"theme=dark; {cookie}; x=1", f"{cookie}; theme=dark; x=1"):
        headers = seen(door.get("/orders", headers={"Cookie": sent}))
        assert ("x-access-user", "u0ana@example.com") in headers
        (kept,) = (value for name, value in headers if name == "cookie")
        assert kept.strip("; ") == "theme=dark; x=1"
    alone = seen(door.get("/orders", headers={"Cookie": cookie}))
    assert cookie not in str(alone)
    assert door.get("/", headers={"Cookie": f"{cookie}; {cookie}"}).status_code == 401


def test_another_site_cannot_post_through_the_proxy(door: httpx2.Client, cookie: str) -> None:
    def post(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return door.post("/orders", headers={"Cookie": cookie, **named}).status_code

    assert post() == post(Origin="https://evil.example.com") == 403
    assert post(Sec_Fetch_Site="same-site") == post(X_Original_Method="GET") == 403
    assert post(X_Forwarded_Method="GET", X_HTTP_Method="GET") == 403
    assert post(Sec_Fetch_Site="same-origin") == 200
    assert post(Origin=str(door.base_url).rstrip("/")) == 200


SMUGGLED = (
    "/_access/../orders",
    "/_access/%2e%2e/orders",
    "/_access/..%2forders",
    "/_access/..;/orders",
    "//_access/../orders",
    "/_access/open/../../auth?system=shop-admin",
    "/_access/../metrics",
    "/_access/%2e%2e/metrics",
    "/_access/..%2fmetrics",
    "/_access%2f..%2fmetrics",
)


def test_no_path_below_access_leads_to_the_page_or_to_more_of_the_bot(
    door: httpx2.Client, cookie: str
) -> None:
    """The paths go out as they are written; a client's library would shorten them."""
    for path in SMUGGLED:
        with closing(HTTPConnection("127.0.0.1", door.base_url.port, timeout=10)) as line:
            line.request("GET", path, headers={"Accept": "text/html"})
            answer = line.getresponse()
            text = answer.read().decode()
            assert answer.status in (400, 401, 404), (path, answer.status)
            assert "access_bot_" not in text and "x-access-user" not in text.lower(), path


def test_a_browser_without_access_gets_the_page_of_the_bot(
    door: httpx2.Client, cookie: str
) -> None:
    for path in ("/orders", "/_access/"):
        answer = door.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 401
        assert "You need access to this page" in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    program = door.get("/orders")
    assert program.headers["content-type"].startswith("text/plain")
    assert program.headers["www-authenticate"].startswith("Bearer")
