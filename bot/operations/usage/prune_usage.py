"""Replaces the details of old use by their sums: addresses, sessions and paths may be personal
data."""

from collections.abc import Sequence

from bot.core import effects
from bot.core.audit import Event
from bot.core.usage import SystemUsage
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, reading, unit
from bot.operations._usage import by_system
from storage import outbox, recorded_paths, sessions, usage

BATCH = 200
SUMMED = "summed"
"""Stands for the addresses in a row that sums others up."""


def prune_usage(world: Context) -> int:
    """Prunes the use of grants that ended, were summed up in the log, and were not used for longer
    than `[retention] usage`; returns their number. Raises StorageUnavailable."""
    kept = world.policy().retention.usage
    if kept is None:
        return 0
    with reading(world) as u:
        found = [] if u.outdated else usage.old(u.db, u.now - kept)
    pruned = 0
    for start in range(0, len(found), BATCH):
        with unit(world) as changing:
            pruned += sum_details(changing, found[start : start + BATCH])
    if pruned:
        with unit(world) as done:
            done.note(Event.USAGE_PRUNED, SYSTEM, grants=pruned, kept_for=kept)
    return pruned


def sum_details(u: UnitOfWork, grants: Sequence[str]) -> int:
    """Leaves one row for each of these grants, system and outcome; returns the number of grants. A
    grant whose sum waits to be recorded is left out."""
    waiting = outbox.waiting(u.db, [effects.usage_key(grant) for grant in grants])
    chosen = [grant for grant in grants if effects.usage_key(grant) not in waiting]
    if not chosen:
        return 0
    sums = [
        row
        for grant, systems in by_system(u.db, chosen).items()
        for system, here in systems.items()
        for row in _rows(grant, system, here, u.now)
    ]
    for table in (usage, sessions, recorded_paths):
        table.forget(u.db, chosen)
    usage.add(u.db, sums)
    return len(chosen)


def _rows(grant: str, system: str, here: SystemUsage, now: int) -> list[usage.Count]:
    first, last = here.first or now, here.last or now
    counted = {"allowed": here.allowed + here.sessions, "refused": here.refused}
    return [
        usage.Count(grant, system, SUMMED, first, outcome, "", count, last)
        for outcome, count in counted.items()
        if count
    ]
