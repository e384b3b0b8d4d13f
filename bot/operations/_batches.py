"""Works through the rows that are due, a batch in each transaction, so that other writers do not
wait for all of them."""

from collections.abc import Callable, Sequence

from bot.operations._unit_of_work import Context, UnitOfWork, unit


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
