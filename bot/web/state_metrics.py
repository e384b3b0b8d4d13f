"""Prometheus metrics of this process's state, besides the counters of the endpoints."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bot.core.errors import StorageUnavailable
from bot.operations._unit_of_work import Context
from bot.operations.process.count_state import count_state


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
        families = [up, writable]
        for name, words, label, values in (
            ("access_bot_outbox_rows", "Work that waits, by queue.", "queue", counted.outbox),
            ("access_bot_grants", "Grants that are not over, by state.", "state", counted.grants),
        ):
            family = GaugeMetricFamily(name, words, labels=[label])
            for value, count in values.items():
                family.add_metric([value], count)
            families.append(family)
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
        words = "Emergencies whose review is not signed."
        emergencies = GaugeMetricFamily("access_bot_emergencies_open", words, counted.emergencies)
        return [*families, failing, unreachable, outdated, emergencies]


def watch(registry: CollectorRegistry, world: Context) -> None:
    """Adds the state of this database to what `registry` exposes."""
    registry.register(_State(world))
