"""Effects: the work that follows a commit. Each is one small value, kept as an outbox row until it
is done.

An effect names rows by id and never carries a text that a person typed, or a secret; the worker
reads the rows as they are when it carries the effect out. `queue` says which threads do it; effects
with the same `ordering_key` are done in order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from bot.core.model import Grant, Request


class Queue(StrEnum):
    """Each queue has its own workers, so that no work waits behind another kind."""

    END = "end"
    START = "start"
    DECIDE = "decide"
    SLACK = "slack"
    UPDATE = "update"


class Kind(StrEnum):
    START_GRANT = "start_grant"
    EXTEND_LEASE = "extend_lease"
    END_LEASE = "end_lease"
    SUM_USAGE = "sum_usage"
    DECIDE = "decide"
    ASK = "ask"
    LOOK_UP_PERSON = "look_up_person"
    REFRESH_GROUPS = "refresh_groups"
    REFRESH_PEOPLE = "refresh_people"
    REFRESH_CHANNELS = "refresh_channels"
    POST_APPROVAL = "post_approval"
    UPDATE_APPROVAL = "update_approval"
    UPDATE_DIRECT = "update_direct"
    UPDATE_ANSWER = "update_answer"
    CLEAR_WINDOW = "clear_window"
    REFRESH_MESSAGES = "refresh_messages"
    THREAD_NOTE = "thread_note"
    PING = "ping"
    NOTIFY_PERSON = "notify_person"
    REMIND = "remind"
    NOTIFY_SECURITY = "notify_security"
    ALERT = "alert"
    UPDATE_ALERT = "update_alert"
    POST_FLAG = "post_flag"
    UPDATE_FLAG = "update_flag"
    FLAG_THREAD = "flag_thread"
    ANSWER = "answer"
    SEND_EXPORT = "send_export"
    VERIFY_AUDIT = "verify_audit"
    WRITE_ANCHOR = "write_anchor"
    STAMP_ANCHOR = "stamp_anchor"
    RECONCILE = "reconcile"
    REMOVE_ORPHAN = "remove_orphan"
    PUBLISH_HOME = "publish_home"
    RAMP_NOTE = "ramp_note"
    SUGGEST_BUNDLE = "suggest_bundle"
    UPDATE_RAMP_NOTE = "update_ramp_note"
    SEND_DIGEST = "send_digest"
    REVIEW_NOTE = "review_note"
    UPDATE_REVIEW_NOTE = "update_review_note"


@dataclass(frozen=True, slots=True)
class Effect:
    kind: Kind
    queue: Queue
    ordering_key: str
    data: Mapping[str, object] = field(default_factory=dict)
    delay: int = 0
    systems: tuple[str, ...] = ()
    """The systems that it calls."""
    person: str = ""
    """The person who caused it: a person's second row waits for the first rows of all others."""


SUM_AFTER = 3
"""Seconds after which every process has written its counts."""


REFRESH_AFTER = 2
"""Seconds after a change in which another often follows, so that messages are updated once for
both."""


def grant_key(grant: str) -> str:
    """All calls to systems about one grant happen one after the other."""
    return f"grant:{grant}"


def start_grant(grant: str, systems: Sequence[str]) -> Effect:
    return Effect(
        Kind.START_GRANT, Queue.START, grant_key(grant), {"grant": grant}, systems=tuple(systems)
    )


def extend_lease(grant: str, system: str) -> Effect:
    data = {"grant": grant, "system": system}
    return Effect(Kind.EXTEND_LEASE, Queue.START, grant_key(grant), data, systems=(system,))


def end_lease(grant: str, system: str, *, late: bool = False, delay: int = 0) -> Effect:
    """Has the ordering key of its grant: an end never overtakes a start that is under way, so no
    access is created after it. `late`: an attempt to start timed out, so the system is checked once
    more after the end."""
    data = {"grant": grant, "system": system, **({"late": True} if late else {})}
    return Effect(Kind.END_LEASE, Queue.END, grant_key(grant), data, delay, systems=(system,))


