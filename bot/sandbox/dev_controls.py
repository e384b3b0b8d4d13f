"""Controls for people who try the demo: move the clock, cause faults, kill and start the app.

The program that runs the app implements `AppProcess`.
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
"""The faults that affect every call of the app."""

ONCE = {"views.open", "views.push", "response_url"}
"""Calls that can't be repeated later, because their trigger is valid for seconds. The person must
press again."""

MOST_SHOWN = 12
FORGOTTEN_AFTER = 60.0
"""Seconds for which a trouble and its effects are still shown after its end."""


class AppProcess(Protocol):
    """The app as a process. Every method may take seconds."""

    @property
    def state(self) -> str:
        """`running`, `starting` or `dead`."""

    def kill(self) -> None:
        """Kills it in the middle of its work."""

    def start(self) -> None:
        """Starts it again and waits until it is ready. Raises if that fails."""

    def follow(self, ahead: float) -> None:
        """Sets its clock `seconds` ahead of the machine's, now and after every start."""

    def coming(self) -> Json | None:
        """The next reminder and end that it reports, or None."""


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
    """The state of the controls. `closed` says why they can't be used now."""

    process: AppProcess | None = None
    closed: str = ""
    slack: Trouble | None = None
    app: Trouble | None = None

    def troubles(self) -> Iterator[Trouble]:
        """The troubles that are on, or ended recently."""
        yield from (one for one in (self.slack, self.app) if one is not None)


@dataclass
class Missed:
    """Calls of one method to one place that failed: their number, and whether one has succeeded
    since, or never can."""

    what: str
    about: str
    tries: int
    done: bool
    once: bool


def refused(call: Json) -> bool:
    """Whether a trouble prevented this call; Slack's own refusals don't count."""
    return bool(call["lost"]) or int(call["status"]) >= 400


def missed_calls(calls: list[Json], until: float, about: Callable[[Json], str]) -> list[Missed]:
    """The failed calls up to the number `until`, oldest first; `about` returns the destination of a
    call."""
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
    """The payloads with these numbers that were not acknowledged."""
    return [
        item
        for item in deliveries
        if after < item.number <= until and item.outcome in {UNREACHED, TIMED_OUT}
    ]
