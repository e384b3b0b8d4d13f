"""Four weeks of digests by three replicas on PostgreSQL: everything once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.core.effects import Kind, Queue
from bot.core.model import EndReason
from bot.operations._end_grant import request_end
from bot.operations._unit_of_work import Context, unit
from bot.operations.claim_work import ClaimedQueue, Work
from bot.operations.digest.send_due_digest import send_due_digest
from bot.operations.grants.record_results import record_ended
from bot.sandbox.blocks import validate_message
from bot.slack.messenger import Messenger
from bot.worker.handlers import HANDLERS
from storage.database import Database
from tests.builders import WORKSPACE
from tests.concurrency import together
from tests.factories import ANA, CARA, DAN, Made, make_world

BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86400
FIRST = int(datetime(2026, 10, 5, 9, tzinfo=BERLIN).timestamp())
"""A Monday; summer time ends within the four weeks after it."""


class Slack:
    """A Slack that keeps every message and finds what is wrong with it."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []

    def api_call(self, method: str, json: dict[str, Any] | None = None, **more: Any) -> object:
        message = json or {}
        if method == "chat.postMessage":
            assert validate_message(message) == []
            self.posts.append(message)
        return SimpleNamespace(data={"ok": True, "channel": "C0SECURITY", "ts": "1.0"})


@dataclass
class Replica:
    """One process: its own connection, its own claims, the same Slack."""

    world: Context
    queue: ClaimedQueue
    messenger: Messenger

    def run(self) -> None:
        send_due_digest(self.world)
        while rows := self.queue.take(5):
            for row in rows:
                work = Work(self.queue, [row])
                HANDLERS[Kind(row.kind)].run(SimpleNamespace(messenger=self.messenger), work)  # type: ignore[arg-type]


@pytest.fixture
def made(postgres_url: str, tmp_path: Path) -> Iterator[Made]:
    with closing(Database(postgres_url)) as database:
        yield make_world(tmp_path, db=database)


@pytest.fixture
def replicas(made: Made, postgres_url: str, slack: Slack) -> Iterator[list[Replica]]:
    databases = [Database(postgres_url) for _ in range(3)]
    worlds = [made.another_process(database) for database in databases]
    yield [
        Replica(world, ClaimedQueue(world, Queue.SLACK, f"worker {n}", 60), Messenger(slack, world))  # type: ignore[arg-type]
        for n, world in enumerate(worlds)
    ]
    for database in databases:
        database.close()


@pytest.fixture
def slack() -> Slack:
    return Slack()


def work_of_a_day(made: Made, person: str) -> None:
    """One grant that starts and ends; its own messages are not what this test is about."""
    grant = made.a_grant("shop-admin", person)
    with unit(made.world) as u:
        request_end(u, [grant], EndReason.EXPIRED, "system")
    record_ended(made.world, grant.id, "shop-admin")
    made.forget_work()


def test_four_weeks_have_four_digests_and_one_right_sizing_a_month(
    made: Made, replicas: list[Replica], slack: Slack
) -> None:
    workspace = WORKSPACE.replace("#access-security", "C0SECURITY")
    made.set_policy(workspace=workspace + 'digest = "Mon 09:00"\n')
    made.clock.at = FIRST
    for day in range(4 * 7 + 2):
        work_of_a_day(made, (ANA, CARA, DAN)[day % 3])
        calls: list[Callable[[], None]] = [replica.run for replica in replicas]
        together(made.world.db, calls)
        made.clock.at += DAY
    sent = [json.loads(detail) for (detail,) in made.log("digest:message:sent", "detail")]
    weekly = [each for each in sent if each["report"] == "weekly"]
    sizing = [each for each in sent if each["report"] == "right_sizing"]
    assert [datetime.fromtimestamp(each["until"], BERLIN).isoformat() for each in weekly] == [
        "2026-10-12T09:00:00+02:00",
        "2026-10-19T09:00:00+02:00",
        "2026-10-26T09:00:00+01:00",
        "2026-11-02T09:00:00+01:00",
    ]
    assert [a["until"] for a in weekly[:-1]] == [b["since"] for b in weekly[1:]], "no gap"
    assert [datetime.fromtimestamp(each["until"], BERLIN).month for each in sizing] == [10, 11]
    assert sum(each["counts"]["started"] for each in weekly) == made.count(
        "grants", f"started_at < {weekly[-1]['until']}"
    )
    titles = [post["blocks"][0]["text"]["text"] for post in slack.posts]
    assert (titles.count("Access digest"), titles.count("Right-sizing")) == (4, 2)
    assert len(titles) == len(sent) == 6
    assert made.count("outbox", "kind = 'send_digest'") == 0
