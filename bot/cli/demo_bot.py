"""Runs the bot like `access-bot run`, with a clock that its parent process can advance.

`access-bot demo` starts it as `python -m bot.cli.demo_bot`, to play a grant of four hours in a
minute. No command, setting or variable leads here, it refuses any Slack that is not on this
machine, and its clock never goes back: access may end early, but not late. Everything in the bot
reads this one clock. Real time still rules the pauses that Slack asks for, the time limits of calls
and the pauses between look-ups of people.

Each line on standard input is JSON: `{"ahead": SECONDS}`, the total lead of the clock over the
machine's. Each is answered by one line with the next events. The first line arrives before
anything starts. The bot stops when its input ends, because then the demo has ended.
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

from bot.app import Services, build_base
from bot.cli.common import load
from bot.cli.errors import Wrong
from bot.clock import Clock
from bot.config.logging import configure
from bot.core.effects import Queue
from bot.core.errors import AccessBotError
from bot.core.model import Grant, GrantState, Source
from bot.operations.claim_work import advance_clock
from bot.operations.grants.list_grants import list_grants
from bot.process import serve


class OffsetClock:
    """Reads the machine's clock plus `seconds`, which never decreases."""

    def __init__(self, seconds: float = 0.0, wall: Callable[[], float] = time.time) -> None:
        self.seconds, self._wall = seconds, wall

    def __call__(self) -> float:
        return self._wall() + self.seconds

    def move(self, seconds: float) -> float:
        """Sets the lead to `seconds` unless it is greater already, and returns the change."""
        before, self.seconds = self.seconds, max(self.seconds, seconds)
        return self.seconds - before


class ClockFollower(threading.Thread):
    """Advances the clock on request, and answers with the next events."""

    def __init__(
        self, base: Services, ahead: OffsetClock, orders: Iterator[str], answers: TextIO
    ) -> None:
        super().__init__(name="follower", daemon=True)
        self._base, self._ahead, self._orders, self._answers = base, ahead, orders, answers

    def run(self) -> None:
        """Runs until the input ends or is invalid; then it stops the whole bot with SIGTERM."""
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

    def _answer(self, answer: dict[str, object]) -> None:
        with suppress(BrokenPipeError):
            print(json.dumps(answer), file=self._answers, flush=True)

    def follow(self, seconds: float) -> None:
        """Advances the clock, and wakes every queue for the work that is now due."""
        if seconds > self._ahead.seconds:
            advance_clock(self._base.world, lambda: self._ahead.move(seconds))
            self._base.wake_ups.wake(frozenset(Queue), 0)

    def next(self) -> dict[str, object]:
        """Returns the time, and the next reminder and the next end of all active grants."""
        active = [
            grant for grant in list_grants(self._base.world) if grant.state is GrantState.ACTIVE
        ]
        return {
            "now": self._base.world.now(),
            "reminder": _first(active, lambda grant: grant.remind_at),
            "end": _first(active, lambda grant: grant.ends_at),
        }


def _first(grants: list[Grant], moment: Callable[[Grant], int | None]) -> dict[str, object] | None:
    found = min(
        ((at, grant) for grant in grants if (at := moment(grant))),
        key=lambda one: one[0],
        default=None,
    )
    return {"at": found[0], "person": found[1].person, "role": found[1].role} if found else None


@click.command()
def main() -> None:
    """Runs until the input ends or a signal stops it."""
    try:
        run()
    except AccessBotError as error:
        raise Wrong(str(error)) from None


def run() -> None:
    """Raises ConfigError, SchemaMismatch and StorageUnavailable before anything starts."""
    os.umask(0o077)  # as `access-bot` does
    settings = load("run")
    # The settings allow plain http for loopback only.
    if not settings.slack_api_url.startswith("http://"):
        raise Wrong(
            "Only the demo uses this command: SLACK_API_URL must be a Slack sandbox on this"
            " machine."
        )
    configure(settings.log_level, settings.log_format)
    if not (first := sys.stdin.readline()):
        raise Wrong(
            "Only the demo uses this command: it sends the lead of its clock on standard input."
        )
    ahead = OffsetClock(float(json.loads(first)["ahead"]))
    base = build_base(settings, Source.CLOCK, clock=Clock(wall=ahead))
    ClockFollower(base, ahead, iter(sys.stdin.readline, ""), sys.stdout).start()
    serve(base, web=True, work=True, migrate=True)


if __name__ == "__main__":
    main()
