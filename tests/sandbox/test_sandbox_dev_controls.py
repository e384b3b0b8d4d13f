"""The developer controls of the page: the clock that the app follows, faults on buttons, the app
killed and started."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.sandbox import Sandbox, running_sandbox
from bot.sandbox.checks import Json
from bot.sandbox.demo_environment import running_demo
from bot.sandbox.http_client import SandboxError
from bot.sandbox.process import DEAD, RUNNING, Bot
from bot.sandbox.server import PortTaken, loopback
from tests.bot_environment import MODES, ROLE_SECRETS
from tests.sandbox.conftest import bot_client
from tests.sandbox.test_sandbox_page import Window

ROOT = Path(__file__).parents[2]
DM = {"channel": "U0ANASOUZA", "text": "hello"}


@dataclass
class App:
    """An app of another program; it remembers the calls that control it."""

    state: str = "running"
    ahead: list[float] = field(default_factory=list)
    broken: str = ""

    def kill(self) -> None:
        self.state = "dead"

    def start(self) -> None:
        if self.broken:
            raise RuntimeError(self.broken)
        self.state = "running"

    def follow(self, ahead: float) -> None:
        self.ahead.append(ahead)

    def coming(self) -> Json | None:
        return {
            "now": 1,
            "reminder": None,
            "end": {"at": 2, "person": "U0ANASOUZA", "role": "shop-admin"},
        }


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def staged(app: App) -> Iterator[Sandbox]:
    """A workspace that controls its app."""
    with running_sandbox(rate_limits=False, app_process=app) as running:
        yield running


@pytest.fixture
def ana(staged: Sandbox) -> Window:
    return Window(staged, "ana")


def fails(client: WebClient, method: str = "chat.postMessage", **args: str) -> int:
    """The status of a refused call; 0 if it is not refused."""
    try:
        client.api_call(method, params={**DM, **args})
    except SlackApiError as error:
        return int(error.response.status_code)
    return 0


class TestTheClock:
    def test_the_clock_moves_ahead_and_the_app_follows(
        self, ana: Window, app: App, staged: Sandbox
    ) -> None:
        before = staged.call("info")["now"]
        ana.do("jump", by=900)
        assert 900 <= staged.call("info")["now"] - before < 905
        tools = ana.do("jump", to=before + 3600)
        assert app.ahead[0] == 900
        assert app.ahead[1] == tools["ahead"] == ana.look("begin")["tools"]["ahead"]
        assert 0 <= staged.call("info")["now"] - before - 3600 < 5

    @pytest.mark.parametrize(
        "asked", [{"by": 0}, {"by": -900}, {"to": 1000.0}, {"by": 1e9}, {"by": "nan"}]
    )
    def test_the_clock_never_goes_back_nor_too_far_ahead(
        self, asked: Json, ana: Window, app: App, staged: Sandbox
    ) -> None:
        with pytest.raises(SandboxError, match="not_ahead"):
            ana.do("jump", **asked)
        assert (app.ahead, staged.call("kept")["clock_offset"]) == ([], 0.0)

    def test_messages_have_the_time_of_the_workspace(self, ana: Window, staged: Sandbox) -> None:
        ana.do("jump", by=7200)
        posted = bot_client(staged).chat_postMessage(**DM)
        assert float(posted["ts"]) - time.time() > 7000

    def test_the_app_says_what_is_due_next(self, ana: Window) -> None:
        assert ana.do("coming")["coming"]["end"] == {
            "at": 2,
            "person": "U0ANASOUZA",
            "role": "shop-admin",
        }

    def test_an_app_of_another_program_cannot_follow_the_clock(self, sandbox: Sandbox) -> None:
        window = Window(sandbox, "ana")
        assert window.look("begin")["tools"]["app"] is None
        for verb, asked in {
            "jump": {"by": 60},
            "coming": {},
            "kill_app": {},
            "start_app": {},
        }.items():
            with pytest.raises(SandboxError, match="not_ours"):
                window.do(verb, **asked)
        assert sandbox.call("kept")["clock_offset"] == 0


class TestTrouble:
    @pytest.mark.parametrize(("kind", "status"), [("down", 503), ("limited", 429)])
    def test_refused_calls_are_counted_and_later_deliveries_are_reported(
        self, kind: str, status: int, sandbox: Sandbox
    ) -> None:
        window, client = Window(sandbox, "ana"), bot_client(sandbox)
        window.do("make_trouble", kind=kind)
        assert [fails(client), fails(client), fails(client, channel="C0GENERAL")] == [
            status,
            status,
            status,
        ]
        (trouble,) = window.look("begin")["tools"]["troubles"]
        assert (trouble["kind"], trouble["refused"], trouble["ended"]) == (kind, 3, None)
        assert [
            (one["what"], one["about"], one["tries"], one["done"]) for one in trouble["missed"]
        ] == [
            ("chat.postMessage", "@ana", 2, False),
            ("chat.postMessage", "#general", 1, False),
        ]
        window.do("end_trouble")
        assert fails(client) == 0
        (trouble,) = window.look("begin")["tools"]["troubles"]
        assert trouble["ended"] and trouble["refused"] == 3
        assert [one["done"] for one in trouble["missed"]] == [True, False]
        window.do("forget_trouble", kind=kind)
        assert window.look("begin")["tools"]["troubles"] == []

    def test_slow_answers_are_late_and_nothing_is_refused(self, sandbox: Sandbox) -> None:
        window, client = Window(sandbox, "ana"), bot_client(sandbox)
        window.do("make_trouble", kind="slow")
        began = time.monotonic()
        assert fails(client) == 0
        assert time.monotonic() - began >= 1.5
        (trouble,) = window.do("end_trouble")["troubles"]
        assert (trouble["calls"], trouble["refused"], trouble["slowest"] >= 1.5) == (1, 0, True)

    def test_one_fault_replaces_another(self, sandbox: Sandbox) -> None:
        window, client = Window(sandbox, "ana"), bot_client(sandbox)
        window.do("make_trouble", kind="down")
        window.do("make_trouble", kind="limited")
        assert fails(client) == 429
        (trouble,) = window.do("end_trouble")["troubles"]
        assert (trouble["kind"], fails(client)) == ("limited", 0)

    def test_a_payload_that_cannot_be_repeated_later_is_marked(self, sandbox: Sandbox) -> None:
        window, client = Window(sandbox, "ana"), bot_client(sandbox)
        window.do("make_trouble", kind="down")
        fails(client, "views.open", trigger_id="1", view="{}")
        (trouble,) = window.look("begin")["tools"]["troubles"]
        assert [(one["what"], one["once"]) for one in trouble["missed"]] == [("views.open", True)]

    def test_an_unknown_kind_of_fault_is_refused(self, sandbox: Sandbox) -> None:
        with pytest.raises(SandboxError, match="bad_request"):
            Window(sandbox, "ana").do("make_trouble", kind="fire")


class TestTheApp:
    def test_the_app_is_killed_and_started_and_undelivered_payloads_are_counted(
        self, ana: Window, app: App, staged: Sandbox
    ) -> None:
        assert ana.do("kill_app")["app"] == "dead" == app.state
        staged.person("ben").command("/access", "list")
        tools = ana.look("begin")["tools"]
        assert [(one["kind"], one["payloads"], one["ended"]) for one in tools["troubles"]] == [
            ("killed", 1, None)
        ]
        tools = ana.do("start_app")
        assert (tools["app"], app.state) == ("running", "running")
        assert tools["troubles"][0]["ended"]

    def test_the_reason_of_a_failed_start_is_shown(self, ana: Window, app: App) -> None:
        ana.do("kill_app")
        app.broken = "exit code 2"
        with pytest.raises(SandboxError, match="did_not_start exit code 2"):
            ana.do("start_app")
        assert ana.look("begin")["tools"]["troubles"][0]["ended"] is None

    def test_no_control_works_while_the_lifecycle_is_played(
        self, ana: Window, app: App, staged: Sandbox
    ) -> None:
        staged.admin.close_tools("It is being played.")
        for verb, asked in {
            "jump": {"by": 60},
            "kill_app": {},
            "make_trouble": {"kind": "down"},
        }.items():
            with pytest.raises(SandboxError, match="not_now It is being played"):
                ana.do(verb, **asked)
        assert ana.look("begin")["tools"]["closed"] == "It is being played."
        staged.admin.close_tools()
        ana.do("jump", by=60)
        assert (app.ahead, app.state) == ([60], "running")


def test_every_window_is_notified(ana: Window, staged: Sandbox) -> None:
    ben = Window(staged, "ben")
    with ben.listening(ben.look("begin")["last"]) as heard:
        ana.do("jump", by=900)
        assert heard()[2]["tools"]["ahead"] == 900
        ana.do("make_trouble", kind="down")
        assert heard()[2]["tools"]["troubles"][0]["kind"] == "down"


def test_only_the_page_may_use_the_controls(ana: Window, app: App) -> None:
    status, _, _ = ana.ask(
        "POST", "/page/do/kill_app?as=ana", "{}", **{"Content-Type": "application/json"}
    )
    assert (status, app.state) == (403, "running")


# --- the processes


LEAD = """
import sys, time
from pathlib import Path
from bot.sandbox.demo_environment import running_demo
with running_demo(Path(sys.argv[1])) as on:
    print(on.bot.process.pid, on.bot.address, on.page.address, flush=True)
    time.sleep(60)
