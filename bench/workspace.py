"""S1: the load that the sandbox's workspace carries. People type commands and press buttons on
its page; each goes over Socket Mode to an app that only answers, and comes back as Slack would
show it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path
from urllib.parse import urlsplit

from slack_sdk import WebClient

from bench.acks import fire
from bench.measure import Line, Scale, Spent, cpu_of, interleave, median, middle, ms
from bench.place import ROOT, a_child, a_folder
from bot.sandbox import Sandbox
from tests.waiting import until

WANTED = 200
AT_ONCE, WINDOWS = 8, 3
PEOPLE, CHANNEL = ("ana", "ben", "chiara", "dev", "emi", "farid", "gwen"), "C0GENERAL"
BLOCKS = [
    {
        "type": "actions",
        "block_id": "b",
        "elements": [
            {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
        ],
    }
]


class Workspace:
    """A workspace as `access-bot sandbox` starts it, in a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "bot.sandbox", "--no-rate-limits"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        lines = (self.process.stdout.readline().strip() for _ in range(4))
        self.environment = dict(line.split("=", 1) for line in lines)
        self.sandbox = Sandbox(self.environment["SLACK_API_URL"].removesuffix("/api/"))

    @property
    def port(self) -> int:
        return int(urlsplit(self.sandbox.base_url).port or 0)

    def post(self) -> str:
        """Posts a message with a button in a channel of everybody, and returns its ts."""
        self.sandbox.admin.add_to_channel(CHANNEL)
        client = WebClient(
            self.environment["SLACK_BOT_TOKEN"], base_url=self.environment["SLACK_API_URL"]
        )
        return str(client.chat_postMessage(channel=CHANNEL, text="Press", blocks=BLOCKS)["ts"])

    def close(self) -> None:
        """Closes it; may be called twice."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def a_workspace() -> Iterator[Workspace]:
    workspace = Workspace()
    try:
        yield workspace
    finally:
        workspace.close()


def read(window: HTTPResponse) -> None:
    with suppress(IncompleteRead, ConnectionError):
        window.read()


@contextmanager
def open_windows(workspace: Workspace, number: int) -> Iterator[None]:
    """Opens this number of windows that only watch; their updates are read and dropped."""
    lines = [HTTPConnection("127.0.0.1", workspace.port) for _ in range(number)]
    threads = []
    for line, name in zip(lines, PEOPLE, strict=False):
        line.request("GET", f"/page/events?as={name}")
        threads.append(threading.Thread(target=read, args=(line.getresponse(),)))
    for thread in threads:
        thread.start()
    try:
        until(lambda: workspace.sandbox.inspector.viewers() == number)
        yield
    finally:
        workspace.close()  # this ends their answers
        for thread, line in zip(threads, lines, strict=True):
            thread.join()
            line.close()


def done(verb: str, person: str, **asked: str) -> bytes:
    """The request that the page sends when somebody acts."""
    body = json.dumps(asked)
    head = (
        f"POST /page/do/{verb}?as={person} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type:"
        " application/json\r\n"
    )
    return f"{head}X-Sandbox-Page: 1\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def interactions(scale: Scale) -> Iterator[Line]:
    """S1"""
    number = scale.loads
    with ExitStack() as stack:
        folder: Path = stack.enter_context(a_folder())
        workspace = stack.enter_context(a_workspace())
        ts = workspace.post()
        environment = {**workspace.environment, "PATH": ""}
        listener = stack.enter_context(a_child("bench.listener", env=environment))
        load = stack.enter_context(a_child("bench.load"))
        spent_there: list[float] = []

        def leg(make: Callable[[str], bytes]) -> Spent:
            requests = [make(PEOPLE[n % len(PEOPLE)]) for n in range(number)]
            before = cpu_of(listener.pid)
            found = fire(load, folder, workspace.port, workspace.process.pid, requests, AT_ONCE)
            spent_there.append((cpu_of(listener.pid) - before) / number)
            return found

        def command(person: str) -> bytes:
            return done("command", person, channel=CHANNEL, text="/access list")

        def press(person: str) -> bytes:
            return done("press", person, channel=CHANNEL, ts=ts, block_id="b", action_id="go")

        found = interleave(
            scale.rounds, {"a slash command": lambda: leg(command), "a button": lambda: leg(press)}
        )
        with open_windows(workspace, WINDOWS):
            found |= interleave(
                scale.rounds, {f"a button, {WINDOWS} windows open": lambda: leg(press)}
            )
        there = ms(median(spent_there))
    for name, spent in found.items():
        rate, cpu = middle(spent, lambda s: s.rate), middle(spent, lambda s: s.cpu / s.count)
        ours = f"p50 {ms(middle(spent, lambda s: s.p50))} · CPU {ms(cpu)}"
        yield Line(
            f"{name}, over Socket Mode", ours, f"CPU of the app {there}", rate, WANTED, True, "/s"
        )


FIGURES = {"S1": interactions}
