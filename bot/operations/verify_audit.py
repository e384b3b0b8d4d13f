"""Walks the whole audit chain and its seal, and names the first record that does not hold."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from bot.core.audit import GENESIS, Break, check_links
from bot.operations._unit import World
from storage import audit

STEP = 5000

Sealed = Callable[[str, int, str], bool]
"""Says whether a seal is ours, and for the head of that number and hash."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken` is None for an intact chain; `records` is how many were found good, `head` the last one's hash."""

    records: int
    head: str
    broken: Break | None


def verify_audit(world: World, sealed: Sealed, progress: Callable[[int, int], None] | None = None) -> Verdict:
    """Finds an edited, deleted, inserted, reordered or cut-off record. Raises StorageUnavailable."""
    number, digest, seal = _head(world)
    rows, seq, last = audit.walk(world.db), 0, GENESIS
    at_head = GENESIS
    while batch := list(islice(rows, STEP)):
        before = seq
        broken, seq, last = check_links(batch, seq, last)
        if broken is not None:
            return Verdict(seq, last, broken)
        if before < number <= seq:
            at_head = str(batch[number - before - 1][-1])
        if progress:
            progress(seq, number)
    return Verdict(seq, last, _head_break(number, digest, seq, at_head, sealed(seal, number, digest), _head(world)[0]))


def _head_break(number: int, digest: str, seq: int, at_head: str, is_ours: bool, newest: int) -> Break | None:
    """The chain holds in itself; is it also whole, and did we write it? It may have grown since the head was read."""
    for is_so, place, why in (
        (number < 0, 1, "the head of the chain is missing"),
        (seq < number, seq + 1, f"records {seq + 1} to {number} were cut off"),
        (at_head != digest, number, "it is not the record that was sealed as the newest"),
        (
            number > 0 and not is_ours,
            number,
            "its seal is not ours: the chain was rewritten, or its key is missing",
        ),
        (seq > newest, newest + 1, "it was added behind the sealed end"),
    ):
        if is_so:
            return Break(place, why)
    return None


def _head(world: World) -> tuple[int, str, str]:
    """Number, hash and seal of the newest record as the head row has it; number -1 without one."""
    with world.db.reading():
        return audit.head(world.db) or (-1, "", "")
