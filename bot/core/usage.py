"""Decides whether a session counts as use of a grant, and whether it was used after its end."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bot.core.model import Grant, GrantState

SKEW = 60
"""Seconds by which a system's clock may be ahead of ours, or behind ours at the start of a
grant."""

LATE = 5
"""Seconds after the end in which a session is nobody's alert: clocks differ a little, and reports
travel."""

CLOSING = 60
"""Seconds after a confirmed end for which a closing session may still be seen."""


POLL_EVERY = 15
"""Seconds between polls of open sessions; a shorter session may be missed."""


class Known(StrEnum):
    """The way in which use on a system is known: from each report, from polls, or not at all."""

    REPORTED = "every use"
    OBSERVED = "observed"
    UNREPORTED = "not reported"


@dataclass(frozen=True, slots=True)
class SystemUsage:
    """Use of a grant on one system: allowed and refused checks, sessions, open sessions, and the
    first and last use. The first check is known by its minute. Times are UTC seconds."""

    allowed: int = 0
    refused: int = 0
    sessions: int = 0
    open: int = 0
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class GrantUsage:
    """Use of a grant: allowed checks and sessions together, the first and last use, and whether a
    session is open. `silent` are its systems that don't report use, `glimpsed` says whether the
    others are only polled."""

    times: int = 0
    first: int | None = None
    last: int | None = None
    open: int = 0
    silent: tuple[str, ...] = ()
    glimpsed: bool = False


def earliest(times: Iterable[int | None]) -> int | None:
    return min((at for at in times if at is not None), default=None)


def latest(times: Iterable[int | None]) -> int | None:
    return max((at for at in times if at is not None), default=None)


def over_at(grant: Grant) -> int:
    """The planned end of the grant, or its earlier actual end."""
    return min(grant.ends_at, grant.ended_at if grant.ended_at is not None else grant.ends_at)


def used_after_end(grant: Grant, opened_at: int | None, seen_at: int | None = None) -> bool:
    """Whether a session shows use after the end of its grant: it was opened after the end, or the
    bot saw it open (`seen_at`) well after the system confirmed the end."""
    if opened_at is not None and opened_at > over_at(grant) + LATE:
        return True
    over = grant.state in (GrantState.ENDED, GrantState.FAILED) and grant.ended_at is not None
    return over and seen_at is not None and seen_at > (grant.ended_at or 0) + CLOSING


def fits(grant: Grant, at: int, now: int) -> bool:
    """Whether a session of this grant is possible at that time, with a tolerance for clocks."""
    return grant.starts_at - SKEW <= at <= now + SKEW