"""


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_nothing_of_a_demo_that_was_killed_outlives_it(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-c", LEAD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with demo:
        assert demo.stdout is not None
        pid, bot, page = demo.stdout.readline().split()
        ports = [int(bot.rpartition(":")[2]), int(page.strip("/").rpartition(":")[2])]
        assert all(map(listens, ports))
        demo.send_signal(signal.SIGKILL)
    until = time.monotonic() + 15
    while any(map(listens, ports)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(listens, ports))
    while time.monotonic() < until:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("the bot is still there")


def test_a_demo_that_was_left_at_a_later_time_continues_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot, the workspace and the protected page have one time, even if the demo was stopped
    right after a jump."""
    monkeypatch.chdir(ROOT)
    with running_demo(tmp_path) as on:
        Window(on.sandbox, "ana").do("jump", by=7200)
    with running_demo(tmp_path) as on:
        said = on.bot.coming()
        with urllib.request.urlopen(f"{on.page.address}shop/clock", timeout=10) as answer:
            shown = json.load(answer)["now"]
        workspace = on.sandbox.call("info")["now"]
    assert said is not None
    assert 7190 < workspace - time.time() <= 7200
    assert abs(said["now"] - workspace) < 10 > abs(shown - workspace)


def test_the_bot_of_the_demo_has_the_environment_of_the_readme_and_nothing_of_the_checkouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "roles.toml").write_text((ROOT / "roles.toml").read_text())
    (tmp_path / ".env").write_text(
        "SLACK_BOT_TOKEN=of another app\nDATABASE_URL=postgresql://somebody/else\n"
    )
    monkeypatch.setenv("SLACK_SIGNING_SECRET", "of another app")
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    with running_demo(home) as on:
        machine, stand_in = {"PATH", "HOME"}, {"SLACK_API_URL", "HOST", "PORT", "SHOP_ADMIN_URL"}
        assert set(on.bot.environment) == {*MODES["socket"], *ROLE_SECRETS, *machine, *stand_in}
        assert on.bot.command("audit", "verify").returncode == 0
        assert (home / "access.db").exists()


