"""Checks tokens for `/auth` and `/oauth2/introspect`, and browser sessions for `/auth`: reads,
looks up and counts each before the answer.
"""

import ipaddress
from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import sha256
from typing import NamedTuple, TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.types import Scope

from bot.core.correlation import correlated, current
from bot.core.recorded_paths import RecordedPath
from bot.core.roles import System
from bot.operations._unit_of_work import Context
from bot.operations.tokens.introspect_token import (
    TokenActive,
    TokenInactive,
    introspect_session,
    introspect_token,
)
from bot.operations.usage.count_usage import ALLOWED, TOKEN, UsageMeter, record_first_use
from bot.tokens import BadSignature, ForeignToken, Signer
from bot.web.responses import RequestCounter, header_values

Result = TypeVar("Result")
Look = Callable[[], TokenActive | TokenInactive]
"""One look at the rows behind a token or a browser session."""


class Use(NamedTuple):
    """One use of access: its source address, the recorded part of its path, the program's name for
    itself, and the kind of proof."""

    source: str
    path: RecordedPath | None = None
    agent: str = ""
    how: str = TOKEN


MOST_USED = 10_000
"""The most pairs of grant and system that are remembered as used. Beyond it, all are forgotten and
read from the database again."""

LONGEST_AGENT = 200
"""The most characters of a user agent that are kept."""

THREADS = 16
"""The most concurrent checks on PostgreSQL: fewer than the pool's 20 connections, so that none
waits there and fails."""

UNPROVED_THREADS = 2
"""The most concurrent look-ups in the database for callers outside of `/auth` that have not proved
who they are."""


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
        self._unproved = CapacityLimiter(UNPROVED_THREADS)

    def gateway(self, name: str) -> System | None:
        """The system of that name, if it checks tokens."""
        policy = self.world.policy()
        system = policy.systems.get(name)
        return (
            system
            if system is not None and policy.abilities(system.connector).checks_tokens
            else None
        )

    async def check(self, token: str, system: str, use: Use) -> TokenActive | TokenInactive:
        """Whether the token is valid for the system now. Raises StorageUnavailable; the answer must
        then be no."""
        claims = self.signer.read_token(token)
        if isinstance(claims, ForeignToken | BadSignature):
            self._checked.add(system, claims.why)
            return TokenInactive(claims.why)
        return await self._counted(
            partial(introspect_token, self.world, claims, system), system, use
        )

    async def check_session(
        self, secret: str, system: str, use: Use, refused: str = ""
    ) -> TokenActive | TokenInactive:
        """Like `check`, for the secret in a browser's cookie; `refused` is the reason why this
        request may not use it. Raises StorageUnavailable."""
        digest = sha256(secret.encode()).hexdigest()
        look = partial(introspect_session, self.world, digest, system, refused)
        return await self._counted(look, system, use)

    async def _counted(self, look: Look, system: str, use: Use) -> TokenActive | TokenInactive:
        if self.world.db.is_sqlite:
            found = look()
            if isinstance(found, TokenActive) and (found.grant, system) not in self._used:
                found = await self.in_thread(self._check, look, system, use)
            else:
                self._count(found, system, use)
        else:
            found = await self.in_thread(self._check, look, system, use)
        outcome = ALLOWED if isinstance(found, TokenActive) else found.why
        self._checked.add(system, outcome)
        return found

    async def in_thread(self, work: Callable[..., Result], *given: object) -> Result:
        """Runs work that may wait for the database in a thread."""
        return await to_thread.run_sync(partial(work, *given), limiter=self._limiter)

    async def in_thread_unproved(self, work: Callable[..., Result], *given: object) -> Result:
        """Like `in_thread`, for a caller who has proved nothing yet: a flood of invented secrets
        leaves the threads of the checks free."""
        return await to_thread.run_sync(partial(work, *given), limiter=self._unproved)

    def _check(self, look: Look, system: str, use: Use) -> TokenActive | TokenInactive:
        """The whole check, in a thread."""
        found = look()
        if isinstance(found, TokenActive) and (found.grant, system) not in self._used:
            with correlated(current()):
                record_first_use(self.world, found.grant, system, use.source, use.agent, use.how)
            self._remember(found.grant, system)
            # The write may have waited for a lock, and the access may have ended meanwhile.
            found = look()
        self._count(found, system, use)
        return found

    def _remember(self, grant: str, system: str) -> None:
        if len(self._used) >= MOST_USED:
            self._used.clear()
        self._used[(grant, system)] = None

    def _count(self, found: TokenActive | TokenInactive, system: str, use: Use) -> None:
        if found.grant:
            outcome = ALLOWED if isinstance(found, TokenActive) else found.why
            self._meter.count(
                found.grant, system, use.source, outcome, use.path, use.agent, use.how
            )


def source_address(scope: Scope) -> str:
    """The address that uses the token: the last entry of X-Forwarded-For, else X-Real-IP, else the
    peer.

    The proxy next to us wrote the last entry; the client may have sent the others. A value that is
    not an address is ignored.
    """
    forwarded = header_values(scope, b"x-forwarded-for")
    forwarded_for = forwarded or header_values(scope, b"x-real-ip")
    peer = scope["client"][0] if scope.get("client") else "unknown"
    return (
        _address(forwarded_for[-1].rpartition(",")[2].strip()) if forwarded_for else None
    ) or peer


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
