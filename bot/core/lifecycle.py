"""What may follow what: the two state tables of the product, and the arithmetic of ends, renewals
and reminders.

A pair that is missing from a table can't happen. This module knows no people, no policy and no
storage.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from bot.core.errors import IllegalMove
from bot.core.model import GrantState as G
from bot.core.model import RequestState as R


class Move(StrEnum):
    APPROVE = "approve"
    DENY = "deny"
    WITHDRAW = "withdraw"
    LAPSE = "lapse"
    BEGIN = "begin"
    CONFIRM_START = "confirm start"
    FAIL = "fail"
    RENEW = "renew"
    END = "end"
    CONFIRM_END = "confirm end"


REQUEST: Mapping[R, Mapping[Move, R]] = {
    R.PENDING: {
        Move.APPROVE: R.APPROVED,
        Move.DENY: R.DENIED,
        Move.WITHDRAW: R.WITHDRAWN,
        Move.LAPSE: R.LAPSED,
    },
    R.APPROVED: {},
    R.DENIED: {},
    R.WITHDRAWN: {},
    R.LAPSED: {},
}

GRANT: Mapping[G, Mapping[Move, G]] = {
    G.SCHEDULED: {Move.BEGIN: G.STARTING, Move.END: G.ENDING},
    G.STARTING: {Move.CONFIRM_START: G.ACTIVE, Move.FAIL: G.FAILED, Move.END: G.ENDING},
    G.ACTIVE: {Move.RENEW: G.ACTIVE, Move.END: G.ENDING},
    G.ENDING: {Move.CONFIRM_END: G.ENDED},
    G.ENDED: {},
    G.FAILED: {},
}

ALERTS = (15 * 60, 3600)
"""Seconds after its first failure at which an end that no system confirms is told again."""

ALERTS_THEN = 4 * 3600
"""Seconds between later repeats."""

State = TypeVar("State", R, G)


def after(table: Mapping[State, Mapping[Move, State]], state: State, move: Move) -> State:
    """The state that `move` leads to from `state`; raises IllegalMove where the table has no such
    pair."""
    try:
        return table[state][move]
    except KeyError:
        raise IllegalMove(state, move) from None


def sources(table: Mapping[State, Mapping[Move, State]], move: Move) -> tuple[State, ...]:
    """The states from which `move` is possible: the right-hand side of every compare-and-set."""
    return tuple(state for state, moves in table.items() if move in moves)


def renewed_end(now: int, duration: int, ends_at: int, latest_end: int) -> int:
    """When a grant ends that is renewed now: never earlier than before, never after its hard
    limit."""
    return max(ends_at, min(now + duration, latest_end))


def longest_run(duration: int, renewals: int, total: int) -> int:
    """Seconds that a grant of `duration` can last when it is renewed `renewals` times, each time at
    its very end."""
    return min(total, duration * (renewals + 1))


def first_reminder(now: int, ends_at: int, leads: Iterable[int]) -> int | None:
    """When to remind a holder whose access has just begun, or was just renewed, at `now`. A grant
    shorter than every lead time gets one reminder when a quarter of it is left; without lead times
    there is none."""
    leads = tuple(leads)
    planned = next_reminder(now, ends_at, leads)
    if planned is None and leads and ends_at - now >= 4:
        return ends_at - (ends_at - now) // 4
    return planned


def next_reminder(now: int, ends_at: int, leads: Iterable[int]) -> int | None:
    """The next of the reminders `leads` (seconds before the end) that still lies ahead; what was
    missed while nobody was running is not sent late, because the next one says the same with the
    right time left."""
    return min((ends_at - lead for lead in leads if ends_at - lead > now), default=None)


def next_alert(since: int, now: int) -> int:
    """When to tell again, after now, of an end that has failed since then. What was missed while
    nobody was running is told once."""
    later = next((since + after for after in ALERTS if since + after > now), None)
    return later or since + ALERTS[-1] + ALERTS_THEN * (
        (now - since - ALERTS[-1]) // ALERTS_THEN + 1
    )
