"""`/metrics`: what an operator needs is there, and the dashboard, the alert rules and the document
name only what is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from slack_sdk.signature import SignatureVerifier

from bot.core.errors import SystemRefused, SystemUnavailable
from bot.core.streams import FileStream
from bot.slack.api import sorted_errors
from bot.slack.call_metrics import SlackCalls
from bot.slack.receiver import Receiver
from bot.web.log_metrics import LATENESS_BUCKETS, Buckets
from bot.web.slack_signatures import Signatures
from bot.web.state_metrics import watch
from bot.worker.process_metrics import WorkerMetrics
from bot.worker.scheduler import PeriodicJob, Scheduler
from storage.database import Database
from tests.factories import CARA, Made, make_world
from tests.web.conftest import build_site

DOCS = Path(__file__).parents[2] / "docs"
RULES, DASHBOARD = DOCS / "monitoring/alerts.yml", DOCS / "monitoring/grafana.json"


class Socket:
    connections = 3

    def well(self) -> bool:
        return True


def a_worker(made: Made) -> Scheduler:
    def fails() -> None:
        raise SystemUnavailable("not now")

    jobs = {"fails": PeriodicJob(60, fails)}
    return Scheduler(made.world, lambda: float(made.clock.at), jobs)


def metrics_of(made: Made) -> CollectorRegistry:
    """Everything that a process exposes, in Socket Mode and in HTTP mode."""
    registry = CollectorRegistry()
    Receiver(lambda _: None, registry).close()  # type: ignore[arg-type, return-value]
    Signatures(SignatureVerifier("secret"), registry)
    build_site(made, registry=registry)
    watch(registry, made.world)
    registry.register(SlackCalls())
    registry.register(WorkerMetrics(a_worker(made), Socket(), lambda: {"shop": "well"}))  # type: ignore[arg-type]
    return registry


def exposed(registry: CollectorRegistry) -> dict[str, Metric]:
    """The families by the names that queries use."""
    found: dict[str, Metric] = {}
    for family in registry.collect():
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
        for end in ends.get(family.type, ("",)):
            found[family.name + end] = family
    return found


def named(text: str) -> set[str]:
    return set(re.findall(r"\baccess_bot_\w+", text))


def test_dashboard_rules_and_docs_name_what_is_exposed(made: Made) -> None:
    known = exposed(metrics_of(made)).keys()
    for path in (RULES, DASHBOARD):
        assert named(path.read_text()) - known == set(), path
    documented = named((DOCS / "operations.md").read_text().split("## Stop and restart")[0])
    plain = {re.sub("_(bucket|count|sum)$", "", name) for name in known}
    assert documented == plain


def test_every_rule_and_panel_is_complete() -> None:
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
    panels = [each for each in json.loads(DASHBOARD.read_text())["panels"] if each["type"] != "row"]
    assert all(target["expr"] for panel in panels for target in panel["targets"])


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")
def test_prometheus_accepts_the_rules() -> None:
    checked = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_requests_decisions_and_late_ends_are_counted_from_the_log(
    database: Database, tmp_path: Path
) -> None:
    made = make_world(tmp_path, db=database)
    made.a_request(person=CARA)
    registry = CollectorRegistry()
    watch(registry, made.world)
    [*registry.collect()]  # earlier requests are not counted
    made.clock.at += 90
    request = made.a_request()
    made.clock.at += 45
    made.try_to_approve(request)
    value = registry.get_sample_value
    [*registry.collect()]
    assert value("access_bot_requests_total", {"outcome": "approved"}) == 1
    assert value("access_bot_requests_total", {"outcome": "asked"}) == 1
    assert value("access_bot_requests_total", {"outcome": "denied"}) == 0
    assert value("access_bot_decision_seconds_bucket", {"le": "60"}) == 1
    assert value("access_bot_decision_seconds_bucket", {"le": "10"}) == 0
    assert value("access_bot_audit_head_age_seconds") == 0
    [*registry.collect()]
    assert value("access_bot_audit_records_total", {"event": "request:approval:given"}) == 1


def test_an_end_that_is_late_and_work_that_waits_are_shown(made: Made) -> None:
    registry = CollectorRegistry()
    watch(registry, made.world)
    grant = made.a_grant(duration=600)
    made.clock.at = grant.ends_at + 30
    value = registry.get_sample_value
    assert value("access_bot_grants_overdue") == 1
    waits = value("access_bot_outbox_age_seconds", {"queue": "slack"})
    assert waits is not None and waits >= 630


def test_what_a_stream_has_not_sent_is_shown(made: Made) -> None:
    made.a_request()
    stream = FileStream("siem", "log.jsonl", 1000, 1)
    policy = replace(made.world.policy(), streams=(stream,))
    registry = CollectorRegistry()
    watch(registry, replace(made.world, policy=lambda: policy))
    newest = registry.get_sample_value("access_bot_audit_head_seq")
    behind = registry.get_sample_value("access_bot_stream_behind_records", {"stream": "siem"})
    assert behind == newest and newest


def test_values_on_a_bound_belong_to_its_bucket() -> None:
    buckets = Buckets(LATENESS_BUCKETS)
    buckets.add([0, 1, 2, 100_000])
    samples = {
        sample.labels.get("le", sample.name): sample.value
        for sample in buckets.family("late", "Late.").samples
    }
    assert (samples["1"], samples["2"], samples["14400"], samples["+Inf"]) == (2, 3, 3, 4)
    assert samples["late_sum"] == 100_003


def test_calls_of_slack_are_counted_by_result(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = SlackCalls()
    monkeypatch.setattr("bot.slack.api.CALLS", calls)
    with sorted_errors("auth.test"):
        pass
    with pytest.raises((SystemUnavailable, SystemRefused)), sorted_errors("chat.postMessage"):
        raise TimeoutError
    (family,) = calls.collect()
    assert {tuple(each.labels.values()): each.value for each in family.samples} == {
        ("auth.test", "ok"): 1,
        ("chat.postMessage", "answer_lost"): 1,
    }


def test_a_job_that_fails_is_counted(made: Made) -> None:
    jobs = a_worker(made)
    jobs._guarded("fails", jobs._others["fails"].do)  # noqa: SLF001
    assert jobs.runs() == {("fails", "failed"): 1}
