"""Counts outbox rows, grants, requests and failing channels for the metrics."""

from dataclasses import dataclass

from bot.operations._unit_of_work import Context, Snapshot, reading
from bot.operations.messages.keep_channels import channels_of
from bot.operations.messages.notify_each_lead import FAILING
from bot.operations.messages.record_posted import leads_unreachable
from storage import emergencies, grants, key_values, outbox


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
    """Whose review is not signed."""


def count_state(world: Context) -> Counts:
    """Returns the counts. Raises StorageUnavailable."""
    with reading(world) as u:
        rows, held = outbox.counts(world.db), grants.counts(world.db)
        open_now = emergencies.count_open(world.db)
        return Counts(rows, held, _failing(u), leads_unreachable(u), u.outdated, open_now)


def failing_channels(world: Context) -> dict[str, str]:
    """Returns the channels of roles.toml that refuse messages. Raises StorageUnavailable."""
    with world.db.reading():
        return _failing(Snapshot(world))


def _failing(u: Snapshot) -> dict[str, str]:
    kept = {key.removeprefix(FAILING): code for key, code in key_values.beginning(u.db, FAILING)}
    return {ref: kept[ref] for ref in sorted(channels_of(u.policy)) if ref in kept}
