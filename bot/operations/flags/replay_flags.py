"""Applies the rules to the whole log again, and counts the answers to the flags of each."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.core.flags.evaluate import Raised, Recent, evaluate, with_open_emergencies
from bot.core.flags.facts import EVENTS, fact_of
from bot.core.flags.index import KEPT, Index
from bot.core.flags.rule import FlagSettings
from bot.core.flags.rules import RULES
from bot.operations._unit_of_work import Context
from bot.operations.flags.raise_flags import log_row
from storage import audit, flags


@dataclass(frozen=True, slots=True)
class Replayed:
    """The findings of the rules in the log: `raised` in order, and the answers to the flags of each
    rule, "" for none. A flag that was never raised has no answer."""

    raised: tuple[Raised, ...]
    answers: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self, rule: str) -> int:
        return sum(each.rule == rule for each in self.raised)

    @property
    def rules(self) -> list[str]:
        """The rules that found something, in their order."""
        return [name for name in RULES if self.count(name)]


Row = tuple[Any, ...]
Watch = Callable[[Iterator[Row], int], Iterable[Row]]


def _unwatched(rows: Iterator[Row], _count: int) -> Iterator[Row]:
    return rows


def replay_flags(
    world: Context, since: int, settings: FlagSettings, watch: Watch = _unwatched
) -> Replayed:
    """Checks every record of the log from `since` on, after a history that is only read. `watch`
    gets the records as they are read, and their number. Raises StorageUnavailable."""
    index, recent, raised = Index(), Recent(), list[Raised]()
    with world.db.reading():
        count = audit.count_facts(world.db, since - KEPT, EVENTS)
    rows = watch(audit.facts(world.db, since - KEPT, EVENTS), count)
    facts = (fact for row in rows if (fact := fact_of(log_row(row))) is not None)
    for fact in with_open_emergencies(facts, world.now()):
        if fact.at < since:
            index.add(fact)
            continue
        found = evaluate(fact, index, recent, settings)
        raised += [each for each in found if isinstance(each, Raised)]
    return Replayed(tuple(raised), _answers(world, raised))


def _answers(world: Context, raised: list[Raised]) -> dict[str, Counter[str]]:
    with world.db.reading():
        known = {flag.key: flag.answer for flag in flags.since(world.db, -1)}
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for each in raised:
        if each.key in known:
            found[each.rule][known[each.key]] += 1
    return dict(found)
