"""Keeps where each person uses their access from, and records use from another place."""

from typing import Any, NamedTuple

from bot.core.audit import Event, without_unstorable
from bot.core.flags.facts import network_of
from bot.core.flags.index import HOUR, LOOKED_BACK
from bot.core.flags.use_rules import APART
from bot.core.model import Grant
from bot.operations._criteria import is_on_call
from bot.operations._unit_of_work import UnitOfWork
from storage import places
from storage.places import Place

LONGEST_AGENT = 200
"""The most characters of a user agent that are kept."""

MOST_AGENTS = 20
"""The most programs of one person in one network that count separately. A client can send any name,
and invented names must not fill the log."""

OTHER_AGENTS = "other programs"
"""Stands for all further programs in a network."""

RECORDED_EVERY = HOUR
"""Seconds between two records that a person is in the same two places."""


class _Seen(NamedTuple):
    """Whether the place is new, and the other places in which the person was seen shortly
    before."""

    place: Place
    is_new: bool
    elsewhere: list[Place]


def first_place(u: UnitOfWork, grant: Grant, address: str, agent: str = "") -> dict[str, Any]:
    """Keeps the place of a first use; returns the facts about it for the record."""
    facts: dict[str, Any] = {"source_address": address}
    if is_on_call(u, grant.person):
        facts["on_call"] = True
    if (seen := _see(u, grant, address, agent)) is None:
        return facts
    places.keep(u.db, seen.place, u.now)
    return facts | _on_record(seen)


def later_place(u: UnitOfWork, grant: Grant, system: str, address: str, agent: str = "") -> None:
    """Keeps the place of a later use. It is recorded if the person was not there in the last 90
    days, or was elsewhere shortly before."""
    if (seen := _see(u, grant, address, agent)) is None:
        return
    known = places.get(u.db, grant.person, seen.place.network, seen.place.agent)
    is_told = known is not None and known.recorded_at > u.now - RECORDED_EVERY
    is_recorded = seen.is_new or (bool(seen.elsewhere) and not is_told)
    places.keep(u.db, seen.place, u.now if is_recorded else None)
    if is_recorded:
        detail = {"source_address": address, **_on_record(seen)}
        u.record(Event.USE_MOVED, grant.person, grant, system=system, **detail)


def _see(u: UnitOfWork, grant: Grant, address: str, agent: str) -> _Seen | None:
    network = network_of(address)
    if not network:
        return None
    place = Place(grant.person, network, without_unstorable(agent)[:LONGEST_AGENT], u.now)
    since = u.now - LOOKED_BACK
    if places.has_other(u.db, place, since, MOST_AGENTS):
        place = place._replace(agent=OTHER_AGENTS)
    known = places.of(u.db, grant.person, since)
    others = [each for each in known if each.at >= u.now - APART and _differs(each, place)]
    is_new = all(each.key != place.key for each in known)
    return _Seen(place, is_new, others)


def _differs(one: Place, other: Place) -> bool:
    if not one.agent or not other.agent:
        return False
    return one.network != other.network and one.agent != other.agent


def _on_record(seen: _Seen) -> dict[str, Any]:
    others = [
        {"network": each.network, "agent": each.agent, "at": each.at} for each in seen.elsewhere
    ]
    agent = {"agent": seen.place.agent} if seen.place.agent else {}
    return {**agent, **({"elsewhere": others} if others else {})}
