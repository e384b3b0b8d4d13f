"""`/healthz`, `/readyz` and `/metrics`, for operators. They say how this process is, and
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
"""What this process needs: each with its name, whether it is well, and what to say when it isn't.
May block."""

AT_ONCE = 4
"""Answers of each under way at most: anybody may ask, and each may take a connection to the
database."""

STARTING = "starting"
"""What is said of a part that is not ready yet and keeps nobody from being served."""


NO_ANSWER = "does not answer"
"""What is said of a database that can't even be read."""

OUTDATED = "another process loaded another roles.toml since: this one decides and starts nothing"


async def health(scope: Scope, receive: Receive) -> Answer:
    """Alive: the event loop answers. Nothing else is asked, so that a lost database doesn't get us
    restarted."""
    return as_text(200, "ok")


SystemHealth = Callable[[], Mapping[str, str]]
"""How each connected system is, in words; must not block."""


Channels = Callable[[], Mapping[str, str]]
"""The channels that refuse messages, with Slack's word for why. May block."""

Outdated = Callable[[], bool]
"""Whether another process loaded another roles.toml since. May block."""

LogProblem = Callable[[], tuple[int, str]]
"""The number of the newest audit record, and what is wrong with the log, or "". May block."""


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
        """200 when everything that this process needs is well, else 503; the body has every part by
        its name. A connected system that is unwell is told too, and is no reason to take this
        process out of service: the others need it. Nor is a channel that refuses messages: another
        process could not post there either. Nor is an audit log that somebody changed: access has
        to end anyway. Nor is an outdated roles.toml: tokens are still checked, and what
        people ask for is left to another process."""
        try:
            checks = await to_thread.run_sync(self._ready, limiter=self._limiter)
        except Exception:
            if (left_out := self._often.due("readiness")) is not None:
                log.exception("the readiness of this process can't be told%s", left_out)
            checks = [("readiness", False, "can't be determined; see the log")]
        is_ready = all(well or words == STARTING for _, well, words in checks)
        said = {name: "well" if well else words for name, well, words in checks}
        informed = {"systems": dict(self._systems()), **await self._stored(said)}
        body: dict[str, object] = {"ready": is_ready, "checks": said}
        body |= {name: found for name, found in informed.items() if found}
        return as_json(200 if is_ready else 503, body)

    async def _stored(self, said: Mapping[str, str]) -> dict[str, object]:
        """What the database tells; nothing while it does not answer, which is among the checks."""
        if said.get("database") == NO_ANSWER:
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
        """In a thread, because a gauge may ask the database."""
        body = await to_thread.run_sync(generate_latest, self._registry, limiter=self._limiter)
        return Answer(200, body, CONTENT_TYPE_LATEST.encode())
