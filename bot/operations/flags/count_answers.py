"""Counts the flags of a period by rule and answer, so that a rule can be tuned."""

from collections import defaultdict
from dataclasses import dataclass

from bot.core.flags.flag import EXPECTED, REVOKED
from bot.core.flags.rules import RULES
from bot.operations._unit_of_work import Context
from storage import flags


@dataclass(frozen=True, slots=True)
class RuleCount:
    """The flags of one rule. `repeated` are repetitions that were folded into them, `investigated`
    those that somebody investigated, whatever the answer. Those without an answer are `unanswered`,
    except for `quiet` ones, which need none."""

    rule: str
    raised: int = 0
    repeated: int = 0
    expected: int = 0
    investigated: int = 0
    revoked: int = 0
    unanswered: int = 0
    quiet: int = 0

    @property
    def expected_share(self) -> float | None:
        """The share of its answered flags that were expected; None without an answer."""
        answered = self.expected + self.revoked
        return self.expected / answered if answered else None


def count_answers(world: Context, start: int, end: int) -> list[RuleCount]:
    """The flags that were raised from `start` until before `end`, in the order of the rules; a rule
    without any is left out. Raises StorageUnavailable."""
    with world.db.reading():
        found = flags.count(world.db, start, end)
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for each in found:
        of = counts[each.rule]
        of["raised"] += each.flags
        of["repeated"] += each.times - each.flags
        of["investigated"] += each.investigated
        of["expected"] += each.flags * (each.answer == EXPECTED)
        of["revoked"] += each.flags * (each.answer == REVOKED)
        of["quiet"] += each.quiet * (not each.answer)
        of["unanswered"] += (each.flags - each.quiet) * (not each.answer)
    order = {name: place for place, name in enumerate(RULES)}
    names = sorted(counts, key=lambda name: (order.get(name, len(order)), name))
    return [RuleCount(name, **counts[name]) for name in names]
