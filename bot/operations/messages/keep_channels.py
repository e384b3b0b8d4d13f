"""Stores which channel each name in roles.toml resolves to, and which places accept no messages."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from bot.core import effects
from bot.core.audit import Event
from bot.core.errors import StorageUnavailable
from bot.core.roles import Policy
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, unit
from bot.operations.messages.lost_copies import note_channels, note_open
from bot.operations.messages.notify_each_lead import FAILING, leads_of, notify_each_lead
from bot.operations.messages.post_waiting import post_waiting
from storage import key_values, outbox

log = logging.getLogger(__name__)

LOOKED_UP_EVERY = 600
"""Seconds between two look-ups, for all processes together."""

_ID = "channel "


@dataclass(frozen=True, slots=True)
class Place:
    """A channel or person as far as known: the `id` of a channel's name, and whether messages to it
    were refused lately."""

    id: str | None
    is_failing: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """Every channel that the bot can see: the id of each `#name`, all ids, and those of archived
    channels."""

    ids: Mapping[str, str]
    seen: frozenset[str]
    archived: frozenset[str]


def known_place(world: Context, ref: str) -> Place:
    """Returns the stored facts about a channel (id or `#name`) or a person. Raises
    StorageUnavailable."""
    with world.db.reading():
        kept = key_values.get_all(world.db, (_ID + ref, FAILING + ref))
    return Place(kept.get(_ID + ref) or None, FAILING + ref in kept)


def id_of(u: UnitOfWork, ref: str) -> str:
    """Returns the id of a channel or person, given by id or `#name`, as far as known."""
    return (key_values.get(u.db, _ID + ref) or ref) if ref.startswith("#") else ref


def channels_of(policy: Policy) -> set[str]:
    """Returns every channel that roles.toml names, by id or `#name`."""
    named = {policy.workspace.approvals_channel, policy.workspace.security_channel}
    return (named | {role.channel for role in policy.roles.values()}) - {""}


def look_up_channels(world: Context) -> None:
    """Queues a look-up of all names, unless one is queued. Raises StorageUnavailable."""
    with unit(world) as u:
        _queue_look_up(u)


def look_up_channels_in_turn(world: Context) -> bool:
    """Queues a look-up once in LOOKED_UP_EVERY seconds, whichever process asks first."""
    with unit(world) as u:
        if not key_values.claim_key(u.db, f"channels:{u.now // LOOKED_UP_EVERY}", u.now):
            return False
        _queue_look_up(u)
    return True


def _queue_look_up(u: UnitOfWork) -> None:
    if not outbox.run_now(u.db, [effects.CHANNELS_KEY], u.now):
        u.do(effects.refresh_channels())


def record_channels(world: Context, listing: Listing) -> None:
    """Stores the id of each `#name`, and reports a name that now resolves to another channel or to
    none. Requests waiting in a channel that is archived or deleted are posted again."""
    found = listing.ids
    with unit(world) as u:
        note_channels(u, listing.seen, listing.archived, channels_of(u.policy))
        wanted = {ref for ref in channels_of(u.policy) if ref.startswith("#")}
        known = {
            key.removeprefix(_ID): value for key, value in key_values.beginning(u.db, _ID + "#")
        }
        for name in sorted(wanted | known.keys()):
            if name not in wanted:
                key_values.drop(u.db, _ID + name)
            elif name in found:
                _keep(u, name, known.get(name, ""), found[name])
            elif known.get(name) and key_values.put(u.db, _ID + name, ""):
                _report(u, Event.CHANNEL_LOST, "channel_lost", name, was=known[name])


def _keep(u: UnitOfWork, name: str, was: str, now: str) -> None:
    if key_values.put(u.db, _ID + name, now) and was:
        _report(u, Event.CHANNEL_MOVED, "channel_moved", name, was=was, now=now)


def _report(u: UnitOfWork, event: Event, note: str, name: str, **ids: str) -> None:
    """Reports to the security channel, or to each lead by direct message if that channel is
    concerned."""
    log.warning("%s: %s %s", event, name, ids)
    u.note(event, SYSTEM, subject=name, **ids)
    is_security = name == u.policy.workspace.security_channel
    if is_security:
        notify_each_lead(u, note, name=name, **ids)
    if not is_security or event is Event.CHANNEL_MOVED:
        u.notify_leads(note, name=name, **ids)


def refresh_done(world: Context, found: Listing | None) -> None:
    """Stores the result of a look-up of all names (None if it failed), and posts requests that no
    channel shows."""
    if found is not None:
        record_channels(world, found)
    with unit(world) as u:
        kept = channels_of(u.policy) | set(leads_of(u))
        for key, _ in key_values.beginning(u.db, FAILING):
            if key.removeprefix(FAILING) not in kept:
                key_values.drop(u.db, key)
        post_waiting(u)


def place_works(world: Context, ref: str) -> None:
    """Posts the messages that waited for this place, after it accepted a message again. Never
    raises, because the message must not be repeated for this."""
    try:
        with unit(world) as u:
            key_values.drop(u.db, FAILING + ref)
            note_open(u, id_of(u, ref))
            post_waiting(u)
    except StorageUnavailable as error:
        log.warning("%s takes messages again, which is noticed at the next one: %s", ref, error)