def sum_usage(grants: Sequence[str]) -> Effect:
    """Runs a little after the end, when every process has written its counted checks."""
    return Effect(
        Kind.SUM_USAGE, Queue.START, usage_key(grants[0]), {"grants": [*grants]}, SUM_AFTER
    )


def usage_key(grant: str) -> str:
    return f"usage:{grant}"


def decide(request: str, voter: str, data: Mapping[str, object]) -> Effect:
    """A press on Approve or Deny, to be counted once Slack has confirmed who pressed."""
    facts = {**data, "request": request, "voter": voter}
    return Effect(Kind.DECIDE, Queue.DECIDE, f"decide:{request}:{voter}", facts, person=voter)


def ask(person: str, role: str, until: int, data: Mapping[str, object]) -> Effect:
    """A request or renewal that waits `until` then for Slack to report the people and groups of its
    role."""
    facts = {**data, "person": person, "role": role, "until": until}
    return Effect(Kind.ASK, Queue.DECIDE, ask_key(person, role), facts, person=person)


def ask_key(person: str, role: str) -> str:
    return f"ask:{person}:{role}"


def look_up_person(person: str) -> Effect:
    key = person_key(person)
    return Effect(Kind.LOOK_UP_PERSON, Queue.DECIDE, key, {"person": person}, person=person)


def person_key(person: str) -> str:
    return f"person:{person}"


GROUPS_KEY = "groups"


def refresh_groups() -> Effect:
    return Effect(Kind.REFRESH_GROUPS, Queue.DECIDE, GROUPS_KEY)


def refresh_people() -> Effect:
    return Effect(Kind.REFRESH_PEOPLE, Queue.DECIDE, "people")


CHANNELS_KEY = "channels"


def refresh_channels() -> Effect:
    """Looks up again which channel each name in roles.toml leads to."""
    return Effect(Kind.REFRESH_CHANNELS, Queue.SLACK, CHANNELS_KEY)


def post_approval(request: Request, channel: str, *, again: bool = False) -> Effect:
    """Posts a request to a channel, or to one approver (`channel` is their id) by direct message.
    `again`: an earlier failure was reported, so another one is not."""
    data = {"request": request.id, "channel": channel, **({"again": True} if again else {})}
    return Effect(Kind.POST_APPROVAL, Queue.SLACK, f"to:{channel}", data, person=request.requester)


def update_approval(request: str, channel: str, delay: int = 0, *, last: bool = False) -> Effect:
    """Updates every posted copy to the state at that time. An approval waits a moment for the
    start, so that one update shows both; a quicker start runs it earlier (`storage/outbox.py`).
    `last`: after all other messages."""
    data = {"request": request, "channel": channel}
    queue = Queue.UPDATE if last else Queue.SLACK
    return Effect(Kind.UPDATE_APPROVAL, queue, update_key(request), data, delay)


def update_key(request: str) -> str:
    return f"update:{request}"


def refresh_messages(
    grants: Sequence[str], requests: Sequence[str], cards: Sequence[str]
) -> Effect:
    """Finds the messages that show these grants and requests and updates those that are out of
    date; `cards` are the grants whose approval messages are out of date too. A little later, so
    that one update shows several changes."""
    data = {"grants": [*grants], "requests": [*requests], "cards": [*cards]}
    first = next(iter((*grants, *requests)))
    return Effect(Kind.REFRESH_MESSAGES, Queue.UPDATE, f"refresh:{first}", data, REFRESH_AFTER)


def update_direct(channel: str, ts: str) -> Effect:
    """Updates a direct message to the state at that time."""
    return Effect(
        Kind.UPDATE_DIRECT, Queue.UPDATE, direct_key(channel, ts), {"channel": channel, "ts": ts}
    )


def update_answer(answer: str) -> Effect:
    """Updates an ephemeral answer to the state at that time."""
    return Effect(Kind.UPDATE_ANSWER, Queue.UPDATE, answer_key(answer), {"answer": answer})


def clear_window(window: str) -> Effect:
    """Removes the credentials from a modal (Slack's id), if it is still open."""
    return Effect(Kind.CLEAR_WINDOW, Queue.UPDATE, f"window:{window}", {"window": window})


def answer_key(answer: str) -> str:
    return f"private:{answer}"


