"""`/ssh/krl` and `/ssh/ca.pub`, for the hosts of ssh systems (docs/connectors/ssh.md). Neither is
secret: serial numbers of revoked certificates, and public keys.
"""

import logging
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs

from anyio import CapacityLimiter, to_thread
from starlette.types import Receive, Scope

from bot.config.logging import OncePerMinute
from bot.core.errors import SystemRefused, SystemUnavailable
from bot.operations._unit_of_work import Context
from bot.operations.systems.revoked_certificates import list_revoked
from bot.web.krl import encode_krl
from bot.web.responses import UNAVAILABLE, Answer, as_text

log = logging.getLogger(__name__)

AT_ONCE = 4
"""The most concurrent answers: anybody may call, and an agent or the database may be slow."""

CaKeys = Callable[[str], Sequence[tuple[str, str]]]
"""The ssh system of that name, or all for "", each with the line of its CA's public key. May block.
Raises SystemUnavailable if one is unknown."""

NO_SYSTEM = as_text(
    404, "roles.toml has no such ssh system; use ?system=NAME, or leave it out for all of them."
)


def no_ca_keys(_system: str) -> Sequence[tuple[str, str]]:
    return ()


class Krl:
    def __init__(self, world: Context) -> None:
        self._world, self._limiter = world, CapacityLimiter(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        """The current list in OpenSSH's format."""
        body = await to_thread.run_sync(self._encoded, limiter=self._limiter)
        return Answer(200, body, b"application/octet-stream")

    def _encoded(self) -> bytes:
        revoked = list_revoked(self._world)
        return encode_krl(revoked.at, revoked.serials)


class CaPub:
    def __init__(self, ca_keys: CaKeys) -> None:
        self._ca_keys, self._limiter = ca_keys, CapacityLimiter(AT_ONCE)
        self._often = OncePerMinute()

    async def __call__(self, scope: Scope, receive: Receive) -> Answer:
        """One line for each CA, named after its systems; all or none, because an incomplete list
        would lock holders out. `?system=NAME` selects the CA that a host of that system must
        trust."""
        wanted = _wanted(scope["query_string"])
        if wanted is None:
            return NO_SYSTEM
        try:
            found = await to_thread.run_sync(self._ca_keys, wanted, limiter=self._limiter)
        except (SystemUnavailable, SystemRefused) as error:
            if (left_out := self._often.due("unavailable")) is not None:
                log.warning("/ssh/ca.pub: %s%s", error, left_out)
            return UNAVAILABLE
        if wanted and not found:
            return NO_SYSTEM
        systems: dict[str, list[str]] = {}
        for system, line in found:
            systems.setdefault(line, []).append(system)
        lines = [f"{line} {','.join(names)}\n" for line, names in systems.items()]
        return Answer(200, "".join(lines).encode())


def _wanted(query: bytes) -> str | None:
    """The system in the query, or "" for all without a query. None for a query without a system:
    because of a typo, a host would trust all."""
    if not query:
        return ""
    try:
        named = parse_qs(query.decode("latin-1"), strict_parsing=True, max_num_fields=1)
    except ValueError:
        return None
    return named.get("system", [None])[0]
