"""The demo's environment: what is kept from one run to the next, and the protected page as a
browser meets it."""

from __future__ import annotations

import http.client
import json
import threading
import tomllib
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from slack_sdk import WebClient

from bot.sandbox import Sandbox, running_sandbox
from bot.sandbox.checks import Json
from bot.sandbox.demo_environment import LOCK, DemoFailed, running_demo, with_browser
from bot.sandbox.gateway import Page, guarded_page
from bot.sandbox.seed_data import company, talk
from bot.sandbox.snapshot import restore

ROOT = Path(__file__).parents[2]

HOME = {"type": "home", "blocks": [{"type": "divider"}]}


def test_a_workspace_is_restored_as_it_was(sandbox: Sandbox, client: WebClient) -> None:
    ana = sandbox.person("ana")
    posted = client.chat_postMessage(channel=ana.id, text="kept")
    client.files_upload_v2(channel="D0ANASOUZA", filename="log.csv", content="a,b")
    client.chat_postEphemeral(channel="D0ANASOUZA", user=ana.id, text="psst")
    client.views_publish(user_id=ana.id, view=HOME)
    sandbox.admin.deactivate("U0BENOKAFO")
    kept = json.loads(json.dumps(sandbox.call("kept")))
    workspace = company()
    restore(workspace, kept)
    with running_sandbox(workspace=workspace, rate_limits=False) as again:
        assert sandbox.call("kept") | {"next_number": 0} == again.call("kept") | {"next_number": 0}
        ana = again.person("ana")
        assert [ana.plain(message).strip() for message in ana.dms()] == ["kept", "[file: log.csv]"]
        assert again.inspector.files()[0]["content"] == "a,b"
        assert again.call("directory")["users"]["U0BENOKAFO"]["deleted"]
        client = WebClient(
            again.environment["SLACK_BOT_TOKEN"], base_url=again.environment["SLACK_API_URL"]
        )
        client.chat_update(channel="D0ANASOUZA", ts=posted["ts"], text="and changed")
        before = {item["id"] for item in again.inspector.files()}
        client.files_upload_v2(channel="D0ANASOUZA", filename="more.csv", content="c,d")
        assert len({item["id"] for item in again.inspector.files()} - before) == 1


def test_a_second_demo_in_the_same_checkout_is_refused(tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DemoFailed, match="already runs"), running_demo(tmp_path):
            pass


class Gate(BaseHTTPRequestHandler):
    """Answers as the bot's gate would: one token is good for as long as it is in `good`."""

    good: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        if self.path == "/_access/":
            self.show("You need access to this page")
            return
        cookies = (self.headers.get("Cookie") or "").split("; ")
        token = next((each[7:] for each in cookies if each.startswith("access=")), "")
        self.send_response(200 if token in self.good else 401)
        if token in self.good:
            self.send_header("X-Access-User", "ana@example.com")
            self.send_header("X-Access-Role", "shop-admin")
            self.send_header("X-Access-Expires", "2026-11-22T18:00:00Z")
        else:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def show(self, words: str) -> None:
        self.send_response(401)
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words.encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def shop(tmp_path: Path, sandbox: Sandbox) -> Iterator[Page]:
    """The protected page, whose gate accepts the token `good`; its answers are reported."""
    Gate.good = {"good"}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        auth, told = (
            f"127.0.0.1:{server.server_address[1]}",
            sandbox.base_url.removeprefix("http://"),
        )
        with guarded_page(tmp_path, auth, "shop-admin", told) as page:
            yield page
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def browse(
    shop: Page, path: str, cookie: str = "", **headers: str
) -> tuple[int, dict[str, str], str]:
    """One request of a browser."""
    sent = {**({"Cookie": cookie} if cookie else {}), **headers}
    with closing(http.client.HTTPConnection("127.0.0.1", shop.port, timeout=5)) as line:
        line.request("GET", path, headers=sent)
        answer = line.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read().decode()


def test_the_page_lets_in_with_the_token_and_locks_out_at_the_end(shop: Page) -> None:
    status, _, text = browse(shop, "/")
    assert (status, "You need access" in text) == (401, True)
    status, headers, text = browse(shop, "/", "access=good")
    assert (status, "Orders" in text) == (200, True)
    assert "default-src 'none'" in headers["content-security-policy"]
    status, headers, text = browse(shop, "/orders.json", "other=1; access=good")
    assert (status, json.loads(text)[0]["order"]) == (200, "4711")
    assert (headers["x-access-user"], headers["x-access-role"]) == ("ana@example.com", "shop-admin")
    Gate.good = set()
    for path in ("/", "/orders.json", "/hello"):
        assert browse(shop, path, "access=good")[0] == 401, path


def test_the_workspace_hears_whom_the_gate_let_in_and_kept_out_and_never_the_token(
    shop: Page, sandbox: Sandbox
) -> None:
    heard: list[Json] = []

    def gate() -> Json:
        with closing(
            http.client.HTTPConnection(sandbox.base_url.removeprefix("http://"), timeout=5)
        ) as line:
            line.request("GET", "/page/begin?as=ana")
            found: Json = json.loads(line.getresponse().read())["result"]["gate"]
        heard.append(found)
        return {name: found.get(name) for name in ("open", "who")}

    browse(shop, "/orders.json", "access=good")
    sandbox.wait_for(lambda: gate() == {"open": True, "who": "U0ANASOUZA"})
    before = heard[-1]["at"]
    browse(shop, "/orders.json", "access=good")
    browse(shop, "/hello", "access=good")
    assert gate() and heard[-1]["at"] == before, "the same answer again is no news"
    Gate.good = set()
    browse(shop, "/", "access=good")
    sandbox.wait_for(lambda: gate() == {"open": False, "who": ""})
    assert "good" not in json.dumps(heard)


def test_a_workspace_where_somebody_has_talked_already_reads_like_one(sandbox: Sandbox) -> None:
    workspace = company()
    talk(workspace)
    with running_sandbox(workspace=workspace, rate_limits=False) as lively:
        said = [lively.person("dev").plain(one) for one in lively.person("dev").messages("#shop")]
        assert any("SHOP-12" in text and "@dev" in text for text in said)
    assert sandbox.person("dev").messages("#shop") == []


@pytest.mark.parametrize(
    "path", ["/orders.html", "/shop/orders.json", "/shop/../orders.json", "/shop/orders.html"]
)
def test_no_way_leads_around_the_gate(shop: Page, path: str) -> None:
    status, _, text = browse(shop, path)
    assert status in (401, 403, 404)
    assert "4711" not in text
    assert browse(shop, "/shop/orders.js")[0] == 200


def test_another_host_name_opens_nothing(shop: Page) -> None:
    assert browse(shop, "/", "access=good", Host="evil.example")[0] == 403


def test_the_protected_page_takes_browsers_in_the_demo_and_keeps_what_roles_toml_says() -> None:
    text = (ROOT / "roles.toml").read_text()
    changed = with_browser(text)
    table = tomllib.loads(changed)["systems"]["shop-admin"]
    assert (table["browser"], table["url"]) == (True, "${SHOP_ADMIN_URL}")
    assert with_browser(changed) == changed
    assert with_browser("[systems.other]\n") == "[systems.other]\n"