def direct_key(channel: str, ts: str) -> str:
    return f"direct:{channel}:{ts}"


def thread_note(grant: Grant, channel: str, note: str, /, **facts: object) -> Effect:
    """In the turn of the requester, so that it follows the message that it belongs to."""
    data = {"request": grant.request, "channel": channel, "note": note, **facts}
    return Effect(Kind.THREAD_NOTE, Queue.SLACK, f"to:{channel}", data, person=grant.person)


def ping(request: Request, channel: str, ts: str, why: str) -> Effect:
    """Mentions those who may decide on a request, in the thread of one copy of its message. `why`
    is `quiet`, `tier` or `escalated`."""
    data = {"request": request.id, "channel": channel, "ts": ts, "why": why}
    return Effect(Kind.PING, Queue.SLACK, f"to:{channel}", data, person=request.requester)


def notify_person(person: str, note: str, **facts: object) -> Effect:
    return Effect(
        Kind.NOTIFY_PERSON, Queue.SLACK, f"to:{person}", {"person": person, "note": note, **facts}
    )


def remind(grant: str, person: str) -> Effect:
    return Effect(Kind.REMIND, Queue.SLACK, f"to:{person}", {"grant": grant, "person": person})


def notify_security(channel: str, note: str, **facts: object) -> Effect:
    return Effect(
        Kind.NOTIFY_SECURITY,
        Queue.SLACK,
        f"to:{channel}",
        {"channel": channel, "note": note, **facts},
    )


def alert(channel: str, grant: str, system: str) -> Effect:
    """Alerts the security channel about an unconfirmed end, with its state at that time."""
    return Effect(
        Kind.ALERT,
        Queue.SLACK,
        f"to:{channel}",
        {"channel": channel, "grant": grant, "system": system},
    )


def alert_lead(lead: str, grant: str, system: str) -> Effect:
    """The alert for one lead, with its own ordering key, so that it waits for no other message."""
    data = {"channel": lead, "grant": grant, "system": system}
    return Effect(Kind.ALERT, Queue.SLACK, f"alerts:{lead}", data)


def later(effect: Effect, seconds: int) -> Effect:
    """Returns a copy of the effect that is due in `seconds`."""
    return replace(effect, delay=seconds)


def update_alert(channel: str, ts: str) -> Effect:
    """Updates a posted alert with the present state of the ends in it."""
    return Effect(
        Kind.UPDATE_ALERT, Queue.SLACK, alert_key(channel, ts), {"channel": channel, "ts": ts}
    )


def alert_key(channel: str, ts: str) -> str:
    return f"alert:{channel}:{ts}"


def post_flag(channel: str, flag: str) -> Effect:
    """Posts a flag, as it is then, to the security channel, or to a lead (their id)."""
    return Effect(
        Kind.POST_FLAG, Queue.SLACK, f"flag:{channel}", {"channel": channel, "flag": flag}
    )


def update_flag(flag: str) -> Effect:
    """Shows the state of a flag in every message about it."""
    return Effect(Kind.UPDATE_FLAG, Queue.SLACK, flag_key(flag), {"flag": flag})


def flag_key(flag: str) -> str:
    return f"update flag:{flag}"


def flag_thread(flag: str, channel: str, ts: str) -> Effect:
    """Mentions the leads in the thread of a message about a flag that somebody investigates."""
    data = {"flag": flag, "channel": channel, "ts": ts}
    return Effect(Kind.FLAG_THREAD, Queue.SLACK, f"flag:{channel}", data)


def answer(person: str, channel: str, note: str, **facts: object) -> Effect:
    """A private answer where the person clicked, or by direct message if Slack can't show it
    there."""
    data = {"person": person, "channel": channel, "note": note, **facts}
    return Effect(Kind.ANSWER, Queue.SLACK, f"answer:{person}", data, person=person)


def send_export(person: str, filters: Mapping[str, object]) -> Effect:
    data = {"person": person, "filters": dict(filters)}
    return Effect(Kind.SEND_EXPORT, Queue.SLACK, f"export:{person}", data, person=person)


