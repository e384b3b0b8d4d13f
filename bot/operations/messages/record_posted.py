"""Records results of Slack messages: posted approvals, sent reminders, and undeliverable
messages."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from bot.core import effects
from bot.core.audit import Event
from bot.core.effects import Kind
from bot.core.model import RequestState
from bot.operations._end_grant import channel_of
from bot.operations._pings import asked_directly
from bot.operations._unit_of_work import SYSTEM, Context, Snapshot, UnitOfWork, unit
from bot.operations.messages.keep_channels import id_of
from bot.operations.messages.lost_copies import CLOSED, note_closed, note_open
from bot.operations.messages.notify_each_lead import (
    FAILING,
    forward_to_leads,
    leads_of,
    notify_each_lead,
)
from bot.operations.messages.post_waiting import unpostable
from storage import grants, key_values, outbox, requests

log = logging.getLogger(__name__)

NO_FILE = (
    "The records could not be sent to you. The command line can write them: access-bot audit"
    " export."
)

ABOUT_THE_MESSAGE = frozenset(
    [
        "answer_lost",
        "invalid_arguments",
        "invalid_blocks",
        "invalid_blocks_format",
        "message_not_found",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "thread_not_found",
    ]
)
"""Errors that do not concern the channel or person that the message was for."""

REFUSED_WITHIN = 300

_READER = "reader of "
"""Prefix of the key that stores who reads the direct messages of a channel."""

AFTER_THEM = 5
"""Seconds that the message to the requester waits, so that it can say how many approvers have the
request."""


def record_posted(
    world: Context, request_id: str, channel: str, ts: str, shown_state: str, reader: str = ""
) -> None:
    """Records a posted copy of the approval message, and queues its update if the request has
    changed meanwhile. `reader` is the person of a direct message."""
    with unit(world) as u:
        requests.add_message(u.db, request_id, channel, ts)
        if _is_person(reader):
            key_values.put(u.db, _READER + channel, reader)
        note_open(u, channel)
        request = requests.get(u.db, request_id)
        if request is None:
            return
        u.show(request)
        waits = outbox.waiting(u.db, [effects.update_key(request_id)])
        if not waits and (request.state != shown_state or request.state is RequestState.APPROVED):
            u.do(effects.update_approval(request_id, channel_of(u, request.role)))


def reader_of(world: Context, channel: str) -> str:
    """Returns who reads a direct message in this channel, "" if that is not known. Raises
    StorageUnavailable."""
    if _is_person(channel):
        return channel
    with world.db.reading():
        return key_values.get(world.db, _READER + channel) or ""


def record_reminded(world: Context, grant_id: str) -> None:
    """Records that Slack accepted a reminder for the holder."""
    with unit(world) as u:
        grant = grants.get(u.db, grant_id)
        if grant is not None:
            u.record(Event.REMINDER_SENT, SYSTEM, grant, ends_at=grant.ends_at)


def record_leads_notified(world: Context, notes: Sequence[tuple[str, str]]) -> None:
    """Records that the leads received these notes, each with its grant."""
    with unit(world) as u:
        for note, grant in notes:
            key_values.claim_key(u.db, leads_notified(note, grant), u.now)


NOTED_TO_LEADS = ("alert", "missing", "start_failed", "unextended")
"""Notes to the leads that the holder's own message mentions."""


def leads_notified(note: str, grant: str) -> str:
    """Returns the key that stores it."""
    return f"leads notified:{note}:{grant}"


def record_undelivered(world: Context, kind: str, to: str, error: str) -> None:
    """Records a message that can never be delivered, and reports it once a day for each cause.
    Groups are requested every few seconds: the same refusal of that is recorded once in
    REFUSED_WITHIN seconds."""
    with unit(world) as u:
        within = f"undelivered:{kind}:{error}:{u.now // REFUSED_WITHIN}"
        if kind == effects.Kind.REFRESH_GROUPS and not key_values.claim_key(u.db, within, u.now):
            return
        _undelivered(u, kind, to, error)
        if kind == effects.Kind.SEND_EXPORT:  # the lead would wait for the file indefinitely
            u.do(effects.answer(to, "", "text", text=f"{NO_FILE} Slack said: {error}."))


def _undelivered(u: UnitOfWork, kind: str, to: str, error: str) -> None:
    """Reports to the security channel, or to each lead by direct message if that channel is
    concerned."""
    u.note(Event.MESSAGE_UNDELIVERED, SYSTEM, subject=to, kind=kind, error=error)
    _note_failing(u, to, error)
    if key_values.claim_key(u.db, f"undelivered:{to}:{error}:{u.now // 86400}", u.now):
        is_security = to == u.policy.workspace.security_channel
        notify = notify_each_lead if is_security else UnitOfWork.notify_leads
        notify(u, "undelivered", kind=kind, to=to, error=error)


def _note_failing(u: UnitOfWork, to: str, error: str) -> None:
    code = error.partition(" ")[0]
    if to and code not in ABOUT_THE_MESSAGE:
        key_values.put(u.db, FAILING + to, code)
    if code in CLOSED:
        note_closed(u, id_of(u, to))


def forward_refused_notes(
    world: Context, work: Sequence[tuple[Kind, Mapping[str, Any]]], to: str, error: str
) -> None:
    """Sends notes or alerts that the security channel refused to each lead by direct message. A
    message that a lead's direct messages refuse as well is only recorded."""
    with unit(world) as u:
        _undelivered(u, work[0][0], to, error)
        if not _is_person(to):
            forward_to_leads(u, work, error)
        elif leads_unreachable(u):
            log.error(
                "no lead can be notified: the security channel and each direct message are refused"
                " (%s)",
                error,
            )


def leads_unreachable(u: Snapshot) -> bool:
    """Returns whether neither the security channel nor any lead accepts messages now."""
    leads = leads_of(u)
    places = [u.policy.workspace.security_channel, *leads]
    return len(key_values.get_all(u.db, [FAILING + place for place in places])) == len(places)


def record_unposted(
    world: Context, request_id: str, channel: str, error: str, again: bool = False
) -> None:
    """Handles a request that could not be posted for its approvers: the workspace's channel is
    tried instead. If that fails too, approvers get it by direct message, and the requester is
    notified. With `again` it was reported before and is only retried."""
    with unit(world) as u:
        if again:
            _note_failing(u, channel, error)
        else:
            _undelivered(u, effects.Kind.POST_APPROVAL, channel, error)
        request = requests.get(u.db, request_id)
        if request is None or request.state is not RequestState.PENDING or _is_person(channel):
            return
        if error.partition(" ")[0] in ABOUT_THE_MESSAGE:
            key_values.claim_key(u.db, unpostable(request_id), u.now)
        if channel != u.policy.workspace.approvals_channel:
            u.do(effects.post_approval(request, u.policy.workspace.approvals_channel, again=again))
        elif not again:
            role = u.role_of(request)
            people = asked_directly(u, role, request) if role else []
            u.do(*(effects.post_approval(request, person) for person in people))
            u.do(
                effects.later(
                    effects.notify_person(request.requester, "unposted", request=request_id),
                    AFTER_THEM,
                )
            )


def _is_person(ref: str) -> bool:
    return ref[:1] in ("U", "W")
