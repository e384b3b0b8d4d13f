"""The allowed moves between states, and the arithmetic of ends, renewals and reminders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import IllegalMove
from bot.core.lifecycle import (
    GRANT,
    REQUEST,
    Move,
    after,
    first_reminder,
    next_alert,
    next_reminder,
    renewed_end,
    sources,
)
from bot.core.model import GrantState, RequestState

G, R = GrantState, RequestState
REQUEST_MOVES = {
    (R.PENDING, Move.APPROVE): R.APPROVED,
    (R.PENDING, Move.DENY): R.DENIED,
    (R.PENDING, Move.WITHDRAW): R.WITHDRAWN,
    (R.PENDING, Move.LAPSE): R.LAPSED,
}
GRANT_MOVES = {
    (G.SCHEDULED, Move.BEGIN): G.STARTING,
    (G.SCHEDULED, Move.END): G.ENDING,
    (G.STARTING, Move.CONFIRM_START): G.ACTIVE,
    (G.STARTING, Move.FAIL): G.FAILED,
    (G.STARTING, Move.END): G.ENDING,
    (G.ACTIVE, Move.RENEW): G.ACTIVE,
    (G.ACTIVE, Move.END): G.ENDING,
    (G.ENDING, Move.CONFIRM_END): G.ENDED,
}
SECONDS = st.integers(0, 10_000)


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("state", RequestState)
def test_a_request_moves_only_where_the_table_says(state: RequestState, move: Move) -> None:
    if (state, move) in REQUEST_MOVES:
        assert after(REQUEST, state, move) is REQUEST_MOVES[state, move]
    else:
        with pytest.raises(IllegalMove, match=f"'{move}' is not possible in the state '{state}'"):
            after(REQUEST, state, move)


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("state", GrantState)
def test_a_grant_moves_only_where_the_table_says(state: GrantState, move: Move) -> None:
    if (state, move) in GRANT_MOVES:
        assert after(GRANT, state, move) is GRANT_MOVES[state, move]
    else:
        with pytest.raises(IllegalMove):
            after(GRANT, state, move)


def test_an_ended_state_has_no_further_move() -> None:
    over = [REQUEST[state] for state in R if state is not R.PENDING] + [
        GRANT[G.ENDED],
        GRANT[G.FAILED],
    ]
    assert over == [{}] * 6


def test_an_end_can_be_requested_in_every_state_with_access() -> None:
    assert set(sources(GRANT, Move.END)) == {G.SCHEDULED, G.STARTING, G.ACTIVE}


@pytest.mark.parametrize(
    ("now", "duration", "ends_at", "latest", "renewed"),
    [
        (100, 60, 110, 1000, 160),
        (100, 60, 200, 1000, 200),
        (100, 60, 110, 150, 150),
        (100, 60, 110, 110, 110),
        (100, 60, 110, 90, 110),
    ],
    ids=[
        "counts from now",
        "never earlier",
        "up to the limit",
        "at the limit already",
        "a limit that was lowered",
    ],
)
def test_when_a_renewal_ends(
    now: int, duration: int, ends_at: int, latest: int, renewed: int
) -> None:
    assert renewed_end(now, duration, ends_at, latest) == renewed


@given(SECONDS, SECONDS, SECONDS, SECONDS)
def test_a_renewal_never_shortens_and_never_passes_its_limit(
    now: int, duration: int, ends_at: int, latest: int
) -> None:
    renewed = renewed_end(now, duration, ends_at, latest)
    assert renewed >= ends_at
    assert renewed == ends_at or renewed <= min(latest, now + duration)


@pytest.mark.parametrize(
    ("now", "ends_at", "leads", "first"),
    [
        (0, 3600, (1800, 300), 1800),
        (0, 1800, (1800, 300), 1500),
        (0, 240, (1800, 300), 180),
        (0, 4, (1800,), 3),
        (0, 3, (1800,), None),
        (0, 0, (1800,), None),
        (10, 0, (1800,), None),
    ],
    ids=[
        "the longest",
        "the next",
        "a quarter left",
        "the shortest",
        "too short",
        "no time",
        "already over",
    ],
)
def test_when_the_first_reminder_is_due(
    now: int, ends_at: int, leads: tuple[int, ...], first: int | None
) -> None:
    assert first_reminder(now, ends_at, leads) == first


@given(SECONDS, SECONDS, st.lists(st.integers(1, 10_000), max_size=4))
def test_a_reminder_is_in_the_future_and_before_the_end(
    now: int, ends_at: int, leads: list[int]
) -> None:
    for found in (first_reminder(now, ends_at, leads), next_reminder(now, ends_at, leads)):
        assert found is None or now < found < ends_at


MINUTE, HOUR = 60, 3600


@pytest.mark.parametrize(
    ("passed", "told_after"),
    [
        (0, 15 * MINUTE),
        (15 * MINUTE - 1, 15 * MINUTE),
        (15 * MINUTE, HOUR),
        (HOUR - 1, HOUR),
        (HOUR, 5 * HOUR),
        (5 * HOUR - 1, 5 * HOUR),
        (5 * HOUR, 9 * HOUR),
        (30 * HOUR, 33 * HOUR),
    ],
    ids=[
        "it fails",
        "just before the first",
        "the first is told",
        "just before the second",
        "the second is told",
        "just before the third",
        "the third is told",
        "nobody was running meanwhile",
    ],
)
def test_when_a_failing_end_is_alerted_again(passed: int, told_after: int) -> None:
    since = 1_790_000_000
    assert next_alert(since, since + passed) == since + told_after


@given(SECONDS, st.integers(0, 200_000))
def test_the_next_alert_is_in_the_future_and_at_most_four_hours_away(
    since: int, later: int
) -> None:
    now = since + later
    assert now < next_alert(since, now) <= now + 4 * HOUR
