"""The sandbox as a process of its own, and that it imports nothing of the bot."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
import urllib.request
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from slack_sdk import WebClient

import bot.sandbox
from bot.sandbox import Sandbox, running_sandbox


def test_the_sandbox_prints_the_environment_and_another_process_controls_it() -> None:
    command = [sys.executable, "-m", "bot.sandbox", "--no-rate-limits"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=listen_to_interrupts
    ) as process:
        assert process.stdout is not None
        env = dict(process.stdout.readline().strip().split("=", 1) for _ in range(4))
        client = WebClient(env["SLACK_BOT_TOKEN"], base_url=env["SLACK_API_URL"])
        sandbox = Sandbox(env["SLACK_API_URL"].removesuffix("/api/"))
        ana = sandbox.person("ana")
        client.chat_postMessage(channel=ana.id, text="over the border")
        assert ana.plain(ana.wait_dm()) == "over the border"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 1
    assert set(env) == {
        "SLACK_API_URL",
        "SLACK_BOT_TOKEN",
        "SLACK_APP_TOKEN",
        "SLACK_SIGNING_SECRET",
    }


def test_the_command_runs_it_with_the_bot_s_own_manifest_and_a_page() -> None:
    command = [sys.executable, "-m", "bot", "sandbox"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=listen_to_interrupts
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(5)]
        address = lines[4].removeprefix("# The page: ")
        with urllib.request.urlopen(f"{address}page/begin?as=ana", timeout=10) as answer:
            app = json.load(answer)["result"]["app"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert [one["command"] for one in app["commands"]] == ["/access"]
    assert not app["connected"]


def listen_to_interrupts() -> None:
    """A shell that runs the tests in the background may have switched interrupts off."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_the_sandbox_imports_nothing_of_the_bot() -> None:
    found = set()
    for path in Path(bot.sandbox.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {name for name in names if name.split(".")[0] in {"bot", "storage"}}
    assert all(name.startswith("bot.sandbox") for name in found), found


def test_a_window_that_is_open_at_the_end_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    with ExitStack() as outliving:
        with running_sandbox() as sandbox:
            line = outliving.enter_context(
                closing(HTTPConnection(urlsplit(sandbox.base_url).netloc, timeout=10))
            )
            line.request("GET", "/page/events?as=ana")
            answer = line.getresponse()
            sandbox.wait_for(lambda: sandbox.inspector.viewers() == 1)
        assert b"start_over" in answer.read()
    assert not caplog.records
