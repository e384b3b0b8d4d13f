"""A browser gets in with a one-time code from Slack: `/_access/` and the cookie at `/auth`, and the
attacks on both."""

from __future__ import annotations

import asyncio
import json
import re
from hashlib import sha256
from urllib.parse import parse_qs, unquote, urlsplit

import httpx2
import pytest
from starlette.types import Message, Scope

from bot.core.approval import Refused
from bot.core.model import Grant
from bot.operations.audit.verify_audit import verdict_text
from bot.operations.browser.open_session import BrowserSession, open_session
from bot.operations.grants.release_grant import release_grant
from bot.operations.grants.renew_grant import Renewed, renew_grant
from bot.operations.grants.revoke_grant import revoke_grant
from bot.operations.grants.show_credentials import (
    Credentials,
    discard_credentials,
    show_credentials,
)
from bot.operations.process.forget_old import MONTH, forget_old
from bot.operations.remembered import remember
from bot.web.browser_requests import SessionCookie, is_at, is_same_origin, session_cookie
from storage import usage
from tests.builders import SHOP_URL, browser_systems
from tests.concurrency import together
from tests.factories import ANA, BEN, LEA, START
from tests.web.conftest import Site

NAME = "__Host-access"


@pytest.fixture
def door(site: Site) -> Site:
    site.made.set_policy(systems=browser_systems())
    return site


@pytest.fixture
def stored(either: Site) -> Site:
    """The same on each of the databases."""
    either.made.set_policy(systems=browser_systems())
    return either


def a_code(site: Site, grant: Grant, system: str = "shop-admin") -> str:
    """The code in the link that the holder sees."""
    shown = show_credentials(site.made.world, grant.id, grant.person)
    assert isinstance(shown, Credentials), shown
    link = urlsplit(shown.links[system])
    assert link.path == "/_access/open"
    return parse_qs(link.query)["code"][0]


def at(system: str = "shop-admin", host: str = "", **more: str) -> dict[str, str]:
    """The headers of a request that the proxy of that system hands on."""
    place = host or {"shop-admin": "shop.example.com", "reports": "reports.example.com"}[system]
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {"X-Access-System": system, "Host": place, "Accept": "text/html", **named}


def press(site: Site, code: str, system: str = "shop-admin", **more: str) -> httpx2.Response:
    """The holder presses Continue."""
    headers = at(system, **{"Sec_Fetch_Site": "same-origin", **more})
    return site.call("POST", "/_access/open", headers=headers, data={"code": code})


def a_cookie(site: Site, grant: Grant, system: str = "shop-admin") -> str:
    """The value of the cookie that the holder's browser got."""
    answer = press(site, a_code(site, grant, system), system)
    assert answer.status_code == 303, answer.text
    found = re.match(rf"{NAME}=([^;]+); ", answer.headers["set-cookie"])
    assert found
    return found.group(1)


