"""Replaces approval messages in channels that are archived or deleted: pending requests are posted
again, and decided ones are updated there if the channel comes back."""

from collections.abc import Collection

from bot.core import effects
from bot.operations._end_grant import channel_of
from bot.operations._unit_of_work import Context, UnitOfWork, unit
from storage import key_values, outbox, requests

CLOSED = frozenset({"is_archived", "channel_not_found"})
"""Slack's errors that mean that nobody can see or click a message there."""

MOST = 1000


def note_channels(
    u: UnitOfWork, seen: Collection[str], archived: Collection[str], named: Collection[str]
) -> None:
    """Compares stored channels with the ids of all channels that the bot sees (`seen`) and of
    archived ones. A channel that roles.toml names by id (`named`) may be of a kind that is not
    listed, so it does not count as deleted."""
    for channel in requests.lost_channels(u.db):
        if channel in seen and channel not in archived:
            note_open(u, channel)
    for channel in requests.waiting_channels(u.db):
        if channel in archived or (channel not in seen and channel not in named):
            note_closed(u, channel)


def note_closed(u: UnitOfWork, channel: str) -> None:
    """Posts requests that wait in this channel to where its name leads now, as if they had never
    been posted."""
    if channel[:1] not in ("C", "G") or not key_values.bind(
        u.db, requests.LOST + channel, str(u.now)
    ):
        return
    posting = outbox.posting(u.db)
    for request in requests.unposted(u.db, MOST):
        if request.id not in posting and channel in dict(requests.messages(u.db, request.id)):
            u.do(effects.post_approval(request, channel_of(u, request.role)))


def note_open(u: UnitOfWork, channel: str) -> None:
    """Updates the messages in a channel that accepts messages again."""
    if key_values.get(u.db, requests.LOST + channel) is None:
        return
    key_values.drop(u.db, requests.LOST + channel)
    for request, role in requests.shown_in(u.db, channel, MOST):
        u.do(effects.update_approval(request, channel_of(u, role), last=True))


def record_closed(world: Context, channels: Collection[str]) -> None:
    """Records that updates of messages in these channels were refused. Raises
    StorageUnavailable."""
    with unit(world) as u:
        for channel in channels:
            note_closed(u, channel)
