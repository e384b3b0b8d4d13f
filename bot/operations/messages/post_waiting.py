"""Posts pending requests that no channel shows because posting failed when they were made."""

from bot.core import effects
from bot.core.model import Request
from bot.operations._end_grant import channel_of
from bot.operations._unit_of_work import UnitOfWork
from bot.operations.messages.notify_each_lead import FAILING
from storage import key_values, outbox, requests

_MOST = 1000


def post_waiting(u: UnitOfWork) -> None:
    """Queues a post of each to the first of its channels that accepts messages. If all channels of
    some requests refuse, only the oldest is tried: when it is accepted, the others follow."""
    # Read before the requests: a post that finishes in between has a copy.
    posting = outbox.posting(u.db)
    failing = {key.removeprefix(FAILING) for key, _ in key_values.beginning(u.db, FAILING)}
    tried: set[str] = set()
    for request in requests.unposted(u.db, _MOST):
        if request.id in posting or key_values.claimed(u.db, [unpostable(request.id)]):
            continue
        channels = _channels(u, request)
        channel = next((each for each in channels if each not in failing), channels[0])
        if channel in failing and channel in tried:
            continue
        tried.add(channel)
        u.do(effects.post_approval(request, channel, again=True))


def unpostable(request: str) -> str:
    """Returns the key of a request whose message is refused everywhere, or may have been posted
    already."""
    return f"unpostable:{request}"


def _channels(u: UnitOfWork, request: Request) -> list[str]:
    return [channel_of(u, request.role), u.policy.workspace.approvals_channel]
