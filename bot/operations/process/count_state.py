"""Counts outbox rows, grants, requests and failing channels for the metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.operations._unit_of_work import Context, Snapshot, reading
from bot.operations.messages.keep_channels import channels_of
from bot.operations.messages.notify_each_lead import FAILING
from bot.operations.messages.record_posted import leads_unreachable
from storage import (
    alerts,
    anchors,
    emergencies,
    flags,
    grants,
    key_values,
    log_metrics,
    outbox,
    streams,
)


@dataclass(frozen=True, slots=True)
class Counts:
    """`outbox` is by queue, `grants` by state without those that are over. `failing` has the
    channels of roles.toml that refuse messages, with Slack's error. `unreachable` means that
    neither the security channel nor any lead accepts messages, `outdated` that another process has
    loaded another roles.toml since."""

    outbox: dict[str, int]
    grants: dict[str, int]
    failing: dict[str, str]
    unreachable: bool
    outdated: bool
    emergencies: int = 0
    """The emergencies whose review is not signed."""
    outbox_age: Mapping[str, int] = field(default_factory=dict)
    """Seconds for which the oldest due row of each queue has waited."""
    overdue: int = 0
    """Active grants whose end has passed."""
    unconfirmed: int = 0
    """Revocations that the security channel was alerted to and no system has confirmed."""
    flags: int = 0
    """That wait for an answer."""
    streams: Mapping[str, tuple[int, bool]] = field(default_factory=dict)
    """By stream: the number of records that it has not sent, and whether it is late."""
    head: int = 0
    """The number of the newest audit record."""
    head_age: int | None = None
    anchor_age: int | None = None
    """Seconds since the newest audit record, and since the newest anchor."""


def count_state(world: Context) -> Counts:
    """Returns the counts. Raises StorageUnavailable."""
    with reading(world) as u:
        db, now = world.db, u.now
        return Counts(
            outbox=outbox.counts(db),
            grants=grants.counts(db),
            failing=_failing(u),
            unreachable=leads_unreachable(u),
            outdated=u.outdated,
            emergencies=emergencies.count_open(db),
            outbox_age={queue: now - due for queue, due in outbox.overdue_since(db, now).items()},
            overdue=grants.count_overdue(db, now),
            unconfirmed=alerts.count_reported_open(db),
            flags=flags.count_open(db),
            streams=_streams(u),
            head=log_metrics.last_seq(db),
            head_age=_age(log_metrics.last_at(db), now),
            anchor_age=_age(anchors.newest_at(db), now),
        )


def _streams(u: Snapshot) -> dict[str, tuple[int, bool]]:
    newest = log_metrics.last_seq(u.db)
    found = {each.name: streams.cursor(u.db, each.name) for each in u.policy.streams}
    return {
        name: (newest - at.seq, at.late) if at else (newest, False) for name, at in found.items()
    }


def _age(at: int | None, now: int) -> int | None:
    return None if at is None else max(0, now - at)


def failing_channels(world: Context) -> dict[str, str]:
    """Returns the channels of roles.toml that refuse messages. Raises StorageUnavailable."""
    with world.db.reading():
        return _failing(Snapshot(world))


def _failing(u: Snapshot) -> dict[str, str]:
    kept = {key.removeprefix(FAILING): code for key, code in key_values.beginning(u.db, FAILING)}
    return {ref: kept[ref] for ref in sorted(channels_of(u.policy)) if ref in kept}
