"""Records the sessions that a system lists: new ones, open ones, and ones that are gone."""

from collections.abc import Sequence

from bot.core.audit import without_unstorable
from bot.core.observed import Session
from bot.operations._unit_of_work import Context, unit
from bot.operations._usage import OBSERVED, note_session, report_use_after_end
from storage import grants, key_values, sessions

LONGEST = 200
"""The maximum of characters stored of a session's name and source."""


def systems_to_watch(world: Context) -> dict[str, str]:
    """Returns systems that may have sessions, with their kind of connector: those under grants that
    are not over, and those where the bot saw open sessions."""
    with world.db.reading():
        return grants.systems_in_use(world.db)


def claim_poll(world: Context, system: str, slot: int) -> bool:
    """Claims poll number `slot` of a system; returns False if another process has it. Raises
    StorageUnavailable."""
    with world.db.transaction():
        return key_values.put(world.db, f"look at sessions of {system}", str(slot))


def record_sessions(world: Context, system: str, found: Sequence[Session], asked_at: int) -> None:
    """Records the sessions that were open on the system at `asked_at` (UTC seconds). Newer results
    of another process stay. Raises StorageUnavailable."""
    with unit(world) as u:
        key_values.bind(u.db, OBSERVED.format(system), "yes")
        known = {
            grant.id: grant
            for grant in grants.several(u.db, sorted({each.grant for each in found}))
        }
        ours = [
            each for each in found if each.grant in known and system in known[each.grant].systems
        ]
        now = {
            (s.grant, _kept(s.name)): (_kept(s.source), min(s.opened_at, asked_at)) for s in ours
        }
        before = sessions.watched_open(u.db, system)
        sessions.miss(
            u.db, [(grant, system, name) for grant, name in before.keys() - now.keys()], asked_at
        )
        sessions.see(
            u.db, [(grant, system, name, *rest) for (grant, name), rest in now.items()], asked_at
        )
        for (grant, name), (source, opened_at) in now.items():
            if (grant, name) not in before:
                note_session(u, known[grant], system, name, source, opened_at)
            report_use_after_end(u, known[grant], system, name, source, opened_at, asked_at)


def _kept(text: str) -> str:
    return without_unstorable(text)[:LONGEST]
