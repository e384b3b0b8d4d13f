"""Copies of approval messages in channels that are archived or gone: nobody can press there, so what still waits for a
decision is posted anew, and what was decided meanwhile is shown there should the channel come back.
"""

from collections.abc import Collection

from bot.core import effects
from bot.operations._end import channel_of
from bot.operations._unit import Unit, World, unit
from storage import facts, outbox, requests

CLOSED = frozenset({"is_archived", "channel_not_found"})
"""Slack's errors after which nobody sees, or can press, what was posted there."""

MOST = 1000


def note_channels(u: Unit, seen: Collection[str], archived: Collection[str], named: Collection[str]) -> None:
    """`seen` and `archived` are the ids of all channels that the bot sees. One that roles.toml names by its id
    (`named`) may be of a kind that is not listed, so it isn't gone because it is not seen."""
    for channel in requests.lost_channels(u.db):
        if channel in seen and channel not in archived:
            note_open(u, channel)
    for channel in requests.waiting_channels(u.db):
        if channel in archived or (channel not in seen and channel not in named):
            note_closed(u, channel)


def note_closed(u: Unit, channel: str) -> None:
    """Posts requests that wait in this channel where its name leads now, as if they had never been posted."""
    if channel[:1] not in ("C", "G") or not facts.bind(u.db, requests.LOST + channel, str(u.now)):
        return
    posting = outbox.posting(u.db)
    for request in requests.unposted(u.db, MOST):
        if request.id not in posting and channel in dict(requests.messages(u.db, request.id)):
            u.do(effects.post_approval(request, channel_of(u, request.role)))


def note_open(u: Unit, channel: str) -> None:
    """The channel takes messages: updates those in it if it did not take them before."""
    if facts.get(u.db, requests.LOST + channel) is None:
        return
    facts.drop(u.db, requests.LOST + channel)
    for request, role in requests.shown_in(u.db, channel, MOST):
        u.do(effects.update_approval(request, channel_of(u, role), last=True))


def record_closed(world: World, channels: Collection[str]) -> None:
    """Updates of messages there were refused. Raises StorageUnavailable."""
    with unit(world) as u:
        for channel in channels:
            note_closed(u, channel)
