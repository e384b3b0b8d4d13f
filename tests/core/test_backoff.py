"""Pauses between tries grow up to a limit, and tries that failed together are spread."""

from __future__ import annotations

from itertools import islice

import pytest

from bot.core.backoff import Backoff


@pytest.mark.parametrize(
    ("backoff", "pauses"),
    [
        pytest.param(Backoff(1, 30), [1, 2, 4, 8, 16, 30, 30], id="up to the longest"),
        pytest.param(Backoff(0.1, 10), [0.1, 0.2, 0.4, 0.8], id="of parts of a second"),
        pytest.param(Backoff(5, 1), [1, 1], id="a first pause that is too long"),
    ],
)
def test_each_pause_is_twice_the_one_before_up_to_the_longest(
    backoff: Backoff, pauses: list[float]
) -> None:
    assert list(islice(backoff, len(pauses))) == pauses
    assert [backoff.pause(failures) for failures in range(1, len(pauses) + 1)] == pauses


def test_the_pause_after_very_many_failures_is_the_longest() -> None:
    assert Backoff(1, 300).pause(10**6) == 300


def test_tries_that_failed_together_come_back_within_half_of_the_pause() -> None:
    found = {Backoff(1, 300).jittered(6) for _ in range(100)}
    assert len(found) > 50
    assert all(16 <= pause <= 32 for pause in found)
