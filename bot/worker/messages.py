"""Handlers that send Slack messages, and report messages that Slack refuses."""

from collections.abc import Callable

from bot.core.errors import SystemRefused
from bot.operations.claim_work import Work
from bot.operations.messages.record_posted import (
    forward_refused_notes,
    record_undelivered,
    record_unposted,
)
from bot.worker.deps import HandlerDeps


def with_usage(send: Callable[[HandlerDeps, Work], None]) -> Callable[[HandlerDeps, Work], None]:
    """Writes the token checks counted so far, before a message says how a grant was used."""

    def run(deps: HandlerDeps, work: Work) -> None:
        if deps.meter.has_counts and any(row.data.get("note") == "ended" for row in work.rows):
            deps.meter.flush()
        send(deps, work)

    return run


def report_undelivered(deps: HandlerDeps, work: Work, error: SystemRefused) -> None:
    """Reports to the security channel that Slack refuses it."""
    to = str(work.data.get("channel") or work.data.get("person") or "")
    work.finish(record_undelivered, work.row.kind, to, str(error))


def report_unposted(deps: HandlerDeps, work: Work, error: SystemRefused) -> None:
    """Sends a request to its approvers when its channel can't be posted to."""
    request, channel = work.data["request"], work.data["channel"]
    work.finish(record_unposted, request, channel, str(error), again=bool(work.data.get("again")))


def forward_refused(deps: HandlerDeps, work: Work, error: SystemRefused) -> None:
    """Sends to each lead the notes that the security channel refuses."""
    notes = [(row.kind, row.data) for row in work.rows]
    work.finish(forward_refused_notes, notes, work.data["channel"], str(error))
