"""Prometheus counters and histograms of the audit log: records, requests by outcome, the time to a
decision, and the lateness of ends.

Each scrape counts the records since the one before. The log belongs to all processes, so each of
them reports the same.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from bot.core.audit import Event
from bot.core.errors import StorageUnavailable
from bot.operations._unit_of_work import Context
from bot.operations.process.count_records import EventCount, count_records

DECISION_BUCKETS = (1, 10, 60, 300, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400)
LATENESS_BUCKETS = (1, 2, 5, 10, 30, 60, 300, 900, 3600, 14_400)

OUTCOMES: Mapping[str, str] = {
    Event.REQUEST_ASKED: "asked",
    Event.APPROVAL_GIVEN: "approved",
    Event.DENIAL_GIVEN: "denied",
    Event.RULE_DENIED: "denied_by_rule",
    Event.REQUEST_WITHDRAWN: "withdrawn",
    Event.REQUEST_LAPSED: "lapsed",
}
BY_RULE = "approved_by_rule"


class Buckets:
    """A histogram of whole seconds."""

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0

    def add(self, values: Iterable[int]) -> None:
        for value in values:
            self._counts[bisect_left(self._bounds, value)] += 1
            self._sum += value

    def family(self, name: str, words: str) -> HistogramMetricFamily:
        family, total, buckets = HistogramMetricFamily(name, words), 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric([], buckets, self._sum)
        return family


class LogMetrics(Collector):
    def __init__(self, world: Context) -> None:
        self._world, self._lock = world, threading.Lock()
        self._last: int | None = None
        # Each begins at 0, because Prometheus does not count the increase to a first value.
        self._events: Counter[str] = Counter(dict.fromkeys(map(str, Event), 0))
        self._outcomes: Counter[str] = Counter(dict.fromkeys([*OUTCOMES.values(), BY_RULE], 0))
        self._decisions, self._lateness = Buckets(DECISION_BUCKETS), Buckets(LATENESS_BUCKETS)

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            with suppress(StorageUnavailable):  # the counters stay, and access_bot_database_up is 0
                self._count()
            yield from [*self._families()]

    def _count(self) -> None:
        found = count_records(self._world, self._last)
        self._last = found.last
        for each in found.events:
            self._events[each.event] += each.records
            if outcome := _outcome(each):
                self._outcomes[outcome] += each.records
        self._decisions.add(found.decisions)
        self._lateness.add(found.lateness)

    def _families(self) -> Iterator[Metric]:
        words = "Audit records, by event."
        records = CounterMetricFamily("access_bot_audit_records", words, labels=["event"])
        for event, count in self._events.items():
            records.add_metric([event], count)
        yield records
        words = "Requests, by what became of them."
        requests = CounterMetricFamily("access_bot_requests", words, labels=["outcome"])
        for outcome, count in self._outcomes.items():
            requests.add_metric([outcome], count)
        yield requests
        yield self._decisions.family(
            "access_bot_decision_seconds", "Seconds from a request to its decision."
        )
        words = "Seconds from the planned end of an expired grant until every system confirmed it."
        yield self._lateness.family("access_bot_end_lateness_seconds", words)


def _outcome(found: EventCount) -> str:
    if found.event == Event.APPROVAL_GIVEN and found.by_rule:
        return BY_RULE
    return OUTCOMES.get(found.event, "")
