"""The state tables of requests, grants, onboardings and reviews, and the arithmetic of ends,
renewals and reminders.

A move that is missing in a table can't happen.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from bot.core.errors import IllegalMove
from bot.core.model import CampaignState as C
from bot.core.model import GrantState as G
from bot.core.model import ItemState as I
from bot.core.model import RampState as P
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
    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"
    KEEP = "keep"
    CLOSE = "close"
    RETURN = "return"


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

RAMP: Mapping[P, Mapping[Move, P]] = {
    P.PLANNED: {Move.BEGIN: P.RUNNING, Move.END: P.ENDED},
    P.RUNNING: {Move.PAUSE: P.PAUSED, Move.FINISH: P.FINISHED, Move.END: P.ENDED},
    P.PAUSED: {Move.RESUME: P.RUNNING, Move.FINISH: P.FINISHED, Move.END: P.ENDED},
    P.FINISHED: {},
    P.ENDED: {},
}

CAMPAIGN: Mapping[C, Mapping[Move, C]] = {
    C.OPEN: {Move.CLOSE: C.CLOSING},
    C.CLOSING: {Move.FINISH: C.FINISHED},
    C.FINISHED: {},
}

ITEM: Mapping[I, Mapping[Move, I]] = {
    I.PENDING: {Move.KEEP: I.KEPT, Move.END: I.ENDING, Move.LAPSE: I.GONE},
    I.KEPT: {},
    I.ENDING: {Move.CONFIRM_END: I.ENDED},
    I.ENDED: {Move.RETURN: I.ENDING},
    I.GONE: {Move.RETURN: I.PENDING},
}

ALERTS = (15 * 60, 3600)
"""Seconds after the first failure of an end until its next alert."""

ALERTS_THEN = 4 * 3600
"""Seconds between later alerts."""

State = TypeVar("State", R, G, P, C, I)


def after(table: Mapping[State, Mapping[Move, State]], state: State, move: Move) -> State:
    """The state after `move` from `state`. Raises IllegalMove if the table does not have it."""
    try:
        return table[state][move]
    except KeyError:
        raise IllegalMove(state, move) from None


def sources(table: Mapping[State, Mapping[Move, State]], move: Move) -> tuple[State, ...]:
    """The states from which `move` is possible, for compare-and-set."""
    return tuple(state for state, moves in table.items() if move in moves)


def renewed_end(now: int, duration: int, ends_at: int, latest_end: int) -> int:
    """The end of a grant that is renewed now: never earlier than before, never after its hard
    limit."""
    return max(ends_at, min(now + duration, latest_end))


def longest_run(duration: int, renewals: int, total: int) -> int:
    """The longest time in seconds of a grant of `duration` that is renewed `renewals` times, each
    time at its end."""
    return min(total, duration * (renewals + 1))


def first_reminder(now: int, ends_at: int, leads: Iterable[int]) -> int | None:
    """The lead times of the reminders for access that started or was renewed at `now`. A grant
    shorter than every lead time gets one reminder when a quarter of it is left; without lead times
    there is none."""
    leads = tuple(leads)
    planned = next_reminder(now, ends_at, leads)
    if planned is None and leads and ends_at - now >= 4:
        return ends_at - (ends_at - now) // 4
    return planned


def next_reminder(now: int, ends_at: int, leads: Iterable[int]) -> int | None:
    """The next of the reminders `leads` (seconds before the end). Reminders missed during a
    downtime are not sent late, because the next one shows the right time."""
    return min((ends_at - lead for lead in leads if ends_at - lead > now), default=None)


def next_alert(since: int, now: int) -> int:
    """The time of the next alert, after now, about an end that has failed since `since`."""
    return next_repeat(since, now, ALERTS, ALERTS_THEN)


def next_repeat(since: int, now: int, first: Sequence[int], then: int) -> int:
    """The time of the next repeat, after now, of a message about something that lasts since
    `since`: after each of the `first` seconds, and every `then` seconds from the last of them on.
    Repeats missed during a downtime are sent once."""
    later = next((since + after for after in first if since + after > now), None)
    return later or since + first[-1] + then * ((now - since - first[-1]) // then + 1)
