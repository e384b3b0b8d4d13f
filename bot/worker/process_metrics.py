"""Prometheus metrics of one worker: its sweeps and jobs, its socket, and the health of the systems
that it calls."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bot.connectors.health import UNKNOWN, WELL
from bot.slack.socket import Socket
from bot.worker.scheduler import Scheduler


class WorkerMetrics(Collector):
    """`systems` returns the last known health of each system; `socket` is None in HTTP mode."""

    def __init__(
        self,
        jobs: Scheduler,
        socket: Socket | None,
        systems: Callable[[], Mapping[str, str]],
    ) -> None:
        self._jobs, self._socket, self._systems = jobs, socket, systems

    def collect(self) -> Iterator[Metric]:
        yield self._runs()
        words = "Seconds since the last sweep of what is due."
        yield GaugeMetricFamily("access_bot_sweep_age_seconds", words, self._jobs.sweep_age())
        yield self._health()
        words = "Whether the connection to Slack works, in Socket Mode."
        connected = GaugeMetricFamily("access_bot_slack_socket_connected", words)
        words = "Connections made to Slack, in Socket Mode."
        made = CounterMetricFamily("access_bot_slack_socket_connections", words)
        if self._socket is not None:
            connected.add_metric([], self._socket.well())
            made.add_metric([], self._socket.connections)
        yield from (connected, made)

    def _runs(self) -> Metric:
        words = "Runs of the sweep and the periodic jobs, by result."
        family = CounterMetricFamily("access_bot_job_runs", words, labels=["name", "result"])
        for (name, result), count in self._jobs.runs().items():
            family.add_metric([name, result], count)
        return family

    def _health(self) -> Metric:
        words = "Whether the last call to a system, or its last check, succeeded."
        family = GaugeMetricFamily("access_bot_system_well", words, labels=["system"])
        for system, state in self._systems().items():
            if state != UNKNOWN:
                family.add_metric([system], state == WELL)
        return family