def visit(
    site: Site, cookie: str, system: str = "shop-admin", method: str = "GET", **more: str
) -> httpx2.Response:
    """The proxy asks about a request of a browser with this cookie."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    sent = {"Cookie": f"{NAME}={cookie}", "X-Forwarded-Method": method, **named}
    return site.auth(system=system, **sent)


def why_refused(site: Site) -> list[str]:
    return [
        json.loads(detail)["why"] for (detail,) in site.made.log("grant:browser:refused", "detail")
    ]


def test_a_code_becomes_a_cookie_that_opens_the_page(door: Site) -> None:
    grant = door.made.a_grant()
    code = a_code(door, grant)
    asked = door.call("GET", f"/_access/open?code={code}", headers=at())
    assert asked.status_code == 200 and "Continue" in asked.text and code in asked.text
    answer = press(door, code)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{SHOP_URL}/")
    cookie, rest = answer.headers["set-cookie"].split("; ", 1)
    lasts = grant.latest_end - door.made.clock.at
    assert rest == f"Path=/; Max-Age={lasts}; HttpOnly; SameSite=Lax; Secure"
    opened = visit(door, cookie.removeprefix(f"{NAME}="))
    assert opened.status_code == 200 and opened.headers["x-access-grant"] == grant.id
    assert opened.headers["cache-control"] == "no-store"
    ((actor, detail),) = door.made.log("grant:browser:opened", "actor, detail")
    assert actor == ANA and code not in detail and cookie not in detail
    assert code not in str(door.made.rows("SELECT * FROM browser_codes"))
    assert cookie.removeprefix(f"{NAME}=") not in str(
        door.made.rows("SELECT * FROM browser_sessions")
    )


def test_use_is_counted_as_that_of_a_browser(door: Site) -> None:
    grant = door.made.a_grant()
    visit(door, a_cookie(door, grant))
    door.auth(door.made.a_token(grant))
    door.meter.flush()
    with door.made.world.db.reading():
        rows = usage.listing(door.made.world.db, grant.id, 10)
    assert sorted(row.how for row in rows) == ["browser", "token"]
    ((detail,),) = door.made.log("grant:use:first", "detail")
    assert json.loads(detail)["how"] == "browser"


def test_on_this_machine_plain_http_has_a_cookie_without_the_prefix(site: Site) -> None:
    site.made.set_policy(systems=browser_systems("http://127.0.0.1:8080"))
    answer = press(site, a_code(site, site.made.a_grant()), host="127.0.0.1:8080")
    assert answer.headers["set-cookie"].startswith("access=")
    assert "Secure" not in answer.headers["set-cookie"]
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert site.auth(Cookie=cookie, **{"X-Forwarded-Method": "GET"}).status_code == 200


def test_the_cookie_ends_with_the_grant_to_the_second_and_a_renewal_keeps_it(door: Site) -> None:
    made = door.made
    grant = made.a_grant(duration=600)
    cookie = a_cookie(door, grant)
    made.clock.at = grant.ends_at - 1
    assert visit(door, cookie).status_code == 200
    renewed = renew_grant(made.world, grant.id, ANA)
    assert isinstance(renewed, Renewed)
    made.open_gate(grant.id, "shop-admin", renewed.grant.ends_at)
    made.clock.at = renewed.grant.ends_at - 1
    assert visit(door, cookie).status_code == 200
    made.clock.at += 1
    assert visit(door, cookie).status_code == 401


def test_the_cookie_ends_with_a_revocation(door: Site) -> None:
    grant = door.made.a_grant()
    cookie = a_cookie(door, grant)
    revoke_grant(door.made.world, LEA, grant=grant.id)
    assert visit(door, cookie).status_code == 401


def test_opening_another_browser_ends_the_session_in_the_first(door: Site) -> None:
    grant = door.made.a_grant()
    first, second = a_cookie(door, grant), a_cookie(door, grant)
    assert visit(door, first).status_code == 401
    assert visit(door, second).status_code == 200


def test_signing_out_ends_the_session_and_takes_the_cookie_back(door: Site) -> None:
    cookie = a_cookie(door, door.made.a_grant())
    path, sent = "/_access/sign-out", {"Cookie": f"{NAME}={cookie}"}
    crossed = door.call("POST", path, headers=at(**sent, Sec_Fetch_Site="same-site"))
    assert crossed.status_code == 403 and visit(door, cookie).status_code == 200
    assert door.call("GET", path, headers=at(**sent)).status_code == 405
    home = door.call("GET", "/_access/", headers=at(**sent))
    assert home.status_code == 200 and "Sign out" in home.text
    answer = door.call("POST", path, headers=at(**sent, Sec_Fetch_Site="same-origin"))
    assert answer.status_code == 303 and "Max-Age=0" in answer.headers["set-cookie"]
    assert visit(door, cookie).status_code == 401
    assert door.made.events("grant:browser:closed") == 1


def test_an_invented_session_is_found(stored: Site) -> None:
    grant = stored.made.a_grant()
    cookie = a_cookie(stored, grant)
    assert stored.made.verdict().is_intact
    stored.made.forged = True
    made = stored.made.world
    with made.db.transaction():
        made.db.run("UPDATE browser_sessions SET hash = ?", sha256(b"mine").hexdigest())
    assert visit(stored, "mine").status_code == 200 and visit(stored, cookie).status_code == 401
    found = verdict_text(stored.made.verdict())
    assert "browser session" in found and "no record says that it was opened" in found


# --- attacks on the code


def test_a_code_works_once(door: Site) -> None:
    code = a_code(door, door.made.a_grant())
    assert press(door, code).status_code == 303
    for _ in range(2):
        again = press(door, code)
        assert again.status_code == 403 and "used already" in again.text
    assert len(why_refused(door)) == 1, "a code can't fill the log"


def test_of_presses_at_the_same_time_one_gets_in(stored: Site) -> None:
    made = stored.made
    code, found = a_code(stored, made.a_grant()), []

    def one() -> None:
        found.append(open_session(made.world, code, "shop-admin", "192.0.2.7"))

    together(made.world.db, [one] * 4)
    assert sum(isinstance(each, BrowserSession) for each in found) == 1
    assert sum(isinstance(each, Refused) for each in found) == 3


def test_a_code_works_for_a_minute(door: Site) -> None:
    grant = door.made.a_grant()
    early, late = a_code(door, grant), a_code(door, grant)
    door.made.clock.at = START + 59
    assert press(door, early).status_code == 303
    door.made.clock.at = START + 60
    assert press(door, late).status_code == 403


def test_a_code_works_on_its_own_host_only(door: Site) -> None:
    code = a_code(door, door.made.a_grant())
    assert press(door, code, "reports").status_code == 403
    assert press(door, code, host="evil.example.com").status_code == 421
    assert press(door, code).status_code == 303


def test_a_code_of_an_ended_grant_opens_nothing(door: Site) -> None:
    grant = door.made.a_grant()
    code = a_code(door, grant)
    release_grant(door.made.world, grant.id, ANA)
    assert press(door, code).status_code == 403


def test_the_code_of_a_window_that_was_not_shown_opens_nothing(door: Site) -> None:
    grant = door.made.a_grant()
    shown = show_credentials(door.made.world, grant.id, ANA)
    assert isinstance(shown, Credentials)
    discard_credentials(door.made.world, shown)
    code = shown.links["shop-admin"].partition("code=")[2]
    assert press(door, code).status_code == 403


def test_only_the_holder_gets_a_code(door: Site) -> None:
    grant = door.made.a_grant()
    assert isinstance(show_credentials(door.made.world, grant.id, BEN), Refused)
    assert door.made.count("browser_codes") == 0


def test_nobody_is_signed_in_with_a_link_alone(door: Site) -> None:
    """Login CSRF: opening a link, or a form of another site, sets no cookie."""
    code = a_code(door, door.made.a_grant())
    link = door.call("GET", f"/_access/open?code={code}", headers=at(Sec_Fetch_Site="cross-site"))
    assert "set-cookie" not in link.headers
    assert "frame-ancestors 'none'" in link.headers["content-security-policy"]
    for where in ("cross-site", "same-site", "none"):
        assert press(door, code, Sec_Fetch_Site=where).status_code == 403
    headers = at(Origin="https://evil.example.com")
    crossed = door.call("POST", "/_access/open", headers=headers, data={"code": code})
    assert crossed.status_code == 403
    bare = door.call("POST", "/_access/open", headers=at(), data={"code": code})
    assert bare.status_code == 403
    assert press(door, code).status_code == 303, "none of these used the code up"


def test_nobody_is_moved_into_the_access_of_somebody_else(stored: Site) -> None:
    mine = a_cookie(stored, stored.made.a_grant())
    pushed = a_code(stored, stored.made.a_grant(person="U0CARA"))
    refused = press(stored, pushed, Cookie=f"{NAME}={mine}")
    assert refused.status_code == 403 and "sign out" in refused.text
    assert "set-cookie" not in refused.headers and "cara" not in refused.text.lower()
    assert visit(stored, mine).headers["x-access-user"] == "u0ana@example.com"
    tossed = press(stored, pushed, Cookie=f"{NAME}=tossed; {NAME}={mine}")
    assert tossed.status_code == 403 and "two sessions" in tossed.text


def test_the_way_back_is_the_address_of_roles_toml(door: Site) -> None:
    """An open redirect needs a place that the client may name; there is none."""
    code = a_code(door, door.made.a_grant())
    headers = at(Sec_Fetch_Site="same-origin", X_Forwarded_Host="evil.example.com")
    query = "?next=https://evil.example.com&url=//evil.example.com"
    form = {"code": code, "next": "https://evil.example.com"}
    answer = door.call("POST", f"/_access/open{query}", headers=headers, data=form)
    assert answer.headers["location"] == f"{SHOP_URL}/"


# --- attacks on the cookie


def test_the_cookie_of_another_system_opens_nothing(door: Site) -> None:
    cookie = a_cookie(door, door.made.a_grant("reports-read"), "reports")
    assert visit(door, cookie).status_code == 401
    assert visit(door, cookie, "reports").status_code == 200


def test_a_bad_authorization_never_falls_back_to_the_cookie(door: Site) -> None:
    cookie = a_cookie(door, door.made.a_grant())
    for value in ("Bearer junk", "Basic YTpi", ""):
        assert visit(door, cookie, Authorization=value).status_code == 401
    other = door.made.a_grant("reports-read", person="U0CARA")
    header = f"Bearer {door.made.a_token(other)}"
    assert visit(door, cookie, Authorization=header).status_code == 403


def test_a_second_cookie_of_that_name_closes_the_door(door: Site) -> None:
    """A sibling domain can add one in browsers that do not know the prefix."""
    cookie = a_cookie(door, door.made.a_grant())
    for tossed in (f"{NAME}=tossed; {NAME}={cookie}", f"{NAME}={cookie}; {NAME}=tossed"):
        assert visit(door, cookie, Cookie=tossed).status_code == 401


@pytest.mark.parametrize("method", ["POST", "DELETE", "PROPFIND", "get", ""])
def test_another_site_cannot_change_anything(door: Site, method: str) -> None:
    cookie = a_cookie(door, door.made.a_grant())
    assert visit(door, cookie, method=method).status_code == 403
    assert visit(door, cookie, method=method, Sec_Fetch_Site="cross-site").status_code == 403
    assert visit(door, cookie, method=method, Sec_Fetch_Site="same-site").status_code == 403
    assert visit(door, cookie, method=method, Origin="https://evil.example.com").status_code == 403
    assert visit(door, cookie, method=method, Origin=SHOP_URL).status_code == 200
    assert visit(door, cookie, method=method, Sec_Fetch_Site="same-origin").status_code == 200
    disagree = {"Sec_Fetch_Site": "cross-site", "Origin": SHOP_URL}
    assert visit(door, cookie, method=method, **disagree).status_code == 403


def test_a_method_that_the_client_names_too_is_not_believed(door: Site) -> None:
    cookie = a_cookie(door, door.made.a_grant())
    headers = [
        ("X-Access-System", "shop-admin"),
        ("Cookie", f"{NAME}={cookie}"),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Method", "POST"),
    ]
    assert door.call("GET", "/auth", headers=headers).status_code == 403
    below = {"X-Access-System": "shop-admin", "Cookie": f"{NAME}={cookie}"}
    forged = {**below, "X-Forwarded-Method": "GET"}
    assert door.call("POST", "/auth/orders", headers=forged).status_code == 403
    assert door.call("GET", "/auth/orders", headers=below).status_code == 200


def test_another_site_cannot_open_a_websocket(door: Site) -> None:
    cookie = a_cookie(door, door.made.a_grant())
    socket = {"Sec_Fetch_Mode": "websocket"}
    assert visit(door, cookie, Sec_Fetch_Site="same-site", **socket).status_code == 403
    assert visit(door, cookie, Sec_Fetch_Site="same-origin", **socket).status_code == 200
    # Browsers of before 2023 name no mode, and send Origin.
    assert visit(door, cookie, Origin="https://evil.example.com").status_code == 403
    assert visit(door, cookie, Origin=SHOP_URL).status_code == 200


def test_the_page_behind_does_not_receive_the_cookie(door: Site) -> None:
    grant = door.made.a_grant()
    cookie = a_cookie(door, grant)
    mixed = {"Cookie": f"theme=dark; {NAME}={cookie};x{NAME}=1"}
    assert visit(door, cookie, **mixed).headers["cookie"] == f"theme=dark; x{NAME}=1"
    token = door.made.a_token(grant)
    assert door.auth(token, **mixed).headers["cookie"] == f"theme=dark; x{NAME}=1"
    assert door.auth(token, Cookie=f"{NAME}={cookie}").headers["cookie"] == ""


def test_cookies_are_read_as_browsers_write_them() -> None:
    def read(*cookies: str, name: str = NAME) -> SessionCookie:
        headers = [(b"cookie", each.encode("latin-1")) for each in cookies]
        return session_cookie({"headers": headers}, name)

    assert read("a=1; __Host-access=s; b=2") == (("s",), "a=1; b=2")
    assert read("a=1", "__Host-access=s") == (("s",), "a=1")
    for other in ("\xa0__Host-access=s", "\t__Host-access=s", "__Host-access =s"):
        assert read(other).secrets == ()
    assert read("__host-access=s; __Host-access").secrets == ()
    assert read("access=1", name="").others == "access=1"


def test_an_origin_is_compared_as_a_whole() -> None:
    def from_(name: str, value: str) -> Scope:
        return {"headers": [(name.encode(), value.encode())]}

    assert is_same_origin(from_("origin", "https://shop.example.com:443"), SHOP_URL)
    for other in ("null", "", "http://shop.example.com", f"{SHOP_URL}.evil.com", f"{SHOP_URL}:444"):
        assert not is_same_origin(from_("origin", other), SHOP_URL)
    for address in ("https://shop_1.example.com", "https://*.example.com"):
        assert not is_same_origin(from_("origin", "null"), address)
        assert not is_at(from_("host", "*.evil.com"), address)
    assert is_at(from_("host", "shop_1.example.com"), "https://shop_1.example.com")
    assert is_at(from_("host", "Shop.example.com:443"), SHOP_URL)
    for other in ("shop.example.com:80", "shop.example.com@evil.com", "shop.example.com/x"):
        assert not is_at(from_("host", other), SHOP_URL)


# --- the pages


async def status_of(site: Site, path: str) -> int:
    """The status of exactly this path, which a client's library would shorten; decoded as uvicorn
    does it."""
    headers = [(name.encode(), value.encode()) for name, value in at().items()]
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(path),
        "query_string": b"",
        "raw_path": path.encode(),
        "root_path": "",
        "client": None,
        "server": None,
        "headers": [(name.lower(), value) for name, value in headers],
    }
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    await site.app(scope, receive, send)
    return int(sent[0]["status"])


def test_no_other_spelling_of_the_path_leads_anywhere(door: Site) -> None:
    async def every() -> list[int]:
        return [await status_of(door, path) for path in SPELLINGS]

    assert asyncio.run(every()) == [404] * len(SPELLINGS)
    assert asyncio.run(status_of(door, "/_access/")) == 401


SPELLINGS = (
    "/_access",
    "//_access/",
    "/_access//",
    "/x/../_access/",
    "/_access/../metrics",
    "/_access/%2e%2e/metrics",
    "/_access/..%2fmetrics",
    "/_access/%6fpen/",
    "/_access/open/../../auth",
)


def test_a_browser_without_access_gets_the_way_into_slack(door: Site) -> None:
    made = door.made
    remember(made.world, {"slack team": "T1", "slack app": "A1"})
    made.a_grant()
    for answer in (
        door.call("GET", "/_access/", headers=at()),
        door.auth(Accept="text/html"),
        visit(door, "junk", Accept="text/html"),
    ):
        assert answer.status_code == 401 and "shop-admin" in answer.text
        assert "slack://app?team=T1&amp;id=A1&amp;tab=home" in answer.text
        assert "https://slack.com/app_redirect?app=A1&amp;team=T1" in answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "<script" not in answer.text and "unsafe" not in policy
        told = answer.text.lower()
        assert not any(word in told for word in ("u0ana", "u0ben", "db-leads", "refund"))
    program = door.auth()
    assert program.headers["content-type"].startswith("text/plain")
    assert program.headers["www-authenticate"] == 'Bearer realm="access"'


def test_a_hostile_code_is_not_drawn(door: Site) -> None:
    query = "code=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"
    answer = door.call("GET", f"/_access/open?{query}", headers=at())
    assert answer.status_code == 400 and "script" not in answer.text


def test_a_system_without_browsers_has_no_pages_and_takes_no_cookie(door: Site) -> None:
    grant = door.made.a_grant()
    cookie, token = a_cookie(door, grant), door.made.a_token(grant)
    door.made.set_policy()
    assert visit(door, cookie).status_code == 401
    assert door.call("GET", "/_access/open", headers=at()).status_code == 404
    home = door.call("GET", "/_access/", headers=at())
    assert home.status_code == 401 and "Bearer" in home.text
    assert door.auth(token, Cookie="access=1").headers["cookie"] == "access=1"


def test_old_codes_and_sessions_are_forgotten(door: Site) -> None:
    grant = door.made.a_grant()
    a_cookie(door, grant)
    door.made.clock.at = grant.latest_end + MONTH + 1
    forget_old(door.made.world)
    assert door.made.count("browser_codes") == door.made.count("browser_sessions") == 0
