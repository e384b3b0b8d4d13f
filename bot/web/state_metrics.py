"""Prometheus metrics of this process's state, besides the counters of the endpoints."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bot.core.effects import Queue
from bot.core.errors import StorageUnavailable
from bot.operations._unit_of_work import Context
from bot.operations.process.count_state import Counts, count_state
from bot.web.log_metrics import LogMetrics


class _State(Collector):
    """Read from the database at each scrape, so that every replica reports the same."""

    def __init__(self, world: Context) -> None:
        self._world = world

    def collect(self) -> Iterable[GaugeMetricFamily]:
        up = GaugeMetricFamily("access_bot_database_up", "Whether the database answers.")
        takes_writes = not self._world.db.writes.problem
        words = "Whether the last write of this process to the database worked."
        writable = GaugeMetricFamily("access_bot_database_writable", words, takes_writes)
        try:
            counted = count_state(self._world)
        except StorageUnavailable:
            up.add_metric([], 0)
            return [up, writable]
        up.add_metric([], 1)
        words = "Channels of roles.toml that refuse messages, by channel and Slack's error."
        failing = GaugeMetricFamily(
            "access_bot_channel_failing", words, labels=["channel", "error"]
        )
        for channel, error in counted.failing.items():
            failing.add_metric([channel, error], 1)
        words = "Whether neither the security channel nor any lead takes messages."
        unreachable = GaugeMetricFamily("access_bot_leads_unreachable", words, counted.unreachable)
        words = (
            "Whether another process loaded another roles.toml since, so that this one decides"
            " nothing."
        )
        outdated = GaugeMetricFamily("access_bot_roles_outdated", words, counted.outdated)
        return [
            up,
            writable,
            *_by_label(counted),
            failing,
            unreachable,
            outdated,
            *_numbers(counted),
            *_ages(counted),
            *_streams(counted),
        ]


def _by_label(counted: Counts) -> Iterator[GaugeMetricFamily]:
    for name, words, label, values in (
        ("access_bot_outbox_rows", "Work that waits, by queue.", "queue", counted.outbox),
        ("access_bot_grants", "Grants that are not over, by state.", "state", counted.grants),
    ):
        family = GaugeMetricFamily(name, words, labels=[label])
        for value, count in values.items():
            family.add_metric([value], count)
        yield family


def _numbers(counted: Counts) -> Iterator[GaugeMetricFamily]:
    for name, words, number in (
        (
            "access_bot_emergencies_open",
            "Emergencies whose review is not signed.",
            counted.emergencies,
        ),
        ("access_bot_grants_overdue", "Active grants whose end has passed.", counted.overdue),
        (
            "access_bot_revocations_unconfirmed",
            "Revocations that were alerted and that no system has confirmed.",
            counted.unconfirmed,
        ),
        ("access_bot_flags_open", "Flags that wait for an answer.", counted.flags),
        ("access_bot_audit_head_seq", "The number of the newest audit record.", counted.head),
    ):
        yield GaugeMetricFamily(name, words, number)


def _streams(counted: Counts) -> Iterator[GaugeMetricFamily]:
    words = "Audit records that a stream has not sent."
    behind = GaugeMetricFamily("access_bot_stream_behind_records", words, labels=["stream"])
    words = "Whether the leads were notified that a stream is late."
    late = GaugeMetricFamily("access_bot_stream_late", words, labels=["stream"])
    for name, (records, is_late) in counted.streams.items():
        behind.add_metric([name], records)
        late.add_metric([name], is_late)
    yield from (behind, late)


def _ages(counted: Counts) -> Iterator[GaugeMetricFamily]:
    """Yields ages in seconds; one has no sample where there is nothing yet."""
    words = "Seconds for which the oldest due work of a queue has waited."
    waiting = GaugeMetricFamily("access_bot_outbox_age_seconds", words, labels=["queue"])
    for queue in counted.outbox | dict.fromkeys(Queue, 0):
        waiting.add_metric([queue], counted.outbox_age.get(queue, 0))
    yield waiting
    for name, words, age in (
        (
            "access_bot_audit_head_age_seconds",
            "Seconds since the newest audit record.",
            counted.head_age,
        ),
        (
            "access_bot_audit_anchor_age_seconds",
            "Seconds since the head of the audit log was anchored.",
            counted.anchor_age,
        ),
    ):
        family = GaugeMetricFamily(name, words)
        if age is not None:
            family.add_metric([], age)
        yield family


def watch(registry: CollectorRegistry, world: Context) -> None:
    """Adds the state of this database and its log to the metrics of `registry`."""
    registry.register(_State(world))
    registry.register(LogMetrics(world))
