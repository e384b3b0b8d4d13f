"""`/healthz`, `/readyz` and `/metrics`, for operators. They report the state of this process, and
nothing about people, grants or requests.
"""

import logging
from collections.abc import Callable, Mapping

from anyio import CapacityLimiter, to_thread
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.types import Receive, Scope

from bot.config.logging import OncePerMinute
from bot.core.errors import StorageUnavailable
from bot.web.responses import Answer, as_json, as_text

log = logging.getLogger(__name__)

Ready = Callable[[], list[tuple[str, bool, str]]]
"""The needs of this process: name, whether it works, and the words if it doesn't. May block."""

AT_ONCE = 4
"""The most concurrent answers of each endpoint: anybody may call them, and each may take a
connection to the database."""

STARTING = "starting"
"""The words for a part that is not ready yet, but does not block others."""


NO_ANSWER = "does not answer"
"""The words for a database that can't be read."""

OUTDATED = "another process loaded a newer roles.toml: this one decides and starts nothing"


async def health(scope: Scope, receive: Receive) -> Answer:
    """Alive: the event loop answers. Nothing else is checked, so that a database outage does not
    restart the process."""
    return as_text(200, "ok")


SystemHealth = Callable[[], Mapping[str, str]]
"""The health of each connected system, in words; must not block."""


Channels = Callable[[], Mapping[str, str]]
"""The channels that refuse messages, with Slack's error. May block."""

Outdated = Callable[[], bool]
"""Whether another process loaded another roles.toml since. May block."""

LogProblem = Callable[[], tuple[int, str]]
"""The number of the newest audit record, and the problem of the log, or "". May block."""


class Readiness:
    def __init__(
        self,
        ready: Ready,
        systems: SystemHealth,
        channels: Channels = dict,
        log_problem: LogProblem = lambda: (0, ""),
        outdated: Outdated = lambda: False,
    ) -> None:
        self._ready, self._systems = ready, systems
        self._channels, self._log_problem, self._outdated = channels, log_problem, outdated
        self._limiter, self._often = CapacityLimiter(AT_ONCE), OncePerMinute()

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        """200 if everything that this process needs works, else 503; the body lists every part.
        These are reported, but keep 200: an unwell system, because the others need this process; a
        channel that refuses messages, because no other process could post there either; a changed
        audit log, because access must still end; and an outdated roles.toml, because tokens are
        still checked, and another process takes the requests."""
        try:
            checks = await to_thread.run_sync(self._ready, limiter=self._limiter)
        except Exception:
            if (left_out := self._often.due("readiness")) is not None:
                log.exception("the readiness of this process is unknown%s", left_out)
            checks = [("readiness", False, "can't be determined; see the log")]
        is_ready = all(well or words == STARTING for _, well, words in checks)
        states = {name: "well" if well else words for name, well, words in checks}
        informed = {"systems": dict(self._systems()), **await self._stored(states)}
        body: dict[str, object] = {"ready": is_ready, "checks": states}
        body |= {name: found for name, found in informed.items() if found}
        return as_json(200 if is_ready else 503, body)

    async def _stored(self, states: Mapping[str, str]) -> dict[str, object]:
        """Reads from the database; empty while it does not answer, which a check reports."""
        if states.get("database") == NO_ANSWER:
            return {}
        try:
            channels = dict(await to_thread.run_sync(self._channels, limiter=self._limiter))
            _, problem = await to_thread.run_sync(self._log_problem, limiter=self._limiter)
            outdated = await to_thread.run_sync(self._outdated, limiter=self._limiter)
        except StorageUnavailable:
            return {}
        return {
            "channels": channels,
            "audit_log": f"broken: {problem}" if problem else "",
            "roles": OUTDATED if outdated else "",
        }


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry, self._limiter = registry, CapacityLimiter(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        """In a thread, because a gauge may query the database."""
        body = await to_thread.run_sync(generate_latest, self._registry, limiter=self._limiter)
        return Answer(200, body, CONTENT_TYPE_LATEST.encode())
