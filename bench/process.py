"""P17 and P18: the process itself. Its start is compared with the imports that it needs, its idle
hours with a loop that wakes once a second."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from bench.bots import Bot, a_bot
from bench.measure import Line, Scale, Spent, cpu_of, interleave, memory_of, middle, ms, paired
from bench.place import ROOT, a_place
from bot.sandbox import running_sandbox
from tests.waiting import until

IMPORTS = (
    "import slack_bolt, slack_bolt.adapter.socket_mode, peewee, playhouse.migrations,"
    " playhouse.pool, uvicorn, starlette.applications"
)
LIBRARIES = (
    f"{IMPORTS}; import apscheduler.schedulers.background, prometheus_client, itsdangerous, click,"
    " httptools; from pydantic import BaseModel, BeforeValidator, ConfigDict, Field,"
    " ValidationError"
)
IMPORTS_NOTE = "peewee imports PostgreSQL's driver wherever it is installed, so it is in every leg"
LIBRARIES_NOTE = (
    "pydantic reads roles.toml, APScheduler is the clock, prometheus-client counts: none comes"
    " later"
)
POLL = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1])
while True:
    connection.execute("SELECT MIN(due_at) FROM outbox").fetchone()
    time.sleep(1)
"""


def starting(scale: Scale) -> Iterator[Line]:
    """P17"""
    with ExitStack() as stack:
        place = stack.enter_context(a_place())
        sandbox = stack.enter_context(running_sandbox(rate_limits=False))
        env = place.env | sandbox.environment
        rounds = scale.rounds * 2 - 1

        def start() -> Spent:
            with a_bot("run", env, place.folder) as bot:
                until(bot.is_ready, every=0.005)
                return Spent(time.monotonic() - bot.started, cpu_of(bot.pid))

        found = interleave(
            rounds,
            {
                "ready": start,
                "imports": lambda: _ran([sys.executable, "-c", IMPORTS], env),
                "libraries": lambda: _ran([sys.executable, "-c", LIBRARIES], env),
                "help": lambda: _ran([sys.executable, "-m", "bot", "--help"], env),
                "python": lambda: _ran([sys.executable, "-c", "pass"], env),
            },
        )
    value = paired(found, "ready", "imports", lambda s: s.wall)
    what = "start to ready, Slack's socket included"
    yield Line(what, _took(found["ready"]), _took(found["imports"]), value, 1.5, note=IMPORTS_NOTE)
    value = paired(found, "ready", "libraries", lambda s: s.wall)
    what = "the same against importing every library it uses"
    yield Line(
        what, _took(found["ready"]), _took(found["libraries"]), value, 1.5, note=LIBRARIES_NOTE
    )
    took = middle(found["help"], lambda s: s.wall)
    yield Line(
        "--help", _took(found["help"]), "Python: " + _took(found["python"]), took, 0.15, unit="s"
    )


def _took(spent: list[Spent]) -> str:
    return f"{ms(middle(spent, lambda s: s.wall))} · CPU {ms(middle(spent, lambda s: s.cpu))}"


def _ran(command: list[str], env: Mapping[str, str]) -> Spent:
    began, before = time.monotonic(), os.times()
    subprocess.run(command, env=dict(env), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.monotonic() - began, os.times()
    used = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    return Spent(wall, used)


def idle(scale: Scale) -> Iterator[Line]:
    """P18"""
    with ExitStack() as stack:
        place = stack.enter_context(a_place())
        place.company(10)
        sandbox = stack.enter_context(running_sandbox(rate_limits=False))
        bot: Bot = stack.enter_context(a_bot("run", place.env | sandbox.environment, place.folder))
        poll = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", POLL, str(place.folder / "access.db")])
        )
        stack.callback(poll.terminate)
        until(bot.is_ready)
        until(lambda: not place.rows("SELECT id FROM outbox"))
        time.sleep(min(3.0, scale.seconds))
        before = cpu_of(bot.pid), cpu_of(poll.pid)
        time.sleep(scale.seconds)
        ours, limit = (
            (cpu_of(pid) - was) / scale.seconds
            for pid, was in zip((bot.pid, poll.pid), before, strict=True)
        )
        memory = memory_of(bot.pid)
        bare = memory_of(poll.pid)
    text = f"{ours * 1000:.3g} ms CPU a second"
    yield Line(
        "idle, connected to Slack",
        text,
        f"one poll a second: {limit * 1000:.3g} ms",
        ours * 100,
        0.2,
        unit="% of a core",
    )
    yield Line(
        "resident memory",
        f"{memory:.1f} MiB",
        f"poll: {bare:.1f} MiB · peer 101 MiB",
        memory,
        75,
        unit="MiB",
    )


FIGURES = {"P17": starting, "P18": idle}