def test_a_port_in_use_is_reported_with_the_fix(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"127\.0\.0\.1:{port} .*--port"):
            loopback(port)
        said = subprocess.run(
            [sys.executable, "-m", "bot", "sandbox", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert (said.returncode, "Traceback" in said.stderr, f"--port {port + 1}" in said.stderr) == (
        2,
        False,
        True,
    )


def test_an_answer_in_two_parts_is_not_delayed_by_nagle_s_algorithm() -> None:
    """asyncio switches Nagle's algorithm off only for sockets that are marked as TCP; otherwise
    every answer takes 40 ms."""
    with loopback(0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


FAKE = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass

Thread(target=HTTPServer(("127.0.0.1", PORT), Ready).serve_forever, daemon=True).start()
for number, line in enumerate(sys.stdin):
    if number:
        print(json.dumps({"now": json.loads(line)["ahead"]}), flush=True)
"""


def test_a_killed_bot_starts_again_at_the_time_of_the_workspace(tmp_path: Path) -> None:
    """A small program replaces the bot, so that only the process and its input are tested."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "bot" / "cli").mkdir(parents=True)
    (tmp_path / "bot" / "__init__.py").touch()
    (tmp_path / "bot" / "cli" / "__init__.py").touch()
    (tmp_path / "bot" / "cli" / "demo_bot.py").write_text(FAKE.replace("PORT", str(port)))
    bot = Bot({"PYTHONPATH": str(tmp_path), "PORT": str(port)}, tmp_path / "log", ahead=10.0)
    try:
        bot.start()
        assert (bot.state, bot.coming()) == (RUNNING, {"now": 10.0})
        bot.follow(3600.0)
        assert bot.coming() == {"now": 3600.0}
        bot.kill()
        assert (bot.state, bot.coming()) == (DEAD, {"now": 3600.0, "stale": True})
        bot.follow(7200.0)
        bot.start()
        assert json.dumps(bot.coming()) == '{"now": 7200.0}'
        bot.start()
    finally:
        bot.stop()
    assert bot.state == DEAD
