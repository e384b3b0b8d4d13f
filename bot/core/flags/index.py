"""The index of recent facts, by person. Each event updates it, and rules read it instead of the
log."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from bot.core.flags.facts import Fact, What

MINUTE, HOUR, DAY = 60, 3600, 86_400

KEPT = 180 * DAY
"""Seconds for which a fact is kept: the rules look back 90 days, and a person who comes back after
longer is still known."""

LOOKED_BACK = 90 * DAY
"""Seconds of history that a rule compares with."""

MOST = 2000
"""The most facts of one person that are kept, so that one busy person can't fill the memory."""

ENOUGH = 10
"""Earlier facts from which on a habit counts as known. With fewer, a rule that compares a person
with their own past finds nothing: almost everything would look new."""


_AT = attrgetter("at")


@dataclass(slots=True)
class Index:
    """The recent facts of each person, oldest first. Records of several processes may be in another
    order, because their clocks differ."""

    _of: dict[str, list[Fact]] = field(default_factory=dict)

    def knows(self, person: str) -> bool:
        return person in self._of

    def put(self, person: str, facts: Iterable[Fact]) -> None:
        """Replaces the facts of a person."""
        self._of[person] = sorted(facts, key=_AT)

    def add(self, fact: Fact) -> None:
        for person in fact.people:
            facts = self._of.setdefault(person, [])
            insort(facts, fact, key=_AT)
            if len(facts) > MOST or facts[0].at < fact.at - KEPT - DAY:
                self._of[person] = [f for f in facts[-MOST:] if f.at >= fact.at - KEPT]

    def forget(self) -> None:
        self._of.clear()

    def __len__(self) -> int:
        return len(self._of)

    def before(self, fact: Fact, *what: What, within: int = LOOKED_BACK) -> Sequence[Fact]:
        """The facts of these kinds about the same person in the `within` seconds before this one,
        which is not in the index yet."""
        facts = self._of.get(fact.person, [])
        start = bisect_left(facts, fact.at - within, key=_AT)
        some = facts[start : bisect_right(facts, fact.at, key=_AT)]
        return [each for each in some if each.person == fact.person and each.what in what]

    def is_newcomer(self, fact: Fact) -> bool:
        """Whether the person is in an onboarding, in which everything is new."""
        ramps = self.before(fact, What.ONBOARDING, What.ONBOARDED, within=KEPT)
        return bool(ramps) and ramps[-1].what is What.ONBOARDING

    def votes_for(self, fact: Fact, requester: str, within: int) -> dict[str, set[str]]:
        """The approvers of each request of `requester` on which somebody voted."""
        found: dict[str, set[str]] = {}
        for each in self._of.get(requester, []):
            recent = each.what is What.APPROVED and each.at >= fact.at - within
            if recent and each.other == requester:
                found.setdefault(each.request, set()).add(each.person)
        return found
