"""What somebody who plays may do behind the scenes: move the clock, make trouble for the app, kill
it and start it.

It doesn't know how the page asks for it, nor how the app is run: whoever runs it hands in a
`AppProcess`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from bot.sandbox.checks import Json
from bot.sandbox.event_delivery import TIMED_OUT, UNREACHED, Delivery
from bot.sandbox.faults import Fault

DOWN, LIMITED, SLOW, KILLED = "down", "limited", "slow", "killed"
RETRY_AFTER, SLOW_SECONDS = 5, 1.5
TROUBLES: dict[str, Fault] = {
    DOWN: Fault("http", 503),
    LIMITED: Fault("rate_limited", RETRY_AFTER),
    SLOW: Fault("latency", SLOW_SECONDS),
}
"""What strikes every call of the app."""

ONCE = {"views.open", "views.push", "response_url"}
"""Calls that nobody may repeat later: what they answer to is good for seconds. The person has to
press again."""

MOST_SHOWN = 12
FORGOTTEN_AFTER = 60.0
"""Seconds after its end that a trouble is still shown, with what came of it."""


class AppProcess(Protocol):
    """The app as a process, in the hands of whoever started it. Every method may take seconds."""

    @property
    def state(self) -> str:
        """`running`, `starting` or `dead`."""

    def kill(self) -> None:
        """Ends it in the middle of whatever it does."""

    def start(self) -> None:
        """Starts it again and waits until it is ready; raises what went wrong."""

    def follow(self, ahead: float) -> None:
        """Has it go by a clock so many seconds ahead of the machine's, from now on and whenever it
        is started."""

    def coming(self) -> Json | None:
        """What it says comes next, or None."""


@dataclass
class Trouble:
    """One trouble from `began` to `ended` (workspace time), and which calls and payloads lie
    between: those with higher numbers than the first pair, and not higher than the second."""

    kind: str
    began: float
    after: tuple[int, int]
    ended: float | None = None
    until: tuple[int, int] | None = None


@dataclass
class Scenes:
    """What is going on behind the scenes. `closed` says why nobody may do anything there just
    now."""

    process: AppProcess | None = None
    closed: str = ""
    slack: Trouble | None = None
    app: Trouble | None = None

    def troubles(self) -> Iterator[Trouble]:
        """Those that are on, or were a moment ago."""
        yield from (one for one in (self.slack, self.app) if one is not None)


@dataclass
class Missed:
    """Calls of one method to one place that failed: how often, whether one has succeeded since, or
    never can."""

    what: str
    about: str
    tries: int
    done: bool
    once: bool


def refused(call: Json) -> bool:
    """Whether trouble kept this call from being done: a refusal of Slack's own is none."""
    return bool(call["lost"]) or int(call["status"]) >= 400


def missed_calls(calls: list[Json], until: float, about: Callable[[Json], str]) -> list[Missed]:
    """What failed in these calls up to the number `until`, oldest first; `about` says where a call
    goes."""
    found: dict[tuple[str, str], Missed] = {}
    for call in calls:
        key = (str(call["method"]), about(call["args"]))
        if refused(call) and call["number"] <= until:
            tries = found[key].tries if key in found else 0
            found[key] = Missed(*key, tries + 1, False, call["method"] in ONCE)
        elif key in found and call["ok"]:
            found[key].done = True
    return list(found.values())


def missed_payloads(deliveries: Iterable[Delivery], after: int, until: float) -> list[Delivery]:
    """Payloads with these numbers that nobody took."""
    return [
        item
        for item in deliveries
        if after < item.number <= until and item.outcome in {UNREACHED, TIMED_OUT}
    ]
