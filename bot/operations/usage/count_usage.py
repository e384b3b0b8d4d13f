"""Counts token checks: the first use of a grant on a system is stored before the answer, the rest
is summed in memory and stored every second."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from bot.core.audit import Event
from bot.core.recorded_paths import RecordedPath, beyond_limit, paths_digest
from bot.core.usage import Known, SystemUsage
from bot.operations._places import MOST_AGENTS, first_place, later_place
from bot.operations._unit_of_work import SYSTEM, Context, Snapshot, unit
from bot.operations._usage import by_system, known_on
from storage import grants, recorded_paths, sessions, usage

ALLOWED = "allowed"
TOKEN, BROWSER = "token", "browser"
"""The kind of proof in a check: a token, or the cookie of a browser session."""

MOST_SOURCES = 10_000
"""The maximum of counters held between two writes; further ones are counted under the source
`other`."""

MOST_IN_A_MINUTE = 100
"""The maximum of sources for one grant on one system in a minute; further ones are counted under
`other`. A holder has a few, and invented ones must not fill the database."""

MOST_LISTED = 20
"""The number of sources in the audit record of a grant's end."""


MOST_PATHS = 500
"""The maximum of recorded paths of one grant; requests of further ones are counted together."""

MOST_PATHS_AT_ONCE = 10_000
"""The maximum of paths held between two writes; requests of further ones are counted together."""

CountKey = tuple[str, str, str, int, str, str]
Counts = dict[CountKey, tuple[int, int]]
"""The number of checks and the last of them, by grant, system, source, minute, outcome and way
in."""

PathKey = tuple[str, str, str, str]
PathSum = tuple[int, int, int, int]
Paths = dict[PathKey, PathSum]
"""Allowed and refused checks, the first and the last, by grant, system, method and path."""

PlaceKey = tuple[str, str, str]
"""A grant, an address and a user agent."""

_UNUSED, _COUNTED = SystemUsage(), tuple(each.name for each in fields(SystemUsage))


@dataclass(slots=True)
class UsageMeter:
    """The counter of one process; any thread may count."""

    world: Context
    _counts: Counts = field(default_factory=dict)
    _known: dict[tuple[str, str], None] = field(default_factory=dict)
    _sources: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    _paths: dict[PathKey, PathSum] = field(default_factory=dict)
    _places: dict[PlaceKey, str] = field(default_factory=dict)
    _noted: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    _minute: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def count(
        self,
        grant: str,
        system: str,
        source: str,
        outcome: str = ALLOWED,
        path: RecordedPath | None = None,
        agent: str = "",
        how: str = TOKEN,
    ) -> None:
        """Counts one check, and its path if the system records paths; `agent` is the program's name
        for itself, `how` the way in. Raises StorageUnavailable if a first use cannot be stored:
        then the check must be refused, because the use could not be proved later."""
        now = self.world.now()
        if outcome == ALLOWED and (grant, system) not in self._known:
            record_first_use(self.world, grant, system, source, agent, how)
            self._remember(grant, system)
        minute = now - now % 60
        with self._lock:
            known = self._counted_source(grant, system, source, minute)
            key = (grant, system, known, minute, outcome, how)
            if key not in self._counts and len(self._counts) >= MOST_SOURCES:
                key = (grant, system, "other", minute, outcome, how)
            self._counts[key] = (self._counts.get(key, (0, 0))[0] + 1, now)
            if outcome == ALLOWED:
                self._note_place((grant, source, agent), system)
            if path is not None:
                self._count_path((grant, system, *path), outcome == ALLOWED, now)

    def _count_path(self, key: PathKey, is_allowed: bool, now: int) -> None:
        if key not in self._paths and len(self._paths) >= MOST_PATHS_AT_ONCE:
            key = (*key[:2], *beyond_limit(key[2]))
        allowed, refused, first, _ = self._paths.get(key, (0, 0, now, now))
        self._paths[key] = (allowed + is_allowed, refused + (not is_allowed), first, now)

    def _note_place(self, place: PlaceKey, system: str) -> None:
        """Once a minute for each place, up to MOST_AGENTS programs at one address."""
        grant, source, agent = place
        if len(self._noted) >= MOST_SOURCES:
            return
        known = self._noted.get((grant, source))
        if known is None:
            known = self._noted[(grant, source)] = set()
        if agent not in known and len(known) < MOST_AGENTS:
            known.add(agent)
            self._places[place] = system

    def _counted_source(self, grant: str, system: str, source: str, minute: int) -> str:
        if minute != self._minute:
            self._minute = minute
            self._sources.clear()
            self._noted.clear()
        known = self._sources.get((grant, system))
        if known is None:
            known = self._sources[(grant, system)] = set()
        if source not in known and len(known) >= MOST_IN_A_MINUTE:
            return "other"
        known.add(source)
        return source

    @property
    def has_counts(self) -> bool:
        """Returns whether there are counts to store."""
        return bool(self._counts) or self._writing.locked()

    def flush(self) -> int:
        """Stores the counts and returns the number of rows; on an error no count is lost. Counts
        that another thread is storing are stored when this returns."""
        with self._writing:
            with self._lock:
                taken, self._counts = self._counts, {}
                paths, self._paths = self._paths, {}
                places, self._places = self._places, {}
            if not taken:
                return 0
            try:
                self._store(taken, paths)
            except Exception:
                self._give_back(taken, paths)
                self._places = {**places, **self._places}
                raise
            if places:
                record_places(self.world, places)
            return len(taken)

    def _store(self, taken: Counts, paths: Paths) -> None:
        db = self.world.db
        with db.transaction():
            usage.add(db, (usage.Count(*key, *counted) for key, counted in taken.items()))
            found = (recorded_paths.PathCount(*key, *counted) for key, counted in paths.items())
            recorded_paths.add(db, found, MOST_PATHS)

    def _give_back(self, taken: Counts, paths: Paths) -> None:
        with self._lock:
            for key, (count, last) in taken.items():
                now_count, now_last = self._counts.get(key, (0, 0))
                self._counts[key] = (count + now_count, max(last, now_last))
            for path, (allowed, refused, first, last) in paths.items():
                more = self._paths.get(path, (0, 0, first, last))
                self._paths[path] = (allowed + more[0], refused + more[1], first, more[3])

    def _remember(self, grant: str, system: str) -> None:
        if len(self._known) >= MOST_SOURCES:
            self._known.clear()
        self._known[(grant, system)] = None