def verify_audit(person: str, channel: str) -> Effect:
    """Verifies the whole chain, which takes seconds for a large log, and answers like `answer`."""
    data = {"person": person, "channel": channel}
    return Effect(Kind.VERIFY_AUDIT, Queue.SLACK, f"verify:{person}", data, person=person)


ANCHOR_FILE = "anchor file"
"""The ordering key of anchors that wait to be appended to the anchor file."""


def write_anchor(seq: int, digest: str, at: int, token: str = "") -> Effect:
    """Appends an anchor to the anchor file."""
    data = {"seq": seq, "hash": digest, "at": at, "token": token}
    return Effect(Kind.WRITE_ANCHOR, Queue.DECIDE, ANCHOR_FILE, data)


def stamp_anchor(seq: int, digest: str, at: int) -> Effect:
    """Asks the time-stamp authority about an anchor."""
    data = {"seq": seq, "hash": digest, "at": at}
    return Effect(Kind.STAMP_ANCHOR, Queue.DECIDE, "time stamps", data)


def reconcile(by: str, channel: str) -> Effect:
    """Compares the access on all systems with our records; one at a time, because it may take a
    minute. `by` is a lead who gets the answer in `channel`, or "system"."""
    return Effect(Kind.RECONCILE, Queue.DECIDE, "reconcile", {"by": by, "channel": channel})


def remove_orphan(finding: str, by: str, channel: str) -> Effect:
    """Removes access that drift found from a system, after a lead has confirmed it."""
    return Effect(
        Kind.REMOVE_ORPHAN,
        Queue.DECIDE,
        "remove",
        {"finding": finding, "by": by, "channel": channel},
    )


def publish_home(person: str, section: str = "", skip: int = 0, *, last: bool = False) -> Effect:
    """The App Home of a person; `section` begins after `skip` rows, the others at their first.

    `last`: after all other messages."""
    queue = Queue.UPDATE if last else Queue.SLACK
    page = {"section": section, "skip": skip} if skip else {}
    return Effect(
        Kind.PUBLISH_HOME, queue, home_key(person), {"person": person, **page}, person=person
    )


def home_key(person: str) -> str:
    return f"home:{person}"


def ramp_note(person: str, note: str, ramp: str, number: int = 0) -> Effect:
    """Notifies one person about a ramp or one of its stages, as it is then."""
    data = {"person": person, "note": note, "ramp": ramp, "number": number}
    return Effect(Kind.RAMP_NOTE, Queue.SLACK, f"to:{person}", data)


def suggest_bundle(lead: str, newcomer: str, bundle: str) -> Effect:
    """Offers a lead to start the onboarding of a person who joined."""
    data = {"person": lead, "newcomer": newcomer, "bundle": bundle}
    return Effect(Kind.SUGGEST_BUNDLE, Queue.SLACK, f"to:{lead}", data)


def update_ramp_note(channel: str, ts: str) -> Effect:
    """Shows a posted note about a ramp as it is then."""
    data = {"channel": channel, "ts": ts}
    return Effect(Kind.UPDATE_RAMP_NOTE, Queue.UPDATE, ramp_message_key(channel, ts), data)


def ramp_message_key(channel: str, ts: str) -> str:
    return f"ramp:{channel}:{ts}"


def send_digest(to: str, report: str, since: int, until: int) -> Effect:
    """A report (`bot.core.digest.Report`) about the time from `since` to `until`, for a channel or
    one lead."""
    data = {"channel": to, "report": report, "since": since, "until": until}
    return Effect(Kind.SEND_DIGEST, Queue.SLACK, f"to:{to}", data)


def review_note(person: str, campaign: str, note: str) -> Effect:
    """Asks one person to decide in a review, if something waits for them then; `note` is `started`
    or `reminder`."""
    data = {"person": person, "campaign": campaign, "note": note}
    return Effect(Kind.REVIEW_NOTE, Queue.SLACK, f"to:{person}", data)


def update_review_note(channel: str, ts: str, campaign: str) -> Effect:
    """Shows in a posted message that the review is closed."""
    data = {"channel": channel, "ts": ts, "campaign": campaign}
    return Effect(Kind.UPDATE_REVIEW_NOTE, Queue.UPDATE, f"review:{channel}:{ts}", data)
