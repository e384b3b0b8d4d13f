"""Counts this process's calls of Slack's Web API, by method and result."""

import threading
from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class SlackCalls(Collector):
    """A counter that any thread may add to."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, method: str, result: str) -> None:
        with self._lock:
            self._counts[method, result] += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        words = "Calls of Slack's Web API, by method and result."
        family = CounterMetricFamily("access_bot_slack_calls", words, labels=["method", "result"])
        with self._lock:
            counted = dict(self._counts)
        for (method, result), count in counted.items():
            family.add_metric([method, result], count)
        yield family


CALLS = SlackCalls()
"""The calls of this process, whichever client made them."""
