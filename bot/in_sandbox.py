"""`python -m bot.in_sandbox`: the bot as `access-bot run` runs it, but with a clock that whoever started it may move.

That is how a grant of four hours is seen through in a minute in `access-bot demo`, the only place that starts it. No
verb, setting or variable leads here, it refuses a Slack that is not on this machine, and it only goes ahead: access
would rather end early than late. Everything in the bot asks this one clock, so everything follows. What is measured as
time that really passes stays so: pauses that Slack asked for, time limits of calls, how often people are looked up.

Each line on standard input is JSON, `{"ahead": SECONDS}` with how far the clock is to be ahead of the machine's in all;
each is answered by one line with what comes next. The first line comes before anything is started. When the input ends,
so has the demo, and the bot goes too.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TextIO

import click

from bot.app import Base, build_base
from bot.cli.common import Wrong, load
from bot.clock import Clock
from bot.core.effects import Queue
from bot.core.errors import AccessBotError
from bot.core.model import Grant, GrantState, Source
from bot.logs import configure
from bot.operations.list_rows import list_grants
from bot.operations.take_work import leap
from bot.process import serve


class Ahead:
    """The machine's clock, so many seconds ahead; never less than before."""

    def __init__(self, seconds: float = 0.0, wall: Callable[[], float] = time.time) -> None:
        self.seconds, self._wall = seconds, wall

    def __call__(self) -> float:
        return self._wall() + self.seconds

    def move(self, seconds: float) -> float:
        """Goes ahead to `seconds`, and gives how far that was."""
        before, self.seconds = self.seconds, max(self.seconds, seconds)
        return self.seconds - before


class Follower(threading.Thread):
    """Moves the clock as it is told, and says what comes next."""

    def __init__(self, base: Base, ahead: Ahead, orders: Iterator[str], answers: TextIO) -> None:
        super().__init__(name="follower", daemon=True)
        self._base, self._ahead, self._orders, self._answers = base, ahead, orders, answers

    def run(self) -> None:
        """Until whoever tells it has gone, or can't be understood: then the whole bot ends, as by SIGTERM."""
        try:
            for order in self._orders:
                self._answer(self._obey(float(json.loads(order)["ahead"])))
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def _obey(self, seconds: float) -> dict[str, object]:
        try:
            self.follow(seconds)
            return self.next()
        except AccessBotError as error:
            return {"error": str(error)}

    def _answer(self, said: dict[str, object]) -> None:
        with suppress(BrokenPipeError):
            print(json.dumps(said), file=self._answers, flush=True)

    def follow(self, seconds: float) -> None:
        """Goes ahead, and has everything looked at that may be due now."""
        if seconds > self._ahead.seconds:
            leap(self._base.world, lambda: self._ahead.move(seconds))
            self._base.bell.ring(frozenset(Queue), 0)

    def next(self) -> dict[str, object]:
        """The time, and of all active access the next reminder and the next end."""
        active = [grant for grant in list_grants(self._base.world) if grant.state is GrantState.ACTIVE]
        return {
            "now": self._base.world.now(),
            "reminder": _first(active, lambda grant: grant.remind_at),
            "end": _first(active, lambda grant: grant.ends_at),
        }


def _first(grants: list[Grant], moment: Callable[[Grant], int | None]) -> dict[str, object] | None:
    found = min(((at, grant) for grant in grants if (at := moment(grant))), key=lambda one: one[0], default=None)
    return {"at": found[0], "person": found[1].person, "role": found[1].role} if found else None


@click.command()
def main() -> None:
    """Runs until its input ends, or it is told to stop."""
    try:
        run()
    except AccessBotError as error:
        raise Wrong(str(error)) from None


def run() -> None:
    """Raises ConfigError, SchemaMismatch and StorageUnavailable before anything was started."""
    settings = load("run")
    if not settings.slack_api_url.startswith("http://"):  # which the settings allow for loopback only
        raise Wrong("This start is for the sandbox: SLACK_API_URL must be a stand-in on this machine.")
    configure(settings.log_level, settings.log_format)
    if not (first := sys.stdin.readline()):
        raise Wrong("This start is for the sandbox, which says on standard input how far its clock is ahead.")
    ahead = Ahead(float(json.loads(first)["ahead"]))
    base = build_base(settings, Source.CLOCK, clock=Clock(wall=ahead))
    Follower(base, ahead, iter(sys.stdin.readline, ""), sys.stdout).start()
    serve(base, web=True, work=True, migrate=True)


if __name__ == "__main__":
    main()
