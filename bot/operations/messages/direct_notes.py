"""Finds direct messages about grants and requests that are outdated, and describes the present
state for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.core import effects
from bot.core.model import GrantState, RequestState
from bot.operations._unit_of_work import Context, Snapshot, UnitOfWork, unit
from bot.operations.grants.describe_grant import GrantView, describe_grant
from bot.operations.requests.describe_request import RequestCard, describe_request
from storage import direct_notes, grants, outbox, requests
from storage.direct_notes import DirectNote, Place

__all__ = [
    "DirectNote",
    "ShownNote",
    "adopt_message",
    "describe_notes",
    "record_notes",
    "record_shown",
]

REMINDER = "reminder"
LOST = "lost"
"""A message whose post Slack never confirmed, known from a click on it."""

TRUE_IN: Mapping[str, GrantState] = {
    "scheduled": GrantState.SCHEDULED,
    "delayed": GrantState.STARTING,
    "active": GrantState.ACTIVE,
    "renewed": GrantState.ACTIVE,
    "unextended": GrantState.ACTIVE,
    "extended": GrantState.ACTIVE,
    "missing": GrantState.ACTIVE,
    REMINDER: GrantState.ACTIVE,
    "end_delayed": GrantState.ENDING,
    "failed": GrantState.FAILED,
    "ended": GrantState.ENDED,
}
"""The state of the grant in which each note is true."""

LASTING = frozenset(
    {
        "failed",
        "not_started",
        "ended",
        "denied",
        "lapsed",
        "emergency_skipped",
        "review_signed",
    }
)
"""Notes that stay true."""


@dataclass(frozen=True, slots=True)
class ShownNote:
    """One note of a direct message, with its grant or request. A note that is `past` is worded so
    that it stays true, and has no buttons."""

    note: DirectNote
    grant: GrantView | None
    request: RequestCard | None
    past: bool


def record_notes(world: Context, notes: Sequence[DirectNote]) -> None:
    """Records a direct message with these notes. Earlier notes about the same grants are past from
    now on."""
    with unit(world) as u:
        direct_notes.add(u.db, notes)
        update_stale(
            u, [n.grant for n in notes if n.grant], [n.request for n in notes if n.request]
        )


def update_stale(u: UnitOfWork, about: Sequence[str], asked: Sequence[str]) -> None:
    """Queues an update of each direct message that is outdated about these grants and requests."""
    update_messages(u, stale_messages(u, about, asked))


def update_messages(u: UnitOfWork, places: Sequence[Place]) -> None:
    """Queues an update of each of these messages, unless one is queued."""
    waiting = outbox.waiting(u.db, [effects.direct_key(*place) for place in places])
    u.do(
        *(
            effects.update_direct(*place)
            for place in places
            if effects.direct_key(*place) not in waiting
        )
    )


def stale_messages(u: Snapshot, about: Sequence[str], asked: Sequence[str]) -> list[Place]:
    """Returns channel and ts of the direct messages that are outdated about these grants and
    requests."""
    found = direct_notes.of_grants(u.db, about)
    newest = direct_notes.newest(u.db, sorted({note.grant for note in found}), LOST)
    states = {grant: grants.get(u.db, grant) for grant in {note.grant for note in found}}
    stale = [
        note
        for note in found
        if (grant := states[note.grant]) is None
        or _grant_past(note, grant.state, newest[note.grant])
    ]
    for note in direct_notes.of_requests(u.db, asked):
        request = requests.get(u.db, note.request)
        if request is None or _request_past(
            note, request.state, requests.is_posted(u.db, note.request)
        ):
            stale.append(note)
    return list(dict.fromkeys((note.channel, note.ts) for note in stale))


def describe_notes(world: Context, channel: str, ts: str) -> list[ShownNote]:
    """Returns the notes of a direct message, in order, as they are now."""
    with world.db.reading():
        notes = direct_notes.in_message(world.db, channel, ts)
        newest = direct_notes.newest(world.db, [note.grant for note in notes if note.grant], LOST)
    return [_told(world, note, newest) for note in notes]


def _told(world: Context, note: DirectNote, newest: Mapping[str, str]) -> ShownNote:
    if note.request:
        card = describe_request(world, note.request)
        past = card is None or _request_past(note, card.request.state, card.is_posted)
        return ShownNote(note, None, card, note.past or past)
    view = describe_grant(world, note.grant)
    past = view is None or _grant_past(note, view.grant.state, newest.get(note.grant, note.ts))
    return ShownNote(note, view, None, note.past or past)


def _grant_past(note: DirectNote, state: GrantState, newest: str) -> bool:
    if note.note in LASTING:
        return False
    return note.ts < newest or TRUE_IN.get(note.note) is not state


def _request_past(note: DirectNote, state: RequestState, is_posted: bool) -> bool:
    """Returns whether a request that could not be posted is decided or in its channel now."""
    return note.note not in LASTING and (is_posted or state is not RequestState.PENDING)


def record_shown(world: Context, channel: str, ts: str, places: Sequence[int]) -> None:
    """Records that these notes of a message are shown as past."""
    with world.db.transaction():
        direct_notes.set_past(world.db, channel, ts, places)


def adopt_message(world: Context, grant: str, person: str, channel: str, ts: str) -> None:
    """Records a direct message whose post was never confirmed, after a click on this grant's button
    in it. It loses its buttons unless it is the only known message."""
    with world.db.reading():
        found = grants.get(world.db, grant)
        if (
            found is None
            or found.person != person
            or direct_notes.in_message(world.db, channel, ts)
        ):
            return
    with unit(world) as u:
        note = LOST if direct_notes.newest(u.db, [grant], LOST) else "active"
        direct_notes.add(u.db, [DirectNote(channel, ts, 0, grant, "", note, u.now, False)])
        update_stale(u, [grant], [])
