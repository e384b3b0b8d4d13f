"""Works through the rows that are due, a batch in each transaction, so that other writers do not
wait for all of them."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from bot.operations._unit_of_work import Context, UnitOfWork, unit

Item = TypeVar("Item")

AT_ONCE = 500
"""The number of ids in one statement."""


def chunks(items: Sequence[Item], size: int = AT_ONCE) -> Iterator[Sequence[Item]]:
    """Yields the items in parts that one statement can name."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def in_batches(
    world: Context, batch: int, handle: Callable[[UnitOfWork, int], Sequence[object]]
) -> int:
    """Calls `handle`, which handles up to `batch` rows and returns them, until fewer were left;
    returns the number of rows."""
    count = 0
    while True:
        with unit(world) as u:
            handled = len(handle(u, batch))
        count += handled
        if handled < batch:
            return count
