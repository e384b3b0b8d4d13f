"""Raises flags from new records of the log, once however many processes run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from bot.core import effects
from bot.core.audit import Entry, Event, parsed_detail
from bot.core.flags.decision_rules import OPEN_FOR
from bot.core.flags.evaluate import Past, Raised, Recent, Repeated, evaluate, still_open
from bot.core.flags.facts import EVENTS, Fact, LogRow, fact_of
from bot.core.flags.flag import Flag
from bot.core.flags.index import HOUR, KEPT, MOST, Index
from bot.core.flags.rule import FlagSettings
from bot.core.flags.rules import RULES
from bot.core.roles import Policy
from bot.operations._unit_of_work import SYSTEM, Context, UnitOfWork, new_id, unit
from storage import audit, emergencies, flags
from storage.database import Database

log = logging.getLogger(__name__)

BATCH = 500
"""The most records that are checked at a time."""

UNSTORED = 1000
"""The records without a flag after which the position in the log is stored. Until then nothing is
written, so that the check costs the other transactions nothing."""

AS_OFTEN = 10
"""Seconds between two looks for emergencies whose review is open for too long."""

MOST_PEOPLE = 1000
"""The most people whose facts are held in memory; beyond it, all are read from the log again."""

MOST_OPEN = 200
"""The most open emergencies that are checked at a time."""

OPEN_RULE = "emergency_open"

ONCE = tuple(rule.name for rule in RULES.values() if rule.once)


@dataclass(slots=True)
class _Batch:
    """The findings of the rules after record `start`, which is the stored position; `end` is the
    last record that was read."""

    start: int
    end: int
    found: list[Raised | Repeated]
    is_last: bool


@dataclass(slots=True)
class FlagRaiser:
    """Reads the log for one process. The index has the facts up to record `_read`, as long as the
    stored position is `_stored`: another process that stored a later one makes it out of date.
    After record `_idle` there was nothing to do at `_looked_at`."""

    world: Context
    _index: Index = field(default_factory=Index)
    _stored: int = -1
    _read: int = -1
    _idle: int = -1
    _looked_at: int = 0

    def raise_new(self) -> int:
        """Raises the flags of the records since the last call; returns their number. Raises
        StorageUnavailable."""
        count = 0
        try:
            while (batch := self._next()) is not None:
                count += self._raise(batch)
                if batch.is_last:
                    break
        except Exception:
            # The index may have facts that were not stored, so they are read again.
            self._stored = -1
            raise
        return count

    def _next(self) -> _Batch | None:
        """The next facts; None if there are none. Reads without a lock, so that nobody waits."""
        with self.world.db.reading():
            now, head = self.world.now(), audit.last(self.world.db)
            if head == self._idle and 0 <= now - self._looked_at < AS_OFTEN:
                return None
            start = flags.cursor(self.world.db)
            if start != self._stored or len(self._index) > MOST_PEOPLE:
                self._index.forget()
                self._stored = self._read = start
            return self._check(start, head, now)

    def _check(self, start: int, head: int, now: int) -> _Batch | None:
        """Checks the facts after record `_read`, and adds them to the index."""
        settings = settings_of(self.world.policy())
        rows = audit.after(self.world.db, self._read, EVENTS, BATCH)
        is_last = len(rows) < BATCH
        last = int(rows[-1][0]) if rows else head
        end = max(head, last) if is_last else last  # a record may have followed since `head`
        facts = [found for row in rows if (found := fact_of(log_row(row))) is not None]
        facts += self._open_emergencies(settings)
        if not facts and end - start < UNSTORED:
            self._idle, self._looked_at = end, now
            return None
        for person in {person for fact in facts for person in fact.people}:
            self._load(person, self._read)
        facts.sort(key=lambda fact: (fact.at, fact.seq))
        recent = _recent(self.world.db, facts) if facts else Recent()
        self._read = end
        findings = [each for fact in facts for each in self._found(fact, recent, settings)]
        return _Batch(start, end, findings, is_last)

    def _found(
        self, fact: Fact, recent: Recent, settings: FlagSettings
    ) -> Sequence[Raised | Repeated]:
        """The findings in a fact. A rule that fails must not stop the rules for later facts."""
        try:
            return list(evaluate(fact, self._index, recent, settings))
        except Exception:
            log.exception("record %s could not be checked for flags", fact.seq)
            return []

    def _open_emergencies(self, settings: FlagSettings) -> list[Fact]:
        """The emergencies whose review is open for too long and that are not flagged yet."""
        if OPEN_RULE in settings.off:
            return []
        since = self.world.now() - OPEN_FOR
        found = [
            still_open(each.person, each.role, each.request, each.grant, each.started_at)
            for each in emergencies.open_now(self.world.db, MOST_OPEN)
            if each.started_at <= since
        ]
        return [each for each in found if not flags.is_known(self.world.db, _open_key(each))]

    def _load(self, person: str, until: int) -> None:
        if self._index.knows(person):
            return
        since = self.world.now() - KEPT
        rows = audit.about(self.world.db, person, EVENTS, since, until, MOST)
        found = (fact_of(log_row(row)) for row in rows)
        self._index.put(person, (each for each in found if each and person in each.people))

    def _raise(self, batch: _Batch) -> int:
        """Stores the findings, unless another process has read these records."""
        if not batch.found and batch.end - batch.start < UNSTORED:
            return 0
        with unit(self.world) as u:
            if flags.locked_cursor(u.db) != batch.start:
                self._stored = -1
                return 0
            count = _store_all(u, batch.found)
            flags.move(u.db, batch.end)
        self._stored = batch.end
        return count


def settings_of(policy: Policy) -> FlagSettings:
    """The settings of a roles.toml, with the zone of its workspace."""
    return replace(policy.flags, zone=ZoneInfo(policy.workspace.timezone))


def _open_key(fact: Fact) -> str:
    return f"{OPEN_RULE}:{fact.key}"


def log_row(row: Sequence[Any]) -> LogRow:
    seq, at, event, actor, subject, role, system, request, grant, detail = row
    about = (role, system, request, grant)
    return LogRow(seq, at, event, actor, subject, *about, parsed_detail(str(detail)))


def _recent(db: Database, facts: Sequence[Fact]) -> Recent:
    """The flags that repetitions and combinations are compared with."""
    found = Recent()
    earliest = min(fact.at for fact in facts)
    for each in (*flags.of_rules(db, ONCE), *flags.since(db, earliest - HOUR)):
        person = "" if each.quiet else each.person
        found.add(Past(each.key, each.rule, each.about, person, each.at))
    return found


def _store_all(u: UnitOfWork, found: Sequence[Raised | Repeated]) -> int:
    """Stores flags and repetitions, and queues the messages; returns the number of messages."""
    raised: dict[str, None] = {}
    for each in found:
        if isinstance(each, Repeated):
            flags.repeat(u.db, each.key, each.at)
        elif (id := _store(u, each, raised)) and not each.quiet:
            raised[id] = None
    if channel := u.policy.workspace.security_channel:
        u.do(*(effects.post_flag(channel, id) for id in raised))
    return len(raised)


def _store(u: UnitOfWork, found: Raised, raised: dict[str, None]) -> str:
    """Stores and records a flag and returns its id, or "" if it is known. Flags that it is combined
    with become a part of it."""
    fact, id = found.fact, new_id("w")
    about = (fact.person, fact.role, fact.system, fact.request, fact.grant)
    flag = Flag(
        *(id, found.key, found.rule, found.severity, found.about, *about, found.sentence),
        *(fact.at, u.now, found.quiet),
        last_at=fact.at,
    )
    if not flags.add(u.db, flag):
        return ""
    joined = flags.join(u.db, found.with_keys, id, found.severity)
    for each in joined:
        if each in raised:
            del raised[each]
        else:
            u.do(effects.update_flag(each))
    detail: dict[str, object] = {
        "source": u.world.source,
        "flag": id,
        "rule": found.rule,
        "key": found.key,
    }
    detail |= {"severity": str(found.severity), "sentence": found.sentence, "at": fact.at}
    detail |= {"with": joined} if joined else {}
    u.entries.append(Entry(Event.FLAG_RAISED, SYSTEM, *about, detail=detail))
    return id
