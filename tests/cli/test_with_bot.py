"""The commands while `access-bot run` works on the same database, and how that process starts and
stops."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from bot.sandbox import Sandbox, running_sandbox
from tests.bot_environment import bot_environment
from tests.builders import policy_text
from tests.cli.conftest import run, run_process


@pytest.fixture
def sandbox(configured: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with running_sandbox(rate_limits=False) as running:
        for name, value in bot_environment(running.environment).items():
            monkeypatch.setenv(name, value)
        yield running


@contextmanager
def bot(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended at the end of the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", *words], stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_run_makes_its_database_and_stops_cleanly_on_a_signal(
    sandbox: Sandbox, number: signal.Signals
) -> None:
    with bot("run") as process:
        sandbox.wait_connected()
        process.send_signal(number)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert Path("access.db").exists()
    assert "Traceback" not in log and " ERROR " not in log


def test_a_request_made_in_slack_is_decided_and_ended_on_the_command_line(sandbox: Sandbox) -> None:
    ana = sandbox.person("ana")
    with bot("run"):
        sandbox.wait_connected()
        sandbox.wait_for(lambda: sandbox.inspector.calls("users.list"))
        ana.command("/access", "request shop-admin 1h refund order 7")
        sandbox.wait_for(lambda: sandbox.inspector.messages("#access-approvals"))
        (request,) = re.findall(r"^r\w{11}", run("requests", "list").stdout, re.M)
        approved = run("requests", "approve", request, "--yes")
        assert " is active until " in approved.stdout
        ana.wait_dm("Show credentials")
        panicked = run("panic", "--user", "ana@example.com", "--yes")
        assert "it ended 1 grant." in panicked.stdout and "not confirmed" not in panicked.stdout
        ana.wait_dm("has ended")
        sandbox.wait_for(lambda: sandbox.inspector.messages("#access-security"))
        assert run("grants", "list").stdout == "No grants.\n"
        assert run("audit", "verify").exit_code == 0


CUSTOMER = """actions = ["customer:{customer}"]
[roles.shop-admin.parameters]
customer = "^[0-9]{1,8}$"
"""


def test_a_program_asks_with_a_parameter_and_waits_for_a_press_in_slack(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner was not looked up lately, so Slack confirms them before anybody is asked."""
    Path("roles.toml").write_text(policy_text(shop_admin=CUSTOMER))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("PORT", str(port))
    ben = sandbox.person("ben")
    with bot("run"), httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
        sandbox.wait_connected()
        sandbox.wait_for(lambda: sandbox.inspector.calls("users.list"))
        owner = ("--owner", "ana@example.com", "--roles", "shop-admin", "--name", "ci")
        secret = run("api-tokens", "new", *owner).stdout.strip()
        client.headers["Authorization"] = f"Bearer {secret}"
        body = {"role": "shop-admin", "reason": "order 7", "parameters": {"customer": "4711"}}
        made = client.post("/requests", json=body)
        assert made.status_code == 201, made.text
        where = f"/requests/{made.json()['id']}"
        card = ben.wait_message("#access-approvals", "customer 4711 for 1h through the program ci")
        assert client.get(where).json()["state"] == "pending"
        ben.click(card, "Approve")
        sandbox.wait_for(lambda: (client.get(where).json()["grant"] or {}).get("state") == "active")
        sandbox.person("ana").wait_dm("The program ci asked for")
        assert run("audit", "verify").exit_code == 0


@pytest.mark.parametrize("verb", ["web", "worker"])
def test_web_and_worker_refuse_a_schema_that_is_behind(verb: str, sandbox: Sandbox) -> None:
    shown = run_process(verb)
    assert (shown.returncode, "Traceback" in shown.stderr) == (2, False)
    assert shown.stderr.splitlines()[-1].endswith("run `access-bot migrate` first")


def test_a_port_that_is_taken_is_one_clear_line(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        shown = run_process("run", env={**os.environ, "PORT": str(taken.getsockname()[1])})
    assert shown.returncode == 2
    assert "Traceback" not in shown.stderr
    assert "PORT" in shown.stderr.splitlines()[-1]
