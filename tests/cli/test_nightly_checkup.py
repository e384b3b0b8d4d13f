"""The checks of `access-bot doctor` run once a night, and the security channel reads what has
changed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bot.app import Services, build_base, slack_client
from bot.config.settings import NEEDS, load_settings
from bot.core.model import Source
from bot.doctor import nightly
from bot.doctor.findings import Deployment, Finding, ok, unchecked, warn
from bot.doctor.nightly import NightlyCheckup
from bot.operations.process.check_storage import begin_log
from bot.sandbox import Sandbox, running_sandbox
from storage.database import Database
from tests.bot_environment import bot_environment

EVENING = 1_790_028_000  # 22 September 2026, 0:00 in Berlin
NIGHT = EVENING + 4 * 3600
DAY = 86_400


class Installation:
    """One installation with two workers, whose clock the test sets."""

    def __init__(self, base: Services, sandbox: Sandbox) -> None:
        self.at, self.sandbox = EVENING, sandbox
        self.base = replace(base, world=replace(base.world, now=lambda: self.at))
        client = slack_client(base.settings, timeout=5)
        self.workers = [NightlyCheckup(self.base, client, time.time) for _ in range(2)]

    def night(self, number: int) -> list[dict[str, list[str]]]:
        """Both workers look twice in that night; returns the notes so far."""
        self.at = NIGHT + number * DAY
        for worker in self.workers * 2:
            worker.check()
        with self.base.db.reading():
            rows = self.base.db.rows("SELECT data FROM outbox WHERE data LIKE '%checkup_changed%'")
        return [json.loads(data) for (data,) in rows]


@pytest.fixture
def installation(configured: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    with running_sandbox(rate_limits=False) as sandbox:
        yield from _installed(configured, sandbox, monkeypatch)


def _installed(
    configured: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    for name, value in bot_environment(sandbox.environment).items():
        monkeypatch.setenv(name, value)
    with closing(Database("sqlite:///access.db")) as db:
        db.migrate()
    (configured / "access.db").chmod(0o600)
    base = build_base(load_settings(need=NEEDS["doctor"]), Source.CLOCK)
    begin_log(base.world)
    with closing(base.db):
        yield Installation(base, sandbox)


def test_a_channel_that_becomes_shared_is_reported_once(installation: Installation) -> None:
    sandbox = installation.sandbox
    for worker in installation.workers:
        worker.check()
    with installation.base.db.reading():
        assert not installation.base.db.rows("SELECT 1 FROM seen WHERE key LIKE 'checkup%'")
    assert installation.night(0) == []
    sandbox.admin.set_channel("#access-approvals", is_ext_shared=True)
    (note,) = installation.night(1)
    problem = "warn  channel #access-approvals: shared with another company"
    assert [each[: len(problem)] for each in note["new"]] == [problem]
    assert len(installation.night(2)) == 1
    sandbox.admin.set_channel("#access-approvals", is_ext_shared=False)
    assert installation.night(3)[1]["solved"] == note["new"]
    with installation.base.db.reading():
        events = installation.base.db.rows(
            "SELECT event FROM audit WHERE event = 'process:checkup:changed'"
        )
    assert len(events) == 2


def test_nothing_counts_as_solved_while_slack_is_down(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = warn("channel #a", "shared with another company")
    nights: list[list[Finding]] = [
        [problem, ok("scopes", "all")],
        [unchecked("Slack", "down")],
        [problem],
    ]

    def checks(deployment: Deployment) -> Iterator[Finding]:
        yield from nights.pop(0)

    monkeypatch.setattr(nightly, "check_deployment", checks)
    notes = [installation.night(number) for number in range(3)][-1]
    assert [(each["new"], each["solved"]) for each in notes] == [
        ([str(problem)], []),
        (["FAIL  Slack: down"], []),
        ([], ["FAIL  Slack: down"]),
    ]
