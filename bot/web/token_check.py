"""Checks tokens for `/auth` and `/oauth2/introspect`: reads, looks up and counts a token before the
answer.
"""

import ipaddress
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.types import Scope

from bot.core.model import Claims
from bot.core.recorded_paths import RecordedPath
from bot.core.roles import System
from bot.operations._unit_of_work import Context
from bot.operations.tokens.introspect_token import TokenActive, TokenInactive, introspect_token
from bot.operations.usage.count_usage import ALLOWED, UsageMeter, record_first_use
from bot.tokens import BadSignature, ForeignToken, Signer
from bot.web.responses import RequestCounter, header_values

Result = TypeVar("Result")

MOST_USED = 10_000
"""The most pairs of grant and system that are remembered as used. Beyond it, all are forgotten and
read from the database again."""

LONGEST_AGENT = 200
"""The most characters of a user agent that are kept."""

THREADS = 16
"""The most concurrent checks on PostgreSQL: fewer than the pool's 20 connections, so that none
waits there and fails."""


class TokenChecks:
    """One for each process. On SQLite a check is one statement in the event loop, because handing
    it to a thread costs more than doing it; on PostgreSQL, and for every first use, it runs in a
    thread."""

    def __init__(
        self, world: Context, signer: Signer, meter: UsageMeter, checked: RequestCounter
    ) -> None:
        self.world, self.signer, self._meter, self._checked = world, signer, meter, checked
        self._used: dict[tuple[str, str], None] = {}
        self._limiter = CapacityLimiter(THREADS)

    def gateway(self, name: str) -> System | None:
        """The system of that name, if it checks tokens."""
        policy = self.world.policy()
        system = policy.systems.get(name)
        return (
            system
            if system is not None and policy.abilities(system.connector).checks_tokens
            else None
        )

    async def check(
        self,
        token: str,
        system: str,
        source: str,
        path: RecordedPath | None = None,
        agent: str = "",
    ) -> TokenActive | TokenInactive:
        """Whether the token is valid for the system now; `source` is the address that uses it,
        `path` the recorded part of the request, and `agent` the program's name for itself. Raises
        StorageUnavailable; the answer must then be no."""
        claims = self.signer.read_token(token)
        if isinstance(claims, ForeignToken | BadSignature):
            found: TokenActive | TokenInactive = TokenInactive(claims.why)
        elif self.world.db.is_sqlite:
            found = introspect_token(self.world, claims, system)
            if isinstance(found, TokenActive) and (found.grant, system) not in self._used:
                found = await self.in_thread(self._check, claims, system, source, path, agent)
            else:
                self._count(found, system, source, path, agent)
        else:
            found = await self.in_thread(self._check, claims, system, source, path, agent)
        outcome = ALLOWED if isinstance(found, TokenActive) else found.why
        self._checked.add(system, outcome)
        return found

    async def in_thread(self, work: Callable[..., Result], *given: object) -> Result:
        """Runs work that may wait for the database in a thread."""
        return await to_thread.run_sync(partial(work, *given), limiter=self._limiter)

    def _check(
        self, claims: Claims, system: str, source: str, path: RecordedPath | None, agent: str
    ) -> TokenActive | TokenInactive:
        """The whole check, in a thread."""
        found = introspect_token(self.world, claims, system)
        if isinstance(found, TokenActive) and (found.grant, system) not in self._used:
            record_first_use(self.world, found.grant, system, source, agent)
            self._remember(found.grant, system)
            # The write may have waited for a lock, and the access may have ended meanwhile.
            found = introspect_token(self.world, claims, system)
        self._count(found, system, source, path, agent)
        return found

    def _remember(self, grant: str, system: str) -> None:
        if len(self._used) >= MOST_USED:
            self._used.clear()
        self._used[(grant, system)] = None

    def _count(
        self,
        found: TokenActive | TokenInactive,
        system: str,
        source: str,
        path: RecordedPath | None,
        agent: str,
    ) -> None:
        if found.grant:
            outcome = ALLOWED if isinstance(found, TokenActive) else found.why
            self._meter.count(found.grant, system, source, outcome, path, agent)


def source_address(scope: Scope) -> str:
    """The address that uses the token: the last entry of X-Forwarded-For, else X-Real-IP, else the
    peer.

    The proxy next to us wrote the last entry; the client may have sent the others. A value that is
    not an address is ignored.
    """
    forwarded = header_values(scope, b"x-forwarded-for")
    said = forwarded or header_values(scope, b"x-real-ip")
    peer = scope["client"][0] if scope.get("client") else "unknown"
    return (_address(said[-1].rpartition(",")[2].strip()) if said else None) or peer


def user_agent(scope: Scope) -> str:
    """The name that the program with the token gives itself, "" without one."""
    return next(iter(header_values(scope, b"user-agent")), "")[:LONGEST_AGENT]


@lru_cache(maxsize=4096)
def _address(text: str) -> str | None:
    """The address in canonical form. A zone (`fe80::1%eth0`) is refused, because any text may
    follow the %."""
    try:
        return str(ipaddress.ip_address(text)) if len(text) <= 45 and "%" not in text else None
    except ValueError:
        return None
