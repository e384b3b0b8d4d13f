"""The stand-in as a process of its own, and how it keeps to itself."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from pathlib import Path

from slack_sdk import WebClient

import bot.sandbox
from bot.sandbox import Sandbox


def test_it_prints_the_environment_and_is_driven_from_another_process() -> None:
    command = [sys.executable, "-m", "bot.sandbox", "--no-rate-limits"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        env = dict(process.stdout.readline().strip().split("=", 1) for _ in range(4))
        client = WebClient(env["SLACK_BOT_TOKEN"], base_url=env["SLACK_API_URL"])
        sandbox = Sandbox(env["SLACK_API_URL"].removesuffix("/api/"))
        ana = sandbox.person("ana")
        client.chat_postMessage(channel=ana.id, text="over the border")
        assert ana.plain(ana.wait_dm()) == "over the border"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 1
    assert set(env) == {"SLACK_API_URL", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"}


def test_it_imports_nothing_of_the_bot() -> None:
    found = set()
    for path in Path(bot.sandbox.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found |= {name for name in names if name.split(".")[0] in {"bot", "storage"}}
    assert all(name.startswith("bot.sandbox") for name in found), found
