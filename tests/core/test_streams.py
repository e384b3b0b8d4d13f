"""The lateness of a stream of audit records, and the size of a batch."""

from __future__ import annotations

import pytest

from bot.core.streams import BATCH_CHARACTERS, IN_TIME, LATE_AFTER, Cursor, first_batch, lateness

NOW = 1_000_000


@pytest.mark.parametrize(
    ("moved", "waiting", "was_late", "late"),
    [
        (9999, None, False, False),
        (9999, None, True, False),
        (0, (11, LATE_AFTER - 1), False, False),
        (0, (11, LATE_AFTER), False, True),
        (9999, (11, LATE_AFTER - 1), True, True),
        (0, (11, IN_TIME), True, True),
        (0, (11, IN_TIME - 1), True, False),
        (LATE_AFTER - 1, (10, 99_999), False, False),
        (LATE_AFTER, (10, 99_999), False, True),
    ],
    ids=str,
)
def test_a_stream_is_late(
    moved: int, waiting: tuple[int, int] | None, was_late: bool, late: bool
) -> None:
    """Times are seconds before now. Records up to 10 existed before the stream."""
    cursor = Cursor(9, 10, NOW - moved, was_late)
    first = waiting and (waiting[0], NOW - waiting[1])
    assert lateness(cursor, first, NOW) is late


def test_a_batch_ends_before_it_is_too_big_and_has_at_least_one() -> None:
    big, small = ("",) * 10 + ("x" * (BATCH_CHARACTERS + 1),), ("",) * 11
    assert first_batch([small, small]) == [small, small]
    assert first_batch([small, big, small]) == [small]
    assert first_batch([(*big[:9], "reason", *big[10:]), small]) != []
