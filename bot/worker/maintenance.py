"""Handlers that sum up usage, update outdated messages, and compare systems with our records."""

from bot.operations.claim_work import Work
from bot.operations.messages.refresh_messages import find_stale, queue_updates
from bot.operations.systems.reconcile import reconcile as record_scan
from bot.operations.systems.remove_orphan import record_removed, refuse_removal
from bot.operations.usage.count_usage import sum_usage as record_sum
from bot.worker.deps import HandlerDeps


def sum_usage(deps: HandlerDeps, work: Work) -> None:
    """Sums up how grants that have ended were used."""
    deps.meter.flush()
    work.finish(record_sum, work.data["grants"])


def refresh_messages(deps: HandlerDeps, work: Work) -> None:
    """Finds the messages that are out of date."""
    data = work.data
    stale = find_stale(deps.world, data["grants"], data["requests"], data["cards"])
    work.finish(queue_updates, stale)


def reconcile(deps: HandlerDeps, work: Work) -> None:
    """Compares the access on every system with our records."""
    work.finish(record_scan, deps.inventory.scan(), work.data["by"], work.data["channel"])


def remove_orphan(deps: HandlerDeps, work: Work) -> None:
    """Removes an orphan, which a lead has confirmed, from its system."""
    removal = deps.inventory.remove(work.data["finding"])
    by, channel = work.data["by"], work.data["channel"]
    if removal is None:
        work.finish(refuse_removal, by, channel)
    else:
        work.finish(record_removed, removal, by, channel)
