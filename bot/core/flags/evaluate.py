"""Checks facts against the rules, folds repetitions, and combines different rules on one person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bot.core.flags.decision_rules import OPEN_FOR
from bot.core.flags.facts import Fact, What
from bot.core.flags.index import HOUR, Index
from bot.core.flags.rule import FlagSettings, Found, Rule, Severity
from bot.core.flags.rules import RULES

FOLDED_FOR = HOUR
"""Seconds in which the same rule on the same person counts as one flag."""

COMBINED_WITHIN = HOUR
"""Seconds in which two different rules on one person become one flag of high severity."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A flag. `about` is the person, or the other subject of the rule; `key` is equal in every
    reading of the log. `with_keys` are the flags that it is combined with."""

    key: str
    rule: str
    severity: Severity
    about: str
    sentence: str
    fact: Fact
    quiet: bool = False
    with_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeated:
    """A repetition: the rule found the person before, so this counts for the flag with this key."""

    key: str
    at: int


@dataclass(frozen=True, slots=True)
class Past:
    """A flag that was raised before. `person` is "" if it was quiet."""

    key: str
    rule: str
    about: str
    person: str
    at: int


@dataclass(slots=True)
class Recent:
    """The flags that were raised lately, and those that are raised only once."""

    _of: dict[tuple[str, str], list[Past]] = field(default_factory=dict)
    _by_person: dict[str, list[Past]] = field(default_factory=dict)

    def add(self, past: Past) -> None:
        self._of.setdefault((past.rule, past.about), []).append(past)
        if past.person:
            self._by_person.setdefault(past.person, []).append(past)

    def same(self, rule: Rule, about: str, at: int) -> Past | None:
        """The flag that a repetition at this time counts for."""
        found = reversed(self._of.get((rule.name, about), []))
        return next((p for p in found if rule.once or abs(p.at - at) < FOLDED_FOR), None)

    def others(self, rule: Rule, person: str, at: int) -> tuple[str, ...]:
        """The flags of other rules on this person in the last hour. One of a clock that was ahead
        is later than that."""
        found = [p for p in self._by_person.get(person, []) if p.at > at - COMBINED_WITHIN]
        self._by_person[person] = found
        return tuple(p.key for p in found if p.rule != rule.name and p.at < at + COMBINED_WITHIN)


def evaluate(
    fact: Fact, index: Index, recent: Recent, settings: FlagSettings
) -> Iterator[Raised | Repeated]:
    """Yields the findings of the rules in a fact, then adds the fact to the index."""
    for rule in RULES.values():
        if fact.what in rule.on and rule.name not in settings.off:
            found = rule.check(fact, index, settings)
            if found is not None:
                yield _outcome(rule, found, fact, recent)
    index.add(fact)


def _outcome(rule: Rule, found: Found, fact: Fact, recent: Recent) -> Raised | Repeated:
    about = found.about or fact.person
    if (same := recent.same(rule, about, fact.at)) is not None:
        return Repeated(same.key, fact.at)
    alone = rule.quiet or not fact.person
    others = () if alone else recent.others(rule, fact.person, fact.at)
    severity = Severity.HIGH if others else found.severity or rule.severity
    key = f"{rule.name}:{fact.key}"
    recent.add(Past(key, rule.name, about, "" if alone else fact.person, fact.at))
    return Raised(key, rule.name, severity, about, found.sentence, fact, rule.quiet, others)


def with_open_emergencies(facts: Iterable[Fact], until: int) -> Iterator[Fact]:
    """The facts of a log in order, with one more for each emergency that was not reviewed in
    time."""
    waiting: dict[str, Fact] = {}
    for fact in facts:
        yield from _overdue(waiting, fact.at)
        if fact.what is What.EMERGENCY:
            waiting[fact.request] = fact
        if fact.what is What.REVIEWED:
            waiting.pop(fact.request, None)
        yield fact
    yield from _overdue(waiting, until)


def _overdue(waiting: dict[str, Fact], now: int) -> list[Fact]:
    """Takes out the emergencies that are open for too long, oldest first."""
    due = [each for each in waiting.values() if each.at + OPEN_FOR <= now]
    for each in due:
        del waiting[each.request]
    return [still_open(each.person, each.role, each.request, each.grant, each.at) for each in due]


def still_open(person: str, role: str, request: str, grant: str, started_at: int) -> Fact:
    """The fact that the review of this emergency was not signed in time."""
    at = started_at + OPEN_FOR
    return Fact(0, at, What.STILL_OPEN, person, role=role, request=request, grant=grant)