def record_places(world: Context, found: Mapping[PlaceKey, str]) -> None:
    """Keeps from where grants were used; the values are their systems."""
    with unit(world) as u:
        known = {
            each.id: each for each in grants.several(u.db, sorted({grant for grant, *_ in found}))
        }
        for (grant, address, agent), system in found.items():
            if grant in known:
                later_place(u, known[grant], system, address, agent)


def record_first_use(
    world: Context, grant_id: str, system: str, source: str, agent: str = "", how: str = TOKEN
) -> None:
    """Records the first use of the grant on the system."""
    with world.db.reading():
        if usage.was_used(world.db, grant_id, system):
            return
    with unit(world) as u:
        grant = grants.get(u.db, grant_id)
        if grant is not None and usage.first(u.db, grant.id, system, u.now):
            where = first_place(u, grant, source, agent)
            u.record(Event.USE_FIRST, grant.person, grant, system=system, how=how, **where)


def sum_usage(world: Context, ended: Sequence[str]) -> None:
    """Adds the sums of use to the audit log when these grants have ended."""
    with unit(world) as u:
        counted = by_system(u.db, ended)
        kinds, methods = grants.connectors_of(u.db, ended), recorded_paths.numbers(u.db, ended)
        known: dict[tuple[str, str | None], Known] = {}
        for grant in grants.several(u.db, ended):
            for system in dict.fromkeys([*grant.systems, *counted[grant.id]]):
                here = counted[grant.id].get(system)
                sources = sources_of(u, grant.id, system) if here is not None else []
                kind = kinds.get((grant.id, system))
                if (system, kind) not in known:
                    # Without a kind the token is good for nothing there: that check was counted.
                    known[system, kind] = known_on(u, system, kind) if kind else Known.REPORTED
                facts = {name: getattr(here or _UNUSED, name) for name in _COUNTED}
                facts |= {"known": known[system, kind], "sources": sources}
                hows = usage.ways_in(u.db, grant.id, system) if here is not None else []
                facts |= {"how": hows} if hows else {}
                by_method = methods.get((grant.id, system))
                if by_method:
                    digest = paths_digest(recorded_paths.used(u.db, grant.id, system))
                    facts |= {"methods": by_method, "paths": digest}
                u.record(Event.USE_SUMMED, SYSTEM, grant, system=system, **facts)


def sources_of(u: Snapshot, grant: str, system: str) -> list[str]:
    """Returns the first twenty sources from which the grant was used on the system."""
    checks = usage.sources(u.db, grant, system, MOST_LISTED)
    return sorted({*checks, *sessions.sources(u.db, grant, system, MOST_LISTED)})[:MOST_LISTED]
