"""The parts of one running stand-in, and one call of the Web API. `server.py` builds it."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.checks import Json
from bot.sandbox.dev_controls import Scenes
from bot.sandbox.event_delivery import EventDelivery
from bot.sandbox.faults import Faults
from bot.sandbox.limits import RateLimits
from bot.sandbox.workspace import AppInstall, SlackError, Workspace

KEPT = 20_000
KEPT_ANSWERS = 500


@dataclass
class World:
    """The workspace, its faults and limits, the way to its apps, and the record of calls and of
    their answers.

    `links` are further addresses on the page, {title: address}; `gate` is the last answer of a
    protected system to a browser: {open, who, at, seen}; `viewers` is the number of open windows;
    `scenes` is the state of the controls; `ending` says whether it is shutting down; `marks` and
    `waiting` are caches.
    """

    workspace: Workspace
    faults: Faults
    events: EventDelivery
    limits: RateLimits = field(default_factory=RateLimits)
    calls: deque[Json] = field(default_factory=lambda: deque(maxlen=KEPT))
    answers: deque[tuple[int, Json]] = field(default_factory=lambda: deque(maxlen=KEPT_ANSWERS))
    links: dict[str, str] = field(default_factory=dict)
    gate: Json = field(default_factory=dict)
    viewers: int = 0
    scenes: Scenes = field(default_factory=Scenes)
    ending: bool = False
    marks: dict[tuple[str, str], tuple[str, frozenset[str]]] = field(default_factory=dict)
    waiting: tuple[int, dict[str, int]] = (-1, {})
    base_url: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def newest(self) -> tuple[int, int]:
        """The numbers of the last call and of the last payload."""
        call = self.calls[-1]["number"] if self.calls else 0
        return int(call), next(reversed(self.events.deliveries), 0)

    def recorded(self, call: Json, answer: Json) -> None:
        """Records a call of an app with a rising number, and notifies listeners."""
        call = {"number": next(self._numbers), **call}
        self.calls.append(call)
        self.answers.append((call["number"], answer))
        self.workspace.changed("api_call", method=call["method"], error=call["error"])


@dataclass
class Call:
    """One call of a method by an app, after its token, scope and arguments were checked."""

    world: World
    app: AppInstall
    args: Json
    warnings: list[str] = field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        """The workspace that the token belongs to."""
        return self.world.workspace

    def text(self, name: str) -> str:
        """An argument as a string; missing is empty."""
        value = self.args.get(name)
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        """An argument as a boolean, also from a form."""
        return str(self.args.get(name, "")).lower() in {"true", "1"}

    def structure(self, name: str, error: str = "invalid_arguments") -> Any:
        """An argument that is JSON, in a form or directly. Raises SlackError if it can't be
        read."""
        value = self.args.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value) if value else None
        except ValueError:
            raise SlackError(error) from None

    def granted(self, scope: str) -> None:
        """Raises missing_scope unless the bot token has `scope`."""
        scopes = self.app.scopes
        if scope not in scopes:
            raise SlackError("missing_scope", needed=scope, provided=",".join(scopes))


Handler = Callable[[Call], Json]
