"""New and solved problems of an installation."""

from __future__ import annotations

import pytest

from bot.core.checkup import Comparison, compare

A, B = "FAIL  clock: 12 s ahead of Slack's", "warn  channel #a: shared with another company"

CASES = {
    "nothing": ([], [], True, Comparison((), (), ())),
    "the first night": ([], [A, B], True, Comparison((A, B), (), (A, B))),
    "the same": ([A, B], [B, A], True, Comparison((), (), (B, A))),
    "other seconds": (
        [A],
        [A.replace("12", "31")],
        True,
        Comparison((), (), (A.replace("12", "31"),)),
    ),
    "one solved": ([A, B], [B], True, Comparison((), (A,), (B,))),
    "one new while Slack is down": ([A], [B], False, Comparison((B,), (), (B, A))),
    "nothing seen while Slack is down": ([A], [], False, Comparison((), (), (A,))),
}


@pytest.mark.parametrize(("before", "found", "complete", "compared"), CASES.values(), ids=CASES)
def test_problems_are_compared_with_those_of_the_night_before(
    before: list[str], found: list[str], complete: bool, compared: Comparison
) -> None:
    assert compare(before, found, complete) == compared
