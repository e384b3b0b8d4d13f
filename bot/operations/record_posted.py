"""What became of messages: where an approval was posted, that a reminder went out, what could not be delivered."""

from bot.core import effects
from bot.core.audit import Event
from bot.core.model import RequestState
from bot.operations._end import channel_of
from bot.operations._unit import SYSTEM, World, unit
from storage import facts, grants, requests

NO_FILE = "The records could not be sent to you. The command line can write them: access-bot audit export."


def record_posted(world: World, request_id: str, channel: str, ts: str, shown_state: str) -> None:
    """A copy of the approval message was posted; if the request moved on while it was, the copy is updated."""
    with unit(world) as u:
        requests.add_message(u.db, request_id, channel, ts)
        request = requests.get(u.db, request_id)
        if request is not None and request.state != shown_state:
            u.do(effects.update_approval(request_id, channel_of(u, request.role)))


def record_reminded(world: World, grant_id: str) -> None:
    """Slack took a reminder for the holder."""
    with unit(world) as u:
        grant = grants.get(u.db, grant_id)
        if grant is not None:
            u.record(Event.REMINDER_SENT, SYSTEM, grant, ends_at=grant.ends_at)


def record_undelivered(world: World, kind: str, to: str, error: str) -> None:
    """A message can never be delivered: on record, and told to the security channel once for each cause."""
    with unit(world) as u:
        u.note(Event.MESSAGE_UNDELIVERED, SYSTEM, subject=to, kind=kind, error=error)
        channel = u.policy.workspace.security_channel
        if to != channel and facts.claim_key(u.db, f"undelivered:{to}:{error}:{u.now // 86400}", u.now):
            u.tell_leads("undelivered", kind=kind, to=to, error=error)
        if kind == effects.Kind.SEND_EXPORT:  # whoever waits for a file would wait for ever
            u.do(effects.answer(to, "", "text", text=f"{NO_FILE} Slack said: {error}."))


def record_unposted(world: World, request_id: str, channel: str, error: str) -> None:
    """A request could not be put before its approvers: the workspace's channel is asked instead, and where that fails
    too, the requester is told that nobody has seen it."""
    record_undelivered(world, "post_approval", channel, error)
    with unit(world) as u:
        request = requests.get(u.db, request_id)
        if request is None or request.state is not RequestState.PENDING:
            return
        if channel != u.policy.workspace.approvals_channel:
            u.do(effects.post_approval(request_id, u.policy.workspace.approvals_channel))
        else:
            u.do(effects.tell_person(request.requester, "unposted", request=request_id))
