"""What is open on a system, as it was seen there: new sessions, those that go on, and those that are gone."""

from collections.abc import Sequence

from bot.core.audit import storable
from bot.core.reality import Session
from bot.operations._unit import World, unit
from bot.operations._use import SEEN, note_outlived, note_session
from storage import facts, grants, sessions

LONGEST = 200
"""Characters that are kept of what a system calls a session, and of where it comes from."""


def systems_to_watch(world: World) -> dict[str, str]:
    """Where there may be sessions, with the kind of system: under grants that are not over, and what we saw open."""
    with world.db.reading():
        return grants.systems_in_use(world.db)


def claim_look(world: World, system: str, slot: int) -> bool:
    """Takes the look number `slot` at a system; False when another process has. Raises StorageUnavailable."""
    with world.db.transaction():
        return facts.put(world.db, f"look at sessions of {system}", str(slot))


def record_sessions(world: World, system: str, found: Sequence[Session], asked_at: int) -> None:
    """Writes down what the system said was open when it was asked (UTC seconds). What another process saw there
    after that is left alone. Raises StorageUnavailable."""
    with unit(world) as u:
        facts.bind(u.db, SEEN.format(system), "yes")
        known = {grant.id: grant for grant in grants.several(u.db, sorted({each.grant for each in found}))}
        ours = [each for each in found if each.grant in known and system in known[each.grant].systems]
        now = {(s.grant, _kept(s.name)): (_kept(s.source), min(s.opened_at, asked_at)) for s in ours}
        before = sessions.watched_open(u.db, system)
        sessions.miss(u.db, [(grant, system, name) for grant, name in before.keys() - now.keys()], asked_at)
        sessions.see(u.db, [(grant, system, name, *rest) for (grant, name), rest in now.items()], asked_at)
        for (grant, name), (source, opened_at) in now.items():
            if (grant, name) not in before:
                note_session(u, known[grant], system, name, source, opened_at)
            note_outlived(u, known[grant], system, name, source, opened_at, asked_at)


def _kept(text: str) -> str:
    return storable(text)[:LONGEST]
