"""The log is sent as a file only to a person who may read it at that moment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bot.core import effects
from bot.core.effects import Queue
from bot.operations._unit_of_work import unit
from bot.operations.claim_work import ClaimedQueue, Work
from bot.slack.messenger import Messenger
from tests.factories import BEN, LEA, Made


class Slack:
    """A Slack that accepts everything and remembers it."""

    def __init__(self) -> None:
        self.called: list[tuple[str, dict[str, Any]]] = []
        self.files: list[str] = []

    def api_call(
        self, method: str, json: dict[str, Any] | None = None, params: dict[str, Any] | None = None
    ) -> object:
        self.called.append((method, json or params or {}))
        return SimpleNamespace(data={"ok": True, "channel": {"id": "D1"}, "ts": "1.0"})

    def files_upload_v2(self, **given: Any) -> None:
        self.files.append(given["channel"])


def _send(made: Made, to: str) -> Slack:
    slack = Slack()
    messenger = Messenger(slack, made.world)  # type: ignore[arg-type]
    made.forget_work()
    with unit(made.world) as u:
        u.do(effects.send_export(to, {}))
    queue = ClaimedQueue(made.world, Queue.SLACK, "me", 60)
    messenger.send_export(Work(queue, queue.take(1)))
    return slack


def test_a_lead_gets_the_file(made: Made) -> None:
    assert _send(made, LEA).files == ["D1"]
    assert made.events("audit:log:exported") == 1


@pytest.mark.parametrize("person", [LEA, BEN], ids=["who led when asking", "who never led"])
def test_a_former_lead_gets_a_refusal_instead_of_the_file(made: Made, person: str) -> None:
    made.set_groups(platform_leads=["U0NEW"])
    slack = _send(made, person)
    assert (slack.files, made.events("audit:log:exported")) == ([], 0)
    ((method, said),) = slack.called
    assert (method, said["channel"], "Only leads" in said["text"]) == (
        "chat.postMessage",
        person,
        True,
    )
    assert made.log("request:action:refused", "actor") == [(person,)]
